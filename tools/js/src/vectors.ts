/** Golden vectors: the files the Rust crates write and both languages must agree on. */
import { readFileSync } from "node:fs";

/** Where the files lie, seen from this one. */
const FOLDER = new URL("../../../protocol/vectors/", import.meta.url);

/** Reads one file of cases. A file without cases is refused: it would prove nothing. */
export function readCases(file: string, folder: URL = FOLDER): readonly unknown[] {
  const cases: unknown = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
  if (!Array.isArray(cases)) throw new TypeError(`${file} is not a list of cases`);
  if (cases.length === 0) throw new RangeError(`${file} holds no case`);
  return cases;
}

/** Reads a file whose cases lie in lists under names. The list `name` must hold one. */
export function readVectors<T>(file: string, name: keyof T & string, folder: URL = FOLDER): T {
  const read = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as T;
  const cases: unknown = read[name];
  if (!Array.isArray(cases) || cases.length === 0) throw new RangeError(`${file} holds no ${name}`);
  return read;
}
