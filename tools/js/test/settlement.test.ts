import assert from "node:assert/strict";
import { test } from "node:test";

import { hexToBytes } from "@noble/hashes/utils.js";

import { verifyStrict } from "../src/objects/ed25519.ts";
import { vaultAddress, vsetAddress } from "../src/settlement/address.ts";
import { checkApprovals } from "../src/settlement/approvals.ts";
import { plan } from "../src/settlement/arithmetic.ts";
import { type Circumstances, type Inputs, type Mode, derive } from "../src/settlement/derive.ts";
import { Fault } from "../src/settlement/fault.ts";
import type { Domain } from "../src/settlement/layout.ts";
import { type Approvals, type Command, type Vault, apply, encodeAccount } from "../src/settlement/ledger.ts";
import { type Row, checkRows, settlementDigest } from "../src/settlement/receipt.ts";
import { need, setHash, validatorSet } from "../src/settlement/set.ts";
import {
  type Terms, checkSettleable, decodeTerms, encodeTerms, termsHash,
} from "../src/settlement/terms.ts";
import { readVectors } from "../src/vectors.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

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

/** Vector files spell integers as decimal texts. */
type Written<T> = { readonly [K in keyof T]: T[K] extends bigint ? string : T[K] };

interface WrittenRow {
  readonly payee: string;
  readonly role: string;
  readonly amount: string;
}

const rowsOf = (rows: readonly WrittenRow[]): Row[] =>
  rows.map(({ payee, role, amount }) => ({ payee, role: Number(role), amount: BigInt(amount) }));

/** Every field that is decimal in the file becomes a bigint; 32-byte values stay hex. */
function termsOf(fields: Written<Terms>): Terms {
  const read = Object.entries(fields).map(([name, value]) => [
    name,
    value.length === 64 ? value : BigInt(value),
  ]);
  return Object.fromEntries(read) as Terms;
}

test("terms encode, decode, hash and settle as their vectors say", () => {
  const file = readVectors<{
    settleableDomain: Domain;
    cases: {
      name: string; bytes: string; fields: Written<Terms>;
      hashes: { domain: Domain; termsHash: string }[];
      settleable: { now: string; refusal?: string }[];
    }[];
  }>("terms-solana.json", "cases");
  for (const c of file.cases) {
    const terms = termsOf(c.fields);
    assert.equal(hex(encodeTerms(terms)), c.bytes, c.name);
    assert.deepEqual(decodeTerms(hexToBytes(c.bytes)), terms, c.name);
    for (const { domain, termsHash: expected } of c.hashes) {
      assert.equal(termsHash(terms, domain), expected, c.name);
    }
    for (const { now, refusal } of c.settleable) {
      assertFault(() => checkSettleable(terms, file.settleableDomain, BigInt(now)), refusal ?? undefined, c.name);
    }
  }
});

test("validator sets hash and refuse as their vectors say", () => {
  const file = readVectors<{
    sets: { m: string; keys: string[]; setHash?: string; fault?: string }[];
    needs: { m: string; n: string; onSilence: string; settleBy: string; now: string; need: string }[];
  }>("vset-ed25519.json", "sets");
  let valid = 0;
  for (const c of file.sets) {
    const outcome = verdict(() => setHash(validatorSet(Number(c.m), c.keys)));
    if ("value" in outcome) valid += 1;
    assert.deepEqual(outcome, c.fault === undefined ? { value: c.setHash } : { fault: c.fault });
  }
  assert.ok(valid > 16);
  for (const c of file.needs) {
    const keys = Array.from({ length: Number(c.n) }, (_, at) => (at + 1).toString(16).padStart(2, "0").repeat(32));
    const terms = { onSilence: BigInt(c.onSilence), settleBy: BigInt(c.settleBy) };
    assert.equal(need(terms, validatorSet(Number(c.m), keys), BigInt(c.now)), Number(c.need));
  }
});

interface WrittenReceipt {
  readonly receiptCid: string;
  readonly outcome: string;
  readonly rows: readonly WrittenRow[];
}

interface WrittenSignature {
  readonly setIndex: string;
  readonly signature: string;
}

const signaturesOf = (signatures: readonly WrittenSignature[]) =>
  signatures.map(({ setIndex, signature }) => ({
    setIndex: Number(setIndex), signature: hexToBytes(signature),
  }));

const settlementOf = (receipt: WrittenReceipt) => ({
  receiptCid: receipt.receiptCid, outcome: Number(receipt.outcome), rows: rowsOf(receipt.rows),
});

