import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { LEDGER, SOLANA, SOLANA_DEVNET } from "../src/bundle/codec.ts";
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

interface Bundles {
  readonly ledger?: string;
  readonly domains?: readonly unknown[];
  readonly bases: Readonly<Record<string, string>>;
  readonly cases: readonly Case[];
}

const SIMULATED = readVectors<Bundles>("bundles.json", "cases");
const BASE = readVectors<Bundles>("bundles-base.json", "cases");
const SOLANA_BUNDLES = readVectors<Bundles>("bundles-solana.json", "cases");

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
function bytesOf({ bases }: Bundles, { base, change }: Case): Uint8Array {
  const text = bases[base];
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
function verdict(bytes: Uint8Array): { ok: unknown } | { broken: string; causes: readonly string[] } {
  try {
    const proof = verify(bytes);
    const text = (_: string, value: unknown): unknown =>
      typeof value === "bigint" || typeof value === "number" ? String(value) : value;
    return { ok: JSON.parse(JSON.stringify(proof, text)) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const [broken = "", ...causes] = error.code.split(".");
    return { broken, causes };
  }
}

/** How many bundles of a file are accepted and refused, each as the file says. */
function judge(file: Bundles): { readonly ok: number; readonly broken: number } {
  const counts = { ok: 0, broken: 0 };
  for (const c of file.cases) {
    const got = verdict(bytesOf(file, c));
    if (c.ok !== undefined) {
      counts.ok += 1;
      assert.deepEqual(got, { ok: c.ok }, c.name);
    } else {
      counts.broken += 1;
      assert.ok("broken" in got, c.name);
      const causes = c.cause?.split(".") ?? [];
      // The file stops at the class of some causes; as far as it goes, the names are the same.
      const same = causes.length === 0 ? got.causes : got.causes.slice(0, causes.length);
      assert.deepEqual({ broken: got.broken, causes: same }, { broken: c.broken, causes }, c.name);
    }
  }
  return counts;
}

test("every bundle gets the verdict of the vectors", () => {
  const { ok, broken } = judge(SIMULATED);
  assert.ok(ok >= 8 && broken >= 90, `${ok} ${broken}`);
});

test("every bundle of Base gets the verdict of the vectors", () => {
  assert.equal(LEDGER, BASE.ledger, "the ledger of src/bundle/codec.ts is the one of the vectors");
  const { ok, broken } = judge(BASE);
  assert.ok(ok >= 11 && broken >= 120, `${ok} ${broken}`);
});

test("every bundle of Solana gets the verdict of the vectors", () => {
  assert.deepEqual([SOLANA, SOLANA_DEVNET], SOLANA_BUNDLES.domains, "genesis hashes and programs are those of the vectors");
  const { ok, broken } = judge(SOLANA_BUNDLES);
  assert.ok(ok >= 9 && broken >= 30, `${ok} ${broken}`);
});

test("the command line says what the verifier says", () => {
  const folder = mkdtempSync(join(tmpdir(), "d402-bundle-"));
  const program = fileURLToPath(new URL("../src/bundle/main.ts", import.meta.url));
  const run = (...args: readonly string[]): { status: number | null; stdout: string } =>
    spawnSync(process.execPath, ["--import", "tsx", program, ...args], { encoding: "utf8", timeout: 60_000 });
  try {
    const honest = BASE.cases.find((c) => c.base === "single, 1 of 1" && c.ok !== undefined);
    assert.ok(honest);
    const [good, bad] = [join(folder, "good.json"), join(folder, "bad.json")];
    writeFileSync(good, bytesOf(BASE, honest));
    writeFileSync(bad, concatBytes(bytesOf(BASE, honest), utf8ToBytes("\n")));
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
