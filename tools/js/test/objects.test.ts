import assert from "node:assert/strict";
import { test } from "node:test";

import { hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { canonical, cidOf, digest } from "../src/objects/canonical.ts";
import { verifyStrict } from "../src/objects/ed25519.ts";
import { openEnvelope } from "../src/objects/envelope.ts";
import {
  type Evidence, type LeaseSetMember, type SealedClaim, claimCommit, evidenceRoot, leaseSetRoot,
} from "../src/objects/hashes.ts";
import { Refusal, parseStrict } from "../src/objects/json.ts";
import { readCases } from "../src/vectors.ts";

interface Named {
  readonly name: string;
}

/** The cases of a file with the fields the Rust generator writes. */
function cases<T extends object>(file: string): readonly (Named & T)[] {
  return readCases(file) as readonly (Named & T)[];
}

/** What `run` returns, or undefined when it refuses. Any other error fails the test. */
function verdict<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("canonical forms match the vectors", () => {
  for (const c of cases<{ input?: string; bits?: string; canonical: string; sha256: string }>("jcs.json")) {
    if (c.input !== undefined) {
      const value = parseStrict(utf8ToBytes(c.input), { maxBytes: 65_536, floats: true });
      assert.equal(canonical(value), c.canonical, c.name);
      assert.equal(hex(digest(value)), c.sha256, c.name);
    } else {
      assert.ok(c.bits, c.name);
      const double = new DataView(hexToBytes(c.bits).buffer).getFloat64(0);
      assert.equal(String(double), c.canonical, c.name);
    }
  }
});

test("the strict decoder gives the verdict of the vectors", () => {
  const all = cases<{
    input?: string; inputHex?: string; maxBytes: number; floats: boolean; accept: boolean;
  }>("strict-json.json");
  for (const c of all) {
    const bytes = c.input !== undefined ? utf8ToBytes(c.input) : hexToBytes(c.inputHex ?? "");
    const value = verdict(() => parseStrict(bytes, c));
    assert.equal(value !== undefined, c.accept, c.name);
  }
  assert.deepEqual(new Set(all.map((c) => c.accept)), new Set([true, false]));
});

test("cids match the vectors", () => {
  for (const c of cases<{ input: string; cid: string }>("cid.json")) {
    const value = parseStrict(utf8ToBytes(c.input), { maxBytes: 1 << 20, floats: true });
    assert.equal(cidOf(value), c.cid, c.name);
  }
});

test("signatures get the verdict of the vectors", () => {
  const all = cases<{
    class: string; publicKey: string; message: string; signature: string; accept: boolean;
  }>("signatures.json");
  for (const c of all) {
    const verdict = verifyStrict(hexToBytes(c.publicKey), hexToBytes(c.message), hexToBytes(c.signature));
    assert.equal(verdict, c.accept, `${c.class}: ${c.name}`);
  }
  assert.deepEqual(
    new Set(all.map((c) => c.class)),
    new Set([
      "honest", "forged", "small-order A", "small-order R", "non-canonical A", "non-canonical R",
      "S >= L", "mixed torsion",
    ]),
  );
});

test("envelopes get the verdict of the vectors", () => {
  const all = cases<{
    input: string; accept: boolean; kind?: string; signer?: string; cid?: string; preimage?: string;
  }>("envelope.json");
  for (const c of all) {
    const opened = verdict(() => openEnvelope(utf8ToBytes(c.input)));
    assert.equal(opened !== undefined, c.accept, c.name);
    if (opened === undefined) continue;
    assert.equal(opened.kind, c.kind, c.name);
    assert.equal(opened.signer, c.signer, c.name);
    assert.equal(opened.cid, c.cid, c.name);
    assert.equal(opened.preimage, c.preimage, c.name);
  }
  assert.deepEqual(new Set(all.map((c) => c.accept)), new Set([true, false]));
});

test("commits match the vectors", () => {
  for (const c of cases<SealedClaim & { evidence: Evidence[]; commit: string }>("commit.json")) {
    assert.equal(evidenceRoot(c.evidence), c.evidenceRoot, c.name);
    assert.equal(claimCommit(c), c.commit, c.name);
  }
});

test("lease sets match the vectors", () => {
  for (const c of cases<{ leases: LeaseSetMember[]; root: string }>("lease-set.json")) {
    assert.equal(leaseSetRoot(c.leases), c.root, c.name);
  }
});

test("every flipped bit of an envelope is refused", () => {
  const accepted = cases<{ input: string; kind?: string }>("envelope.json");
  const envelope = accepted.find((c) => c.name === "leaseAccept");
  assert.ok(envelope);
  const bytes = utf8ToBytes(envelope.input);
  // One bit of each byte: the signature checks of all eight would take a minute here.
  bytes.forEach((byte, at) => {
    const flipped = bytes.slice();
    flipped[at] = byte ^ (1 << at % 8);
    assert.equal(verdict(() => openEnvelope(flipped)), undefined, `byte ${at}`);
  });
});