test("settlement digests, row faults, signatures and approvals are those of the vectors", () => {
  const file = readVectors<{
    digests: (WrittenReceipt & { domain: Domain; termsHash: string; digest: string })[];
    rowFaults: { rows: WrittenRow[]; fault: string }[];
    signatures: { name: string; key: string; message: string; signature: string; valid: boolean }[];
    approvals: {
      name: string; m: string; keys: string[]; digest: string; signatures: WrittenSignature[];
      count?: string; fault?: string;
    }[];
  }>("settlement-solana.json", "digests");
  for (const c of file.digests) {
    checkRows(rowsOf(c.rows));
    assert.equal(settlementDigest(c.domain, c.termsHash, settlementOf(c)), c.digest);
  }
  for (const c of file.rowFaults) assertFault(() => checkRows(rowsOf(c.rows)), c.fault, c.fault);
  for (const c of file.signatures) {
    const valid = verifyStrict(hexToBytes(c.key), hexToBytes(c.message), hexToBytes(c.signature));
    assert.equal(valid, c.valid, c.name);
  }
  assert.deepEqual(new Set(file.signatures.map((c) => c.valid)), new Set([true, false]));
  for (const c of file.approvals) {
    const set = validatorSet(Number(c.m), c.keys);
    const outcome = verdict(() => checkApprovals(set, c.digest, signaturesOf(c.signatures)).length);
    assert.deepEqual(outcome, c.fault === undefined ? { value: Number(c.count) } : { fault: c.fault }, c.name);
  }
});

test("addresses are those of the vectors", () => {
  interface Address { readonly program: string; readonly address: string; readonly bump: string }
  const file = readVectors<{
    vaults: (Address & { termsHash: string })[]; validatorSets: (Address & { setHash: string })[];
  }>("vault-address.json", "vaults");
  for (const c of file.vaults) {
    assert.deepEqual(vaultAddress(c.termsHash, c.program), { address: c.address, bump: Number(c.bump) });
  }
  for (const c of file.validatorSets) {
    assert.deepEqual(vsetAddress(c.setHash, c.program), { address: c.address, bump: Number(c.bump) });
  }
});

/** Every integer as a decimal text, as the vector files spell them. */
function written(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item: unknown) =>
      typeof item === "bigint" || typeof item === "number" ? String(item) : item,
    ),
  );
}

test("arithmetic gives the plans and refusals of the vectors", () => {
  const file = readVectors<{
    cases: {
      name: string; commissionBps: string; gatewayFeeBps: string; budget: string; validatorFeeCap: string;
      commissionPayee: string; gatewayFeePayee: string; outcome: string; balance: string; rows: WrittenRow[];
      plan?: unknown; refusal?: string;
    }[];
  }>("arithmetic.json", "cases");
  let plans = 0;
  for (const c of file.cases) {
    const rules = {
      commissionBps: BigInt(c.commissionBps),
      gatewayFeeBps: BigInt(c.gatewayFeeBps),
      budget: BigInt(c.budget),
      validatorFeeCap: BigInt(c.validatorFeeCap),
      commissionPayee: c.commissionPayee,
      gatewayFeePayee: c.gatewayFeePayee,
    };
    const outcome = verdict(() => plan(rules, rowsOf(c.rows), Number(c.outcome), BigInt(c.balance)));
    if ("value" in outcome) plans += 1;
    assert.deepEqual(written(outcome), c.refusal === undefined ? { value: c.plan } : { fault: c.refusal }, c.name);
  }
  assert.ok(plans > 20);
});

interface WrittenOutcome {
  readonly receipts: string[];
  readonly rows: WrittenRow[];
}

type WrittenDerived = {
  readonly undecided?: string;
  readonly paid?: WrittenOutcome & { readonly winners: string[] };
  readonly rejected?: WrittenOutcome & { readonly judged: string[] };
};

const EARLY: Circumstances = {
  slow: false, depositLate: false, paidElsewhere: false, deadlinePassed: false, noLeaseFollows: false,
};
const ASKED: ReadonlyMap<string, Circumstances> = new Map([
  ["early", EARLY],
  ["deadlinePassed", { ...EARLY, deadlinePassed: true }],
  ["noLeaseFollows", { ...EARLY, noLeaseFollows: true }],
  ["over", { ...EARLY, deadlinePassed: true, noLeaseFollows: true }],
  ["decideAt", { ...EARLY, slow: true }],
  ["depositLate", { ...EARLY, depositLate: true }],
  ["paidElsewhere", { ...EARLY, paidElsewhere: true, slow: true }],
]);

/** The inputs of the derivation: what is a number is decimal, what is money a bigint. */
function inputsOf(value: Inputs): Inputs {
  const numbers = new Set(["attempt", "leaseCount", "lease", "validator", "rank", "claim"]);
  const read = (key: string, item: unknown): unknown => {
    if (numbers.has(key)) return Number(item);
    return key === "price" ? BigInt(item as string) : item;
  };
  return JSON.parse(JSON.stringify(value), read) as Inputs;
}

