// The migrations that bring a context's file to the schema of its code.

const FILE = /^(\d{4})-([a-z0-9-]+)$/;

/**
 * The interface `seam:host/migrations` of a context: `export const migrations = steps({ "0001-notes": notesSql })`,
 * where the text comes from `import notesSql from "../migrations/0001-notes.sql"`.
 * @param {Record<string, string>} files the SQL by the file's name, oldest first
 */
export function steps(files) {
  const all = Object.entries(files).map(([file, sql], at) => {
    const [, digits, name] = FILE.exec(file) ?? [];
    if (Number(digits) !== at + 1) throw new Error(`migration ${at + 1} is named ${file}, not NNNN-name in order`);
    return { number: at + 1, name, sql };
  });
  return { all: () => all };
}
