import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { verify } from "../src/bundle/verify.ts";
import { canonical } from "../src/objects/canonical.ts";
import { parseStrict } from "../src/objects/json.ts";
import { Fault } from "../src/settlement/fault.ts";
import { readVectors } from "../src/vectors.ts";

interface Edit {
  readonly path: readonly (string | number)[];
  readonly value?: unknown;
}

interface Case {
  readonly base: string;
  readonly name: string;
  readonly change: {
    readonly edits?: readonly Edit[]; readonly append?: string; readonly cut?: number; readonly flip?: number;
  };
  readonly ok?: Readonly<Record<string, unknown>>;
  readonly broken?: string;
  readonly cause?: string | null;
}

const FILE = readVectors<{ bases: Record<string, string>; cases: Case[] }>("bundles.json", "cases");

/** Puts a value at a path, or takes away what is there. */
function edit(target: unknown, { path, ...rest }: Edit): void {
  let at = target as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) at = at[step] as Record<string | number, unknown>;
  const last = path.at(-1);
  assert.ok(last !== undefined);
  if ("value" in rest) at[last] = rest.value;
  else delete at[last];
}

/** The bytes of a case: its base, with the edits, and then the changed bytes. */
function bytesOf({ base, change }: Case): Uint8Array {
  const text = FILE.bases[base];
  assert.ok(text !== undefined, base);
  let bytes: Uint8Array = utf8ToBytes(text);
  if (change.edits !== undefined) {
    const bundle: unknown = JSON.parse(text);
    for (const one of change.edits) edit(bundle, one);
    const strict = parseStrict(utf8ToBytes(JSON.stringify(bundle)), {
      maxBytes: 1 << 22, floats: true, maxDepth: 64,
    });
    bytes = utf8ToBytes(canonical(strict));
  }
  if (change.append !== undefined) bytes = concatBytes(bytes, utf8ToBytes(change.append));
  if (change.cut !== undefined) bytes = bytes.slice(0, bytes.length - change.cut);
  if (change.flip !== undefined) {
    const byte = bytes[change.flip];
    assert.ok(byte !== undefined);
    bytes = bytes.slice();
    bytes[change.flip] = byte ^ 1;
  }
  return bytes;
}

/** What the verifier says, as the vectors spell it. */
function verdict(bytes: Uint8Array): { ok: unknown } | { broken: string; cause: string | undefined } {
  try {
    const proof = verify(bytes);
    const text = (_: string, value: unknown): unknown =>
      typeof value === "bigint" || typeof value === "number" ? String(value) : value;
    return { ok: JSON.parse(JSON.stringify(proof, text)) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const [broken = "", cause] = error.code.split(".");
    return { broken, cause };
  }
}

test("every bundle gets the verdict of the vectors", () => {
  const counts = { ok: 0, broken: 0 };
  for (const c of FILE.cases) {
    const got = verdict(bytesOf(c));
    if (c.ok !== undefined) {
      counts.ok += 1;
      assert.deepEqual(got, { ok: c.ok }, c.name);
    } else {
      counts.broken += 1;
      const cause = c.cause?.split(".")[0];
      assert.deepEqual(got, { broken: c.broken, cause }, c.name);
    }
  }
  assert.ok(counts.ok >= 8 && counts.broken >= 90, JSON.stringify(counts));
});

test("the command line says what the verifier says", () => {
  const folder = mkdtempSync(join(tmpdir(), "d402-bundle-"));
  const program = fileURLToPath(new URL("../src/bundle/main.ts", import.meta.url));
  const run = (...args: readonly string[]): { status: number | null; stdout: string } =>
    spawnSync(process.execPath, ["--import", "tsx", program, ...args], { encoding: "utf8", timeout: 60_000 });
  try {
    const honest = FILE.cases.find((c) => c.base === "single, 1 of 1" && c.ok !== undefined);
    assert.ok(honest);
    const [good, bad] = [join(folder, "good.json"), join(folder, "bad.json")];
    writeFileSync(good, bytesOf(honest));
    writeFileSync(bad, concatBytes(bytesOf(honest), utf8ToBytes("\n")));
    const accepted = run("verify", good);
    assert.equal(accepted.status, 0);
    assert.match(accepted.stdout, /^verified\n/);
    const refused = run("verify", bad);
    assert.equal(refused.status, 1);
    assert.equal(refused.stdout, "refused: NotCanonical\n");
    assert.equal(run("verify").status, 2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
