// Installs the build tools of the lock file in this folder, once, into an ignored folder.

import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const FILES = ["package.json", "package-lock.json", ".npmrc"];

/**
 * The folder with the tools' `node_modules`. It exists only after a complete installation: two builds at a time both
 * install, and the first to finish wins.
 * @param {string} sdk where the lock file is
 * @param {string} below the folder for tools
 */
export function installed(sdk, below) {
  const hash = createHash("sha256");
  for (const file of FILES) hash.update(readFileSync(join(sdk, file)));
  const folder = join(below, hash.digest("hex").slice(0, 16));
  if (existsSync(folder)) return folder;
  console.error(`installing the tools for JavaScript into ${below} (once, 50 MB from npm's registry)`);
  mkdirSync(below, { recursive: true });
  const partial = mkdtempSync(join(below, "install-"));
  try {
    for (const file of FILES) copyFileSync(join(sdk, file), join(partial, file));
    // No package here needs its install scripts.
    const ended = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: partial,
      stdio: ["ignore", 2, 2],
    });
    if (ended.error) throw new BuildError(`npm does not start (${ended.error.code})`, "run `seam doctor --fix`, which installs npm");
    if (ended.status !== 0) {
      throw new BuildError("npm could not install the tools for JavaScript", "check the registry in npm's configuration");
    }
    renameSync(partial, folder);
  } catch (error) {
    // Another build may have finished first.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return folder;
}

/** An error that the developer can correct. */
export class BuildError extends Error {
  constructor(what, hint) {
    super(what);
    this.hint = hint;
  }
}
