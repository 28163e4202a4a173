// Builds the component of a context in JavaScript or ClojureScript. In the project's folder, run
// `node plugins/sdk-js/build.mjs CONTEXT-FOLDER COMPONENT.wasm`.
//
// CONTEXT-FOLDER holds `context.wit` with the component's world, and `src/context.js`, `.ts` or `.cljs`. The world may
// name the packages in the project's `wit`. Esbuild bundles the sources into one file, with what it needs to name their
// lines in the stack of an exception, and the toolchain embeds it in QuickJS.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { BuildError, installed } from "./tools.mjs";

const sdk = dirname(fileURLToPath(import.meta.url));

async function main([folder, component]) {
  if (!folder || !component) throw new BuildError("an argument is missing", "run node build.mjs CONTEXT-FOLDER COMPONENT.wasm");
  const tools = installed(sdk, join(process.cwd(), ".tools", "js"));
  const require = createRequire(join(tools, "package.json"));
  const tool = (name) => import(pathToFileURL(require.resolve(name)).href);
  const jsSource = await bundled(folder, tools, tool);
  const wit = interfaces(folder, tools);
  try {
    const { componentize } = await tool("componentize-qjs");
    const made = await componentize({ witPath: wit, jsSource, sync: true });
    // Renamed when complete, so that the component is complete or absent.
    const partial = join(dirname(component), `.${basename(component)}.${process.pid}.tmp`);
    writeFileSync(partial, made.component);
    renameSync(partial, component);
  } finally {
    rmSync(wit, { recursive: true, force: true });
  }
}

/** Bundles all sources into one module, which imports only interfaces. */
async function bundled(folder, tools, tool) {
  const names = ["src/context.js", "src/context.ts", "src/context.cljs"];
  const from = names.map((name) => join(folder, name)).find(existsSync);
  if (!from) {
    throw new BuildError(`${folder} has none of ${names.join(", ")}`, "add one that exports the interfaces");
  }
  const { build } = await tool("esbuild");
  const { compileString } = await tool("squint-cljs");
  const options = {
    bundle: true,
    format: "esm",
    target: "es2023",
    write: false,
    logLevel: "warning",
    legalComments: "none",
    // Apart: only a world with sagas imports their interface.
    alias: { "seam-sdk/sagas": join(sdk, "src", "sagas.js"), "seam-sdk": join(sdk, "src", "index.js") },
    loader: { ".sql": "text" },
    nodePaths: [join(tools, "node_modules")],
    plugins: [seams, clojure(compileString)],
    // Sources are named as seen from here, the project's folder.
    outfile: resolve("user.js"),
  };
  const { metafile } = await build({ ...options, entryPoints: [from], metafile: true });
  const exported = Object.values(metafile.outputs).flatMap((output) => output.exports);
  const guard = JSON.stringify(join(sdk, "src", "guard.js"));
  const entry = [
    `import * as context from ${JSON.stringify(resolve(from))};`,
    `import { guarded } from ${guard};`,
    ...exported.map((name) => (name === "default" ? "export default " : `export const ${name} = `) + `guarded(context.${name});`),
  ];
  const stdin = { contents: entry.join("\n"), resolveDir: process.cwd(), sourcefile: "exports.js" };
  const { outputFiles } = await build({ ...options, stdin, sourcemap: "external", sourcesContent: false });
  const text = (end) => outputFiles.find((file) => file.path.endsWith(end)).text;
  const { sources, mappings } = JSON.parse(text(".map"));
  // After all other lines, so that it moves none.
  return `${text(".js")}\nglobalThis.seamPlaces = ${JSON.stringify({ sources, mappings })};\n`;
}

/**
 * `namespace:package/interface`: the component's imports, which the host provides. The context gets each through the
 * SDK's `speaking`: text that leaves the context is well-formed.
 */
const seams = {
  name: "seams",
  setup(build) {
    build.onResolve({ filter: /^[a-z][a-z0-9-]*:[a-z]/ }, ({ path, namespace }) =>
      namespace === "seam" ? { path, external: true } : { path, namespace: "seam" },
    );
    build.onLoad({ filter: /.*/, namespace: "seam" }, ({ path }) => {
      const text = JSON.stringify(join(sdk, "src", "text.js"));
      const name = JSON.stringify(path);
      const contents = `import real from ${name};\nimport { speaking } from ${text};\nexport * from ${name};\nexport default speaking(real);`;
      return { contents, loader: "js", resolveDir: sdk };
    });
  },
};

/** Compiles ClojureScript to JavaScript, file by file. */
const clojure = (compileString) => ({
  name: "clojure",
  setup(build) {
    build.onResolve({ filter: /\.cljs$/ }, ({ path, resolveDir }) => ({ path: resolve(resolveDir, path) }));
    build.onLoad({ filter: /\.cljs$/ }, ({ path }) => {
      try {
        return { contents: compileString(readFileSync(path, "utf8")), loader: "js", resolveDir: dirname(path) };
      } catch (error) {
        const [, line, column] = /\[(\d+),(\d+)\]/.exec(error.message) ?? [];
        const location = { file: path, line: Number(line ?? 1), column: Number(column ?? 0) };
        return { errors: [{ text: error.message, location }] };
      }
    });
  },
});

/** Copies the world and the packages that it may name to the layout of the toolchain: one folder with `deps` in it. */
function interfaces(folder, tools) {
  const to = mkdtempSync(join(tools, "wit-"));
  copyFileSync(join(folder, "context.wit"), join(to, "context.wit"));
  for (const name of readdirSync("wit").filter((name) => name !== "deps")) {
    const files = readdirSync(join("wit", name)).filter((file) => file.endsWith(".wit"));
    if (files.length === 0) continue;
    mkdirSync(join(to, "deps", name), { recursive: true });
    for (const file of files) copyFileSync(join("wit", name, file), join(to, "deps", name, file));
  }
  return to;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // Esbuild has printed its errors already, each with its line.
  if (!error.errors) console.error(`error: ${error.message}`);
  if (error.hint) console.error(`hint: ${error.hint}`);
  process.exitCode = 1;
}
