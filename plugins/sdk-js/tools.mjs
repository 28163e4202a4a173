// The tools of a build, as the lock file beside this one names them, installed once into a folder that nothing else reads or commits.

import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const FILES = ["package.json", "package-lock.json", ".npmrc"];

/**
 * The folder with the tools' `node_modules`; it exists when they are whole. Two builds at once install twice, and one of the two stays.
 * @param {string} sdk where the lock file is
 * @param {string} below where tools go
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
    // The scripts of packages are not run: none of these needs its own.
    const ended = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: partial,
      stdio: ["ignore", 2, 2],
    });
    if (ended.error) throw new Trouble(`npm does not start (${ended.error.code})`, "`seam doctor --fix` installs node and npm");
    if (ended.status !== 0) {
      throw new Trouble("npm could not install the tools for JavaScript", "the packages come from the registry that npm is set to");
    }
    renameSync(partial, folder);
  } catch (error) {
    // Another build may have been first.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return folder;
}

/** What a person can mend. */
export class Trouble extends Error {
  constructor(what, hint) {
    super(what);
    this.hint = hint;
  }
}
