// Makes a component of a context written in JavaScript or ClojureScript: `node plugins/sdk-js/build.mjs CONTEXT-FOLDER COMPONENT.wasm`,
// in the project's folder.
//
// CONTEXT-FOLDER holds `context.wit`, whose one world is the component's, and `src/context.js` or `src/context.cljs`. The packages in the
// project's `wit` can be named in it. Esbuild makes one file of the sources, and the toolchain puts it into QuickJS.

import { mkdtempSync, readdirSync, mkdirSync, copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { Trouble, installed } from "./tools.mjs";

const sdk = dirname(fileURLToPath(import.meta.url));

async function main([folder, component]) {
  if (!folder || !component) throw new Trouble("no context or no component named", "node build.mjs CONTEXT-FOLDER COMPONENT.wasm");
  const tools = installed(sdk, join(process.cwd(), ".tools", "js"));
  const require = createRequire(join(tools, "package.json"));
  const tool = (name) => import(pathToFileURL(require.resolve(name)).href);
  const jsSource = await bundled(folder, tools, tool);
  const wit = interfaces(folder, tools);
  try {
    const { componentize } = await tool("componentize-qjs");
    const made = await componentize({ witPath: wit, jsSource, sync: true });
    // Under its name when it is whole, or not at all.
    const partial = join(dirname(component), `.${basename(component)}.${process.pid}.tmp`);
    writeFileSync(partial, made.component);
    renameSync(partial, component);
  } finally {
    rmSync(wit, { recursive: true, force: true });
  }
}

/** All sources as one module, which imports nothing but interfaces. */
async function bundled(folder, tools, tool) {
  const from = ["src/context.js", "src/context.cljs"].map((name) => join(folder, name)).find(existsSync);
  if (!from) throw new Trouble(`${folder} has neither src/context.js nor src/context.cljs`, "one of them is where a context starts");
  const { build } = await tool("esbuild");
  const { compileString } = await tool("squint-cljs");
  const result = await build({
    entryPoints: [from],
    bundle: true,
    format: "esm",
    target: "es2023",
    write: false,
    logLevel: "warning",
    legalComments: "none",
    alias: { "seam-sdk": join(sdk, "src", "index.js") },
    loader: { ".sql": "text" },
    nodePaths: [join(tools, "node_modules")],
    plugins: [seams, clojure(compileString)],
  });
  return result.outputFiles[0].text;
}

/** `namespace:package/interface`: the component's imports, which the host answers. */
const seams = {
  name: "seams",
  setup(build) {
    build.onResolve({ filter: /^[a-z][a-z0-9-]*:[a-z]/ }, ({ path }) => ({ path, external: true }));
  },
};

/** ClojureScript to JavaScript, one file at a time. */
const clojure = (compileString) => ({
  name: "clojure",
  setup(build) {
    build.onResolve({ filter: /\.cljs$/ }, ({ path, resolveDir }) => ({ path: resolve(resolveDir, path) }));
    build.onLoad({ filter: /\.cljs$/ }, ({ path }) => {
      try {
        return { contents: compileString(readFileSync(path, "utf8")), loader: "js", resolveDir: dirname(path) };
      } catch (error) {
        const [, line, column] = /\[(\d+),(\d+)\]/.exec(error.message) ?? [];
        return { errors: [{ text: error.message, location: { file: path, line: Number(line ?? 1), column: Number(column ?? 0) } }] };
      }
    });
  },
});

/** The world and the packages that it may name, as the toolchain wants them: one folder with `deps` below it. */
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
  // Esbuild has shown its errors, each with its line.
  if (!error.errors) console.error(`error: ${error.message}`);
  if (error.hint) console.error(`hint: ${error.hint}`);
  process.exitCode = 1;
}
