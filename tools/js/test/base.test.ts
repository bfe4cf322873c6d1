import assert from "node:assert/strict";
import { test } from "node:test";

import { type Call, type Moved, judge } from "../src/base/receipts.ts";
import {
  type Signer, checkSignatures, escrowOf, implementationOf, recover, setHash, settlementDigest, signers,
} from "../src/base/settlement.ts";
import { type BaseTerms, TERMS_TYPE, checkSettleable, decodeTerms, encodeTerms, termsHash } from "../src/base/terms.ts";
import { type BaseDomain, raw, text } from "../src/base/words.ts";
import { Fault } from "../src/settlement/fault.ts";
import { readVectors } from "../src/vectors.ts";

/** The code of the Fault `run` throws, or its result. Any other error fails the test. */
function verdict<T>(run: () => T): { readonly value: T } | { readonly fault: string } {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof Fault) return { fault: error.code };
    throw error;
  }
}

function assertFault(run: () => unknown, code: string | undefined, name: string): void {
  const outcome = verdict(run);
  assert.equal("fault" in outcome ? outcome.fault : undefined, code, name);
}

test("terms of Base encode, decode, hash and settle as their vectors say", () => {
  const file = readVectors<{
    type: string;
    settleableDomain: BaseDomain;
    cases: {
      name: string; bytes: string; fields: Record<string, string>;
      hashes: { ledger: string; termsHash: string }[];
      settleable: { now: string; refusal?: string }[];
    }[];
    refused: { bytes: string; fault: string }[];
  }>("terms-base.json", "cases");
  assert.equal(file.type, TERMS_TYPE);
  for (const c of file.cases) {
    const terms = decodeTerms(raw(c.bytes));
    assert.equal(text(encodeTerms(terms)), c.bytes, c.name);
    for (const [name, written] of Object.entries(c.fields)) {
      const value = terms[name as keyof BaseTerms];
      assert.equal(typeof value === "bigint" ? value : BigInt(value), BigInt(written), `${c.name} ${name}`);
    }
    for (const { ledger, termsHash: expected } of c.hashes) {
      assert.equal(termsHash(terms, ledger), expected, c.name);
    }
    for (const { now, refusal } of c.settleable) {
      assertFault(() => checkSettleable(terms, file.settleableDomain, BigInt(now)), refusal ?? undefined, c.name);
    }
  }
  assert.ok(file.refused.length >= 20);
  for (const { bytes, fault } of file.refused) assertFault(() => decodeTerms(raw(bytes)), fault, bytes);
});

interface WrittenSigner {
  readonly key: string;
  readonly kind: string;
}

const members = (written: readonly WrittenSigner[]): Signer[] =>
  written.map(({ key, kind }) => ({ key, kind: Number(kind) }));

test("validator sets of Base hash and refuse as their vectors say", () => {
  const file = readVectors<{
    sets: { m: string; members: WrittenSigner[]; setHash?: string; fault?: string }[];
  }>("vset-base.json", "sets");
  let valid = 0;
  for (const c of file.sets) {
    const outcome = verdict(() => setHash(signers(Number(c.m), members(c.members))));
    if ("value" in outcome) {
      valid += 1;
      assert.equal(outcome.value, c.setHash);
    } else {
      // The Rust crate wraps the rules it shares with Solana.
      assert.equal(c.fault, "Set");
    }
  }
  assert.ok(valid > 30);
});

