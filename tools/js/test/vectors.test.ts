import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { readCases } from "../src/vectors.ts";

function inScratch(run: (folder: URL, write: (name: string, text: string) => void) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "d402-vectors-"));
  try {
    run(pathToFileURL(`${folder}/`), (name, text) => writeFileSync(join(folder, name), text));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a file of cases is read in order", () => {
  inScratch((folder, write) => {
    write("good.json", '[{"name":"a"},{"name":"b"}]');
    assert.deepEqual(readCases("good.json", folder), [{ name: "a" }, { name: "b" }]);
  });
});

test("a file without cases is refused", () => {
  inScratch((folder, write) => {
    write("empty.json", "[]");
    write("other.json", '{"name":"a"}');
    assert.throws(() => readCases("empty.json", folder), RangeError);
    assert.throws(() => readCases("other.json", folder), TypeError);
  });
});

test("every vector file is read by a test", () => {
  const tests = new URL("./", import.meta.url);
  const sources = readdirSync(tests).map((name) => readFileSync(new URL(name, tests), "utf8"));
  const files = readdirSync(new URL("../../../protocol/vectors/", import.meta.url));
  assert.ok(files.length >= 15);
  for (const file of files) {
    assert.ok(sources.some((source) => source.includes(`"${file}"`)), `${file} has no reader`);
  }
});
