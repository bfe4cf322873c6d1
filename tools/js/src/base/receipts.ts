/** What `settle` on Base does with a call: money moved, or the class of the fault (spec §2.4, §3.1). */
import { plan } from "../settlement/arithmetic.ts";
import { Fault } from "../settlement/fault.ts";
import { type BaseRow, type Signer, checkSignatures, escrowOf, setHash, settlementDigest, signers } from "./settlement.ts";
import { type BaseTerms, checkSettleable, termsHash } from "./terms.ts";
import { type BaseDomain, ZERO_ACCOUNT } from "./words.ts";

export interface Call {
  readonly terms: BaseTerms;
  readonly m: number;
  readonly members: readonly Signer[];
  readonly now: bigint;
  readonly balance: bigint;
  readonly receiptCid: string;
  readonly outcome: number;
  readonly rows: readonly BaseRow[];
  readonly signatures: readonly { readonly setIndex: number; readonly signature: Uint8Array }[];
}

export interface Moved {
  readonly commission: bigint;
  readonly fee: bigint;
  readonly refund: bigint;
  /** What each row's payee gets. */
  readonly rows: readonly bigint[];
}

/** The money a call moves, or a {@link Fault} whose code is its class. */
export function judge(domain: BaseDomain, call: Call): Moved {
  const { terms, rows, now } = call;
  as("NotSettleable", () => checkSettleable(terms, domain, now));
  if (now >= terms.refundAfter) throw new Fault("TooLate");
  const set = as("BadSet", () => signers(call.m, call.members));
  if (setHash(set) !== terms.validatorSet) throw new Fault("WrongSet");
  checkRows(rows);
  const hash = termsHash(terms, domain.ledger);
  const forbidden = [escrowOf(domain.ledger, hash), terms.asset, domain.ledger];
  const payees = [...rows.map(({ payee }) => payee), terms.commissionPayee, terms.gatewayFeePayee];
  if (payees.some((payee) => forbidden.includes(payee))) throw new Fault("BadPayee");
  if (call.outcome !== 1 && call.outcome !== 2) throw new Fault("BadOutcome");
  const digest = settlementDigest(domain, hash, call);
  const signed = as("BadSignature", () => checkSignatures(set, digest, call.signatures));
  const need =
    terms.onSilence === 1n && now >= terms.settleBy ? Math.floor(set.members.length / 2) + 1 : set.m;
  if (signed < need) throw new Fault("NotEnoughSignatures");
  const paid = planned(call);
  const net = rows.map(({ payee }) => paid.payouts.find(({ to }) => to === payee)?.amount ?? 0n);
  return { commission: paid.commission, fee: paid.gatewayFee, refund: paid.residual, rows: net };
}

function checkRows(rows: readonly BaseRow[]): void {
  const isBad = rows.some(
    ({ payee, role, amount }, at) =>
      payee === ZERO_ACCOUNT || role > 1 || amount === 0n || payee <= (rows[at - 1]?.payee ?? ""),
  );
  if (rows.length > 16 || isBad) throw new Fault("BadRows");
}

function planned({ terms, rows, outcome, balance }: Call): ReturnType<typeof plan> {
  try {
    return plan(terms, rows, outcome, balance);
  } catch (error) {
    const isOutcome = error instanceof Fault && error.code.includes("Worker");
    throw isOutcome ? new Fault("BadOutcome") : error;
  }
}

/** Any fault of `run` is of this class. */
function as<T>(code: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof Fault ? new Fault(code) : error;
  }
}
