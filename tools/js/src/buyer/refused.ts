/** Why a payment is not made, by rule and by the threat it stands against. */
export type Rule =
  | "NoTerms" | "Flow" | "Network" | "Asset" | "Amount" | "Terms" | "PayTo" | "Intent" | "RefundTo"
  | "ValidatorSet" | "Fees" | "OnSilence" | "Deadlines" | "Manifest";

const THREATS: Readonly<Record<Rule, string>> = {
  NoTerms: "#4", Flow: "#39", Network: "#4", Asset: "#4", Amount: "#40", Terms: "#6", PayTo: "#4", Intent: "#4",
  RefundTo: "#4", ValidatorSet: "#4", Fees: "#4", OnSilence: "#4", Deadlines: "#35", Manifest: "#4",
};

/** A 402 that this buyer's policy does not pay. */
export class Refused extends Error {
  readonly rule: Rule;
  readonly threat: string;
  constructor(rule: Rule, why: string) {
    super(`${rule} (${THREATS[rule]}): ${why}`);
    this.rule = rule;
    this.threat = THREATS[rule];
  }
}

export function refuseIf(isBroken: boolean, rule: Rule, why: string): void {
  if (isBroken) throw new Refused(rule, why);
}