test("who is paid is what the vectors say", () => {
  const file = readVectors<{
    cases: {
      name: string; mode: Mode; agree: string; m: string; validators: { payee: string; fee: string }[];
      validatorFeeCap: string; termsHash: string; inputs: Inputs; answers: Record<string, WrittenDerived>;
    }[];
  }>("derive.json", "cases");
  const kinds = { undecided: 0, paid: 0, rejected: 0 };
  for (const c of file.cases) {
    const rules = {
      mode: c.mode,
      agree: Number(c.agree),
      m: Number(c.m),
      validators: c.validators.map(({ payee, fee }) => ({ payee, fee: BigInt(fee) })),
      validatorFeeCap: BigInt(c.validatorFeeCap),
      termsHash: c.termsHash,
    };
    const inputs = inputsOf(c.inputs);
    for (const [asked, expected] of Object.entries(c.answers)) {
      const circumstances = ASKED.get(asked);
      assert.ok(circumstances, asked);
      const derived = derive(rules, inputs, circumstances);
      kinds[derived.kind] += 1;
      let got: unknown;
      if (derived.kind === "undecided") got = { undecided: derived.why };
      else {
        const { kind, claims, receipts, rows } = derived;
        got = written({ [kind]: { [kind === "paid" ? "winners" : "judged"]: claims, receipts, rows } });
      }
      assert.deepEqual(got, expected, `${c.name}, ${asked}`);
    }
  }
  assert.ok(kinds.undecided > 50 && kinds.paid > 100 && kinds.rejected > 100, JSON.stringify(kinds));
});

interface WrittenCommand extends Partial<WrittenReceipt> {
  readonly kind: string;
  readonly amount?: string;
  readonly mintAllowed?: boolean;
  readonly setPublished?: boolean;
  readonly digest?: string;
  readonly signatures?: WrittenSignature[];
  readonly unpayable?: string[];
  readonly payee?: string;
  readonly payable?: boolean;
  readonly signer?: string;
  readonly to?: string;
}

test("the ledger walks through every scenario of the vectors", () => {
  const file = readVectors<{
    scenarios: {
      name: string; domain: Domain; terms: string; termsHash: string; vault: string; bump: string; m: string;
      keys: string[];
      steps: {
        now: string; command: WrittenCommand; refusal?: string;
        state?: { status: string; account: string; tokens: string | null }; effects?: unknown;
      }[];
    }[];
  }>("ledger.json", "scenarios");
  const codes = new Set<string>();
  for (const c of file.scenarios) {
    const terms = decodeTerms(hexToBytes(c.terms));
    const set = validatorSet(Number(c.m), c.keys);
    const hash = termsHash(terms, c.domain);
    assert.equal(hash, c.termsHash, c.name);
    const { address, bump } = vaultAddress(hash, c.domain.program);
    assert.deepEqual([address, bump], [c.vault, Number(c.bump)], c.name);
    const site = { domain: c.domain, termsHash: hash, vault: address, bump };
    let vault: Vault = { site, account: { kind: "absent" }, tokens: undefined };
    for (const [at, step] of c.steps.entries()) {
      const name = `${c.name}, step ${at}`;
      const { command: raw } = step;
      const approve = (): Approvals => {
        const digest = settlementDigest(c.domain, hash, settlementOf(raw as WrittenReceipt));
        assert.equal(digest, raw.digest, name);
        return { set, digest, count: checkApprovals(set, digest, signaturesOf(raw.signatures ?? [])).length };
      };
      const command = {
        ...raw,
        terms,
        ...(raw.amount === undefined ? {} : { amount: BigInt(raw.amount) }),
        ...(raw.setPublished === undefined ? {} : { set: raw.setPublished ? set : undefined }),
        ...(raw.kind === "settle" ? { settlement: settlementOf(raw as WrittenReceipt), approvals: approve() } : {}),
      } as unknown as Command;
      const outcome = verdict(() => apply(vault, command, BigInt(step.now)));
      if ("fault" in outcome) {
        codes.add(outcome.fault);
        assert.equal(outcome.fault, step.refusal, name);
        continue;
      }
      assert.equal(step.refusal, undefined, `${name} was executed`);
      vault = outcome.value.vault;
      assert.deepEqual(written(outcome.value.effects), step.effects, name);
      const state = {
        status: vault.account.kind,
        account: encodeAccount(vault),
        tokens: vault.tokens === undefined ? null : String(vault.tokens),
      };
      assert.deepEqual(state, step.state, name);
    }
  }
  assert.ok(codes.size > 12, [...codes].join());
});
