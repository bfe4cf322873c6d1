/** One entry of a 402's `accepts`, opened: terms, intent and the payment of the intent it is for. */
import { escrowOf } from "../base/settlement.ts";
import { type BaseTerms, checkSettleable, decodeTerms, termsHash } from "../base/terms.ts";
import { checkRules } from "../bundle/rules.ts";
import { objects } from "../bundle/fields.ts";
import { cidOf } from "../objects/canonical.ts";
import { checkPayload } from "../objects/envelope.ts";
import { type JsonObject, Refusal, isObject, parseStrict } from "../objects/json.ts";
import { KINDS } from "../objects/kinds.ts";
import { Fault } from "../settlement/fault.ts";
import { base64urlnopad } from "./base64.ts";
import { LEDGER, NETWORKS } from "./networks.ts";
import { Refused, type Rule, refuseIf } from "./refused.ts";

/** x402 v2 `PaymentRequirements`. Everything in it is the seller's word. */
export interface Requirements {
  readonly scheme: string;
  readonly network: string;
  readonly amount: string;
  readonly asset: string;
  readonly payTo: string;
  readonly maxTimeoutSeconds: number;
  readonly extra?: unknown;
}

/** An entry whose parts say the same. */
export interface Entry {
  readonly terms: BaseTerms;
  readonly intent: JsonObject;
  /** `intent.payment` of this entry. */
  readonly payment: JsonObject;
  readonly asset: string;
}

const MAX_INTENT_BYTES = 64 * 1024;
const MAX_TIMEOUT_S = 600;

/**
 * Opens an entry and recomputes its address at this time, Unix seconds; or throws {@link Refused}. With a worker's
 * account it is one that pays that worker straight, without one it pays into escrow.
 */
export function openEntry(entry: Requirements, nowS: bigint, worker?: string): Entry {
  const extra = fields(entry.extra, "NoTerms", "extra");
  const d402 = fields(extra["d402"], "NoTerms", "extra.d402");
  const flow = extra["paymentFlow"];
  const isFlow = worker === undefined ? flow === "upfront" : (flow ?? "authorization") === "authorization";
  const wanted = worker === undefined ? "an upfront payment into escrow" : "an authorization for the named worker";
  refuseIf(entry.scheme !== "exact" || !isFlow, "Flow", `not ${wanted}`);
  refuseIf((extra["assetTransferMethod"] ?? "eip3009") !== "eip3009", "Flow", "not an EIP-3009 transfer");
  refuseIf(!isLife(entry.maxTimeoutSeconds), "Deadlines", `an authorization for ${entry.maxTimeoutSeconds} s`);
  const network = NETWORKS.get(entry.network);
  if (network === undefined) throw new Refused("Network", `${entry.network} is not known`);
  const terms = termsIn(d402["terms"]);
  const payTo = worker === undefined ? escrowOf(LEDGER, termsHash(terms, LEDGER)) : lower(worker);
  refuseIf(lower(entry.payTo) !== payTo, "PayTo", `this is paid at ${payTo}`);
  as("Terms", () => checkSettleable(terms, network.domain, nowS));
  refuseIf(lower(entry.asset) !== network.asset || terms.asset !== network.asset, "Asset", "not this network's USDC");
  refuseIf(entry.amount !== String(terms.budget), "Amount", `the terms are for ${terms.budget}`);
  const intent = intentIn(d402["intent"]);
  refuseIf(cidOf(intent) !== `sha256:${terms.taskId.slice(2)}`, "Intent", "the terms are of another task");
  const index = d402["paymentIndex"];
  const payment = typeof index === "number" ? objects(intent, "payment")[index] : undefined;
  if (payment === undefined) throw new Refused("Intent", "no such payment");
  checkDirect(payment, terms, worker);
  return { terms, intent, payment, asset: network.asset };
}

/** Paid straight, the intent names the same account and nobody has a share; into escrow, it names none. */
function checkDirect(payment: JsonObject, terms: BaseTerms, worker: string | undefined): void {
  const direct = payment.get("direct");
  if (worker === undefined) return refuseIf(direct !== undefined, "Intent", "the intent pays a worker straight");
  const named = isObject(direct) ? lower(direct.get("payTo")) : undefined;
  refuseIf(named !== lower(worker), "Intent", `the intent pays ${named ?? "into escrow"}`);
  const shares = terms.commissionBps + terms.gatewayFeeBps + terms.validatorFeeCap;
  return refuseIf(shares !== 0n, "Fees", "a direct payment has one receiver");
}

/** A longer one could be kept and used when nobody expects it any more. */
const isLife = (seconds: number): boolean => Number.isInteger(seconds) && seconds > 0 && seconds <= MAX_TIMEOUT_S;

const lower = (address: unknown): string => String(address).toLowerCase();

function fields(value: unknown, rule: Rule, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw new Refused(rule, `no ${what}`);
  return value as Readonly<Record<string, unknown>>;
}

function termsIn(text: unknown): BaseTerms {
  return as("Terms", () => decodeTerms(base64urlnopad(text)));
}

function intentIn(value: unknown): JsonObject {
  return as("Intent", () => {
    const bytes = new TextEncoder().encode(JSON.stringify(value) ?? "");
    const intent = parseStrict(bytes, { maxBytes: MAX_INTENT_BYTES, floats: false });
    const kind = KINDS.get("taskIntent");
    if (!isObject(intent) || kind === undefined) throw new Refusal("not an object");
    checkPayload(kind, intent);
    checkRules("taskIntent", intent);
    return intent;
  });
}

/** A broken rule of what was opened, under the rule it breaks here. */
function as<T>(rule: Rule, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof Fault || error instanceof Refusal ? new Refused(rule, error.message) : error;
  }
}