test("digests, signatures and approvals of Base are those of their vectors", () => {
  const file = readVectors<{
    digests: {
      domain: BaseDomain; termsHash: string; receiptCid: string; outcome: string; digest: string;
      rows: { payee: string; role: string; amount: string }[];
    }[];
    signatures: { name: string; digest: string; signature: string; key: string; valid: boolean }[];
    approvals: {
      name: string; m: string; members: WrittenSigner[]; digest: string; count?: string; fault?: string;
      signatures: { setIndex: string; signature: string }[];
    }[];
  }>("settlement-base.json", "digests");
  for (const c of file.digests) {
    const rows = c.rows.map(({ payee, role, amount }) => ({ payee, role: Number(role), amount: BigInt(amount) }));
    const settlement = { receiptCid: c.receiptCid, outcome: Number(c.outcome), rows };
    assert.equal(settlementDigest(c.domain, c.termsHash, settlement), c.digest);
  }
  for (const c of file.signatures) {
    assert.equal(recover(c.digest, raw(c.signature)) === c.key, c.valid, c.name);
  }
  assert.equal(file.signatures.filter(({ valid }) => valid).length, 1);
  for (const c of file.approvals) {
    const set = signers(Number(c.m), members(c.members));
    const given = c.signatures.map(({ setIndex, signature }) => ({
      setIndex: Number(setIndex), signature: raw(signature),
    }));
    const outcome = verdict(() => checkSignatures(set, c.digest, given));
    assert.deepEqual(outcome, c.fault === undefined ? { value: Number(c.count) } : { fault: c.fault }, c.name);
  }
});

test("escrow addresses are those of their vectors", () => {
  const file = readVectors<{
    escrows: { ledger: string; implementation: string; termsHash: string; escrow: string }[];
  }>("escrow-address.json", "escrows");
  for (const c of file.escrows) {
    assert.equal(implementationOf(c.ledger), c.implementation);
    assert.equal(escrowOf(c.ledger, c.termsHash), c.escrow);
  }
});

/** Takes packed bytes one value after the other. */
class Packed {
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(hex: string) {
    this.#bytes = raw(hex);
  }

  get isEmpty(): boolean {
    return this.#at === this.#bytes.length;
  }

  bytes(width: number): Uint8Array {
    this.#at += width;
    assert.ok(this.#at <= this.#bytes.length, "a whole case");
    return this.#bytes.slice(this.#at - width, this.#at);
  }

  number(width: number): number {
    return Number(this.amount(width));
  }

  amount(width = 8): bigint {
    return BigInt(text(this.bytes(width)));
  }

  list<T>(item: () => T): T[] {
    return Array.from({ length: this.number(1) }, item);
  }
}

interface Corpus {
  readonly domain: BaseDomain;
  readonly classes: readonly string[];
  readonly terms: readonly string[];
  readonly sets: readonly string[];
  readonly cases: readonly string[];
}

function setOf(hex: string): { m: number; members: Signer[] } {
  const packed = new Packed(hex);
  const m = packed.number(1);
  const all: Signer[] = [];
  while (!packed.isEmpty) all.push({ key: text(packed.bytes(20)), kind: packed.number(1) });
  return { m, members: all };
}

function caseOf(packed: Packed, terms: readonly BaseTerms[], corpus: Corpus): { call: Call; expected: unknown } {
  const head = { terms: terms[packed.number(2)], set: corpus.sets[packed.number(1)] };
  assert.ok(head.terms !== undefined && head.set !== undefined);
  const call: Call = {
    terms: head.terms,
    ...setOf(head.set),
    now: packed.amount(),
    balance: packed.amount(),
    receiptCid: text(packed.bytes(32)),
    outcome: packed.number(1),
    rows: packed.list(() => ({ payee: text(packed.bytes(20)), role: packed.number(1), amount: packed.amount() })),
    signatures: packed.list(() => ({ setIndex: packed.number(1), signature: packed.bytes(packed.number(1)) })),
  };
  const code = corpus.classes[packed.number(1)];
  if (code !== "Executed") return { call, expected: { fault: code } };
  const value: Moved = {
    commission: packed.amount(), fee: packed.amount(), refund: packed.amount(),
    rows: call.rows.map(() => packed.amount()),
  };
  return { call, expected: { value } };
}

test("a thousand receipts of Base get the verdict of their vectors", () => {
  const corpus = readVectors<Corpus>("receipts-base.json", "cases");
  assert.ok(corpus.cases.length >= 1_000);
  const terms = corpus.terms.map((hex) => decodeTerms(raw(hex)));
  for (const [at, hex] of corpus.cases.entries()) {
    const packed = new Packed(hex);
    const { call, expected } = caseOf(packed, terms, corpus);
    assert.ok(packed.isEmpty);
    assert.deepEqual(verdict(() => judge(corpus.domain, call)), expected, `case ${at}`);
  }
});
