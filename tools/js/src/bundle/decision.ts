/** From evidence to the receipt it gives (spec §5.7). */
import { cidOf } from "../objects/canonical.ts";
import type { Json, JsonObject } from "../objects/json.ts";
import { type Plan, plan } from "../settlement/arithmetic.ts";
import { type Inputs, type Mode, derive } from "../settlement/derive.ts";
import { Fault } from "../settlement/fault.ts";
import { ZERO_32 } from "../settlement/layout.ts";
import { PAID, REJECTED, type Row, WORKER, checkRows } from "../settlement/receipt.ts";
import { setIndexOf } from "./dossier.ts";
import { type Evidence, opens } from "./evidence.ts";
import { amount, digestOf, integer, keyOf, object, text } from "./fields.ts";

export interface Decided {
  readonly receiptCid: string;
  readonly outcome: number;
  readonly claimCids: readonly string[];
  readonly plan: Plan;
}

/** The receipt after the deadline: what could be decided early, or at `decideAt`; undefined when undecided. */
export function decide(evidence: Evidence, slow: boolean): Decided | undefined {
  const { task } = evidence;
  const mode = text(task.intent, "mode") as Mode;
  const listed = Listed.of(evidence);
  const rules = {
    mode,
    agree: integer(task.intent, "quorum"),
    m: task.set.m,
    validators: task.members.map(({ payout, fee }) => ({ payee: payout, fee })),
    validatorFeeCap: task.terms.validatorFeeCap,
    termsHash: task.termsHash,
  };
  const derived = derive(rules, listed.inputs, {
    slow, depositLate: false, paidElsewhere: false, deadlinePassed: true, noLeaseFollows: true,
  });
  if (derived.kind === "undecided") return undefined;
  const outcome = derived.kind === "paid" ? PAID : REJECTED;
  const claimCids = derived.claims.map((claim) => listed.claims[claim] ?? "").sort();
  const roots = new Set(derived.claims.map((claim) => listed.roots[claim] ?? ""));
  let money: Plan;
  try {
    checkRows(derived.rows);
    money = plan(task.terms, derived.rows, outcome, task.terms.budget);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
  const receipt: JsonObject = new Map<string, Json>([
    ["objectVersion", 1],
    ["termsHash", task.termsHash],
    ["network", task.network],
    ["verifier", task.codec.addressOf(task.codec.verifier)],
    ["taskId", task.taskId],
    ["outcome", derived.kind],
    ["rows", derived.rows.map((row) => rowOf(row, task.codec.addressOf(row.payee)))],
    ["commission", String(money.commission)],
    ["gatewayFee", String(money.gatewayFee)],
    ["claimCids", claimCids],
    ["validationReceiptCids", derived.receipts.map((receipt) => listed.receipts[receipt] ?? "").sort()],
    ["leaseSetRoots", [...roots].sort()],
  ]);
  return { receiptCid: cidOf(receipt), outcome, claimCids, plan: money };
}

function rowOf({ role, amount: units }: Row, payee: string): JsonObject {
  const fields: [string, Json][] = [
    ["payee", payee],
    ["role", role === WORKER ? "worker" : "validator"],
    ["amount", String(units)],
  ];
  return new Map(fields);
}

/** The inputs of the derivation, with what their indexes stand for. */
class Listed {
  readonly inputs: Inputs;
  readonly claims: readonly string[];
  /** By claim. */
  readonly roots: readonly string[];
  readonly receipts: readonly string[];

  private constructor(inputs: Inputs, claims: readonly string[], roots: readonly string[], receipts: readonly string[]) {
    this.inputs = inputs;
    this.claims = claims;
    this.roots = roots;
    this.receipts = receipts;
  }

  static of(evidence: Evidence): Listed {
    const { task } = evidence;
    const sorted = <T>(items: ReadonlyMap<string, T>): T[] =>
      [...items].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
    const leases = sorted(evidence.leases);
    const claims = sorted(evidence.claims);
    const receipts = sorted(evidence.receipts);
    const leaseAt = (payload: JsonObject): number =>
      leases.findIndex(({ cid }) => cid === text(payload, "leaseCid"));
    // A lease is void without its worker's accept, so acks of it certify nothing.
    const acks = sorted(evidence.acks).filter(({ payload }) => evidence.accepts.has(text(payload, "leaseCid")));
    const validator = (payload: JsonObject): number => setIndexOf(task, text(payload, "validator"));
    const inputs: Inputs = {
      leases: leases.map(({ payload }) => ({
        attempt: integer(payload, "attempt"),
        setRoot: text(payload, "leaseSetRoot"),
        leaseCount: integer(payload, "leaseCount"),
        worker: keyOf(text(payload, "worker")),
        payee: task.codec.account(text(object(payload, "payout"), "address")) ?? ZERO_32,
        price: amount(payload, "price"),
      })),
      commits: sorted(evidence.commits).map(({ payload }) => ({
        lease: leaseAt(payload), commit: text(payload, "commit"),
      })),
      acks: acks.map(({ payload }) => ({
        validator: validator(payload),
        lease: leaseAt(payload),
        commit: text(payload, "commit"),
        rank: integer(payload, "rank"),
      })),
      claims: claims.map((claim) => ({
        cid: digestOf(claim.cid),
        lease: leaseAt(claim.payload),
        commit: opens(text(task.intent, "mode"), claim),
        salt: text(claim.payload, "salt"),
        canonicalDigest: digestOf(text(claim.payload, "canonicalDigest")),
      })),
      receipts: receipts.map(({ cid, payload }) => ({
        validator: validator(payload),
        claim: claims.findIndex((claim) => claim.cid === text(payload, "claimCid")),
        accept: text(payload, "verdict") === "accept",
        cid: digestOf(cid),
      })),
    };
    const rootOf = (payload: JsonObject): string => inputs.leases[leaseAt(payload)]?.setRoot ?? "";
    return new Listed(
      inputs,
      claims.map(({ cid }) => cid),
      claims.map(({ payload }) => rootOf(payload)),
      receipts.map(({ cid }) => cid),
    );
  }
}
