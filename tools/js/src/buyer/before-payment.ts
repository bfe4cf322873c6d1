/**
 * A guard for stock x402 clients: recomputes from a 402 where the money would go and under which terms, and lets
 * the client sign only what this buyer agreed to (threat #4). Without it a stock client pays whatever `payTo`
 * it is shown.
 */
import { type Signer, setHash, signers } from "../base/settlement.ts";
import type { BaseTerms } from "../base/terms.ts";
import { amount, integer, maybeText, text } from "../bundle/fields.ts";
import type { JsonObject } from "../objects/json.ts";
import { type Entry, type Requirements, openEntry } from "./entry.ts";
import { graceOf } from "./networks.ts";
import { Refused, refuseIf } from "./refused.ts";

/** What this buyer agrees to. Whatever decides who gets the money has no default. */
export interface Policy {
  /** CAIP-2 name → where the rest and refunds go; as in the request. Other networks are refused. */
  readonly refundTo: Readonly<Record<string, string>>;
  /** Sets whose m signatures may release the money. */
  readonly validatorSets: readonly { readonly m: number; readonly members: readonly Signer[] }[];
  /** Most for one task, base units (1,000,000 is 1 USDC). */
  readonly maxAmount: bigint;
  /** Most the gateway takes, of what workers get. */
  readonly maxGatewayFeeBps: number;
  /** Most the creator takes of what workers get; the contract's limit, 2,000, unless said. */
  readonly maxCommissionBps?: number;
  /** Most for all validators together, base units; the contract's limit, half the budget, unless said. */
  readonly maxValidatorFees?: bigint;
  /** Longest time until an unfinished task's money can be fetched back, s. */
  readonly maxRefundSeconds: number;
  /** Whether a bare majority may sign when the threshold stays silent; only `refund` unless said. */
  readonly onSilence?: "refund" | "majority";
  /**
   * CAIP-2 name → account of the worker this buyer named in the request (`worker`). There the payment goes straight to
   * it and to nobody else; on networks without an entry it goes into escrow.
   */
  readonly workers?: Readonly<Record<string, string>>;
  /** Manifests that may be bought; any unless said. */
  readonly manifestCids?: readonly string[];
}

/** What `@x402/fetch` and `@x402/axios` hand to `onBeforePaymentCreation`. */
export interface Payment {
  readonly paymentRequired: { readonly x402Version: number };
  readonly selectedRequirements: Requirements;
}

export type Hook = (payment: Payment) => Promise<void | { abort: true; reason: string }>;

/** The hook: `client.onBeforePaymentCreation(beforePayment(policy))`. `now` is Unix ms. */
export function beforePayment(policy: Policy, now: () => number = Date.now): Hook {
  return async ({ paymentRequired, selectedRequirements }) => {
    try {
      refuseIf(paymentRequired.x402Version !== 2, "NoTerms", "x402 version 1 carries no terms");
      checkPayment(selectedRequirements, policy, BigInt(Math.floor(now() / 1_000)));
      return undefined;
    } catch (error) {
      // Whatever goes wrong in here, the client must not sign.
      return { abort: true, reason: error instanceof Refused ? error.message : `the guard failed: ${String(error)}` };
    }
  };
}

/** Throws {@link Refused} unless the entry is within the policy at this time, Unix seconds. */
export function checkPayment(requirements: Requirements, policy: Policy, nowS: bigint): void {
  const entry = openEntry(requirements, nowS, policy.workers?.[requirements.network]);
  checkIntent(entry, requirements.network);
  const { terms, intent } = entry;
  const own = policy.refundTo[requirements.network]?.toLowerCase();
  refuseIf(own === undefined, "Network", `no refundTo for ${requirements.network}`);
  refuseIf(terms.refundTo !== own, "RefundTo", `refunds would go to ${terms.refundTo}`);
  const hashes = policy.validatorSets.map(({ m, members }) => setHash(signers(m, ascending(members))));
  refuseIf(!hashes.includes(terms.validatorSet), "ValidatorSet", `${terms.validatorSet} is none of yours`);
  refuseIf(terms.budget > policy.maxAmount, "Amount", `${terms.budget} is more than ${policy.maxAmount}`);
  refuseIf(terms.gatewayFeeBps > BigInt(policy.maxGatewayFeeBps), "Fees", `gateway fee of ${terms.gatewayFeeBps} bps`);
  refuseIf(terms.commissionBps > BigInt(policy.maxCommissionBps ?? 2_000), "Fees", `commission of ${terms.commissionBps} bps`);
  refuseIf(terms.validatorFeeCap > (policy.maxValidatorFees ?? terms.budget), "Fees", `validators may take ${terms.validatorFeeCap}`);
  refuseIf(terms.onSilence === 1n && policy.onSilence !== "majority", "OnSilence", "a bare majority could sign");
  refuseIf(BigInt(integer(intent, "deadlineMs")) <= nowS * 1_000n, "Deadlines", "the task's deadline has passed");
  const latest = nowS + BigInt(policy.maxRefundSeconds);
  refuseIf(terms.refundAfter > latest, "Deadlines", `locked until ${terms.refundAfter}`);
  const manifest = text(intent, "manifestCid");
  refuseIf(policy.manifestCids?.includes(manifest) === false, "Manifest", `${manifest} is none of yours`);
}

const ascending = (members: readonly Signer[]): readonly Signer[] =>
  members
    .map(({ key, kind }) => ({ key: key.toLowerCase(), kind }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));

/** The terms are those of the intent: honest validators sign for no others, so the work would be lost. */
function checkIntent({ terms, intent, payment, asset }: Entry, network: string): void {
  const deadline = BigInt(Math.ceil(integer(intent, "deadlineMs") / 1_000));
  const judging = terms.settleBy - deadline;
  const same: readonly (readonly [field: string, isSame: boolean])[] = [
    ["network", text(payment, "network") === network],
    ["asset", text(payment, "asset") === asset],
    ["issuedAt", BigInt(Math.floor(integer(intent, "issuedAtMs") / 1_000)) === terms.issuedAt],
    ["settleBy", judging >= 60n && judging <= 3_600n],
    ["refundAfter", terms.refundAfter === terms.settleBy + graceOf(terms.budget)],
    ["onSilence", (text(intent, "onSilence") === "majority") === (terms.onSilence === 1n)],
    ...samePayment(terms, payment),
  ];
  const other = same.find(([, isSame]) => !isSame);
  refuseIf(other !== undefined, "Intent", `the intent has another ${other?.[0]}`);
}

function samePayment(terms: BaseTerms, payment: JsonObject): readonly (readonly [string, boolean])[] {
  const feePayee = maybeText(payment, "gatewayFeePayee") ?? `0x${"0".repeat(40)}`;
  return [
    ["budget", amount(payment, "budget") === terms.budget],
    ["validatorFeeCap", amount(payment, "validatorFeeCap") === terms.validatorFeeCap],
    ["refundTo", text(payment, "refundTo") === terms.refundTo],
    ["validatorSet", `0x${text(payment, "validatorSet")}` === terms.validatorSet],
    ["gatewayFeeBps", BigInt(integer(payment, "gatewayFeeBps")) === terms.gatewayFeeBps],
    ["gatewayFeePayee", feePayee === terms.gatewayFeePayee],
    ["salt", `0x${text(payment, "salt")}` === terms.salt],
  ];
}
