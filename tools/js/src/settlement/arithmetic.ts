/** Who gets how much (spec §2.4). Every division rounds down. */
import { Fault } from "./fault.ts";
import { PAID, type Row, VALIDATOR, WORKER } from "./receipt.ts";
import type { Terms } from "./terms.ts";

export type MoneyRules = Pick<
  Terms,
  "commissionBps" | "gatewayFeeBps" | "budget" | "validatorFeeCap" | "commissionPayee" | "gatewayFeePayee"
>;

export type PayoutRole = "Worker" | "Validator" | "Creator" | "Gateway";

export interface Payout {
  readonly to: string;
  readonly amount: bigint;
  readonly role: PayoutRole;
}

export interface Plan {
  /** Rows in their order, then creator, then gateway; zero amounts left out. */
  readonly payouts: readonly Payout[];
  readonly workerTotal: bigint;
  readonly validatorTotal: bigint;
  readonly commission: bigint;
  readonly gatewayFee: bigint;
  readonly owed: bigint;
  readonly residual: bigint;
}

const MAX_UNITS = (1n << 96n) - 1n;

const share = (amount: bigint, bps: bigint): bigint => (amount * bps) / 10_000n;

/** The plan, or a {@link Fault}. */
export function plan(rules: MoneyRules, rows: readonly Row[], outcome: number, balance: bigint): Plan {
  const total = (role: number): bigint =>
    rows.reduce((sum, row) => (row.role === role ? sum + row.amount : sum), 0n);
  const hasWorker = rows.some((row) => row.role === WORKER);
  if (outcome === PAID && !hasWorker) throw new Fault("PaidWithoutWorker");
  if (outcome !== PAID && hasWorker) throw new Fault("RejectedWithWorker");
  const [workerTotal, validatorTotal] = [total(WORKER), total(VALIDATOR)];
  if (validatorTotal > rules.validatorFeeCap) throw new Fault("ValidatorsOverCap");
  const gatewayFee = share(workerTotal, rules.gatewayFeeBps);
  const owed = workerTotal + validatorTotal + gatewayFee;
  if (owed > MAX_UNITS || owed > rules.budget) throw new Fault("OverBudget");
  if (owed > balance) throw new Fault("Underfunded");

  let commission = 0n;
  const payouts: Payout[] = rows.map(({ payee, role, amount }) => {
    const taken = role === WORKER ? share(amount, rules.commissionBps) : 0n;
    commission += taken;
    return { to: payee, amount: amount - taken, role: role === WORKER ? "Worker" : "Validator" };
  });
  payouts.push({ to: rules.commissionPayee, amount: commission, role: "Creator" });
  payouts.push({ to: rules.gatewayFeePayee, amount: gatewayFee, role: "Gateway" });
  return {
    payouts: payouts.filter(({ amount }) => amount > 0n),
    workerTotal, validatorTotal, commission, gatewayFee, owed, residual: balance - owed,
  };
}
