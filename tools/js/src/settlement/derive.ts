/**
 * Who is paid (spec §5.1–5.7, §4.4), written a second time: names and structure are not those of the
 * Rust crate, the answers must be.
 */
import { final } from "./quorum.ts";
import { bytes32, hash, tag } from "./layout.ts";
import { type Row, VALIDATOR, WORKER } from "./receipt.ts";

export type Mode = "single" | "race" | "quorum";

export interface Rules {
  readonly mode: Mode;
  /** k of quorum. */
  readonly agree: number;
  readonly m: number;
  /** By set index. */
  readonly validators: readonly { readonly payee: string; readonly fee: bigint }[];
  readonly validatorFeeCap: bigint;
  readonly termsHash: string;
}

export interface Lease {
  readonly attempt: number;
  readonly setRoot: string;
  readonly leaseCount: number;
  readonly worker: string;
  readonly payee: string;
  readonly price: bigint;
}

export interface Commit {
  readonly lease: number;
  readonly commit: string;
}

export interface Ack extends Commit {
  readonly validator: number;
  readonly rank: number;
}

export interface Claim extends Commit {
  readonly cid: string;
  readonly salt: string;
  readonly canonicalDigest: string;
}

export interface Verdict {
  readonly validator: number;
  readonly claim: number;
  readonly accept: boolean;
  readonly cid: string;
}

export interface Inputs {
  readonly leases: readonly Lease[];
  readonly commits: readonly Commit[];
  readonly acks: readonly Ack[];
  readonly claims: readonly Claim[];
  readonly receipts: readonly Verdict[];
}

export interface Circumstances {
  /** From `decideAt` on. */
  readonly slow: boolean;
  readonly depositLate: boolean;
  readonly paidElsewhere: boolean;
  readonly deadlinePassed: boolean;
  readonly noLeaseFollows: boolean;
}

export type Undecided = "NothingAccepted" | "LowerAttemptOpen" | "NoClearWinner" | "NotUnanimous";

interface Outcome {
  /** Indexes of claims: paid, or judged. Ascending. */
  readonly claims: readonly number[];
  /** Indexes of verdicts behind it, ascending by CID. */
  readonly receipts: readonly number[];
  readonly rows: readonly Row[];
}

export type Derived =
  | { readonly kind: "undecided"; readonly why: Undecided }
  | ({ readonly kind: "paid" } & Outcome)
  | ({ readonly kind: "rejected" } & Outcome);

export function derive(rules: Rules, inputs: Inputs, circumstances: Circumstances): Derived {
  if (circumstances.depositLate || circumstances.paidElsewhere) {
    return { kind: "rejected", claims: [], receipts: [], rows: [] };
  }
  const table = new Table(rules, inputs);
  const decision = decide(table, circumstances.slow);
  if (typeof decision !== "string") return { kind: "paid", ...table.pay(decision, true) };
  const over = circumstances.deadlinePassed && circumstances.noLeaseFollows && table.everythingIsOut();
  if (!circumstances.slow && !over) return { kind: "undecided", why: decision };
  const judged = inputs.claims.map((_, claim) => claim).filter((claim) => table.judges(claim).length > 0);
  return { kind: "rejected", ...table.pay(judged, false) };
}

function decide(table: Table, slow: boolean): readonly number[] | Undecided {
  const accepted = table.accepted();
  if (accepted.length === 0) return "NothingAccepted";
  switch (table.rules.mode) {
    case "single":
      return single(table, accepted, slow);
    case "race":
      return race(table, accepted, slow);
    case "quorum":
      return quorum(table, accepted, slow);
  }
}

function single(table: Table, accepted: readonly number[], slow: boolean): readonly number[] | Undecided {
  const order = (claim: number): string => `${String(table.attempt(claim)).padStart(3, "0")}${table.claim(claim).cid}`;
  const winner = smallest(accepted, order);
  const open = table.inputs.claims.some(
    (claim, index) =>
      table.attempt(index) < table.attempt(winner) && table.isCertified(claim) && !table.isRejected(index),
  );
  return open && !slow ? "LowerAttemptOpen" : [winner];
}

function race(table: Table, accepted: readonly number[], slow: boolean): readonly number[] | Undecided {
  if (!slow) {
    const q = final(table.rules.m, table.n);
    const clear = accepted.find((claim) => table.firstRanks(table.claim(claim)) >= q);
    return clear === undefined ? "NoClearWinner" : [clear];
  }
  const votes = new Map(accepted.map((claim) => [claim, 0]));
  for (let validator = 0; validator < table.n; validator += 1) {
    const ballot = accepted.filter((claim) => table.rankBy(validator, table.claim(claim)) !== undefined);
    if (ballot.length === 0) continue;
    const order = (claim: number): string => {
      const { cid } = table.claim(claim);
      return `${String(table.rankBy(validator, table.claim(claim))).padStart(3, "0")}${cid}`;
    };
    const choice = smallest(ballot, order);
    votes.set(choice, (votes.get(choice) ?? 0) + 1);
  }
  const most = Math.max(...votes.values());
  const tied = accepted.filter((claim) => votes.get(claim) === most);
  return [smallest(tied, (claim) => table.tieBreak(tied, claim) + table.claim(claim).cid)];
}

function quorum(table: Table, accepted: readonly number[], slow: boolean): readonly number[] | Undecided {
  if (!slow && accepted.length < table.leaseCount()) return "NotUnanimous";
  const groups = new Map<string, number[]>();
  for (const claim of accepted) {
    const { canonicalDigest } = table.claim(claim);
    groups.set(canonicalDigest, [...(groups.get(canonicalDigest) ?? []), claim]);
  }
  const most = Math.max(...[...groups.values()].map((group) => group.length));
  const largest = [...groups.values()].filter((group) => group.length === most);
  const [group] = largest;
  if (group === undefined || largest.length > 1 || most < table.rules.agree) return "NotUnanimous";
  return group.sort((a, b) => a - b);
}

/** The item whose text is smallest. */
function smallest(items: readonly number[], order: (item: number) => string): number {
  const [best] = [...items].sort((a, b) => (order(a) < order(b) ? -1 : 1));
  if (best === undefined) throw new RangeError("no item");
  return best;
}

const keyOf = ({ lease, commit }: Commit): string => `${lease}:${commit}`;

/** Everything that is asked about the inputs. */
class Table {
  readonly rules: Rules;
  readonly inputs: Inputs;
  readonly n: number;
  readonly #void = new Set<number>();
  readonly #equivocators = new Set<number>();
  readonly #inForce: ReadonlySet<number>;
  /** Lease and commit → validator → lowest rank. */
  readonly #ranks = new Map<string, Map<number, number>>();
  /** Claim → verdict → validator → receipt with the smallest CID. */
  readonly #verdicts: readonly { accept: Map<number, number>; reject: Map<number, number> }[];

  constructor(rules: Rules, inputs: Inputs) {
    this.rules = rules;
    this.inputs = inputs;
    this.n = rules.validators.length;
    for (const { lease, commit } of inputs.commits) {
      if (inputs.commits.some((other) => other.lease === lease && other.commit !== commit)) this.#void.add(lease);
    }
    const acks = inputs.acks.filter(
      ({ validator, lease, rank }) => validator < this.n && lease < inputs.leases.length && rank > 0,
    );
    this.#findEquivocators(acks);
    this.#inForce = this.#setsInForce(acks);
    for (const ack of acks.filter(({ lease }) => this.#inForce.has(lease))) {
      const ranks = this.#ranks.get(keyOf(ack)) ?? new Map<number, number>();
      ranks.set(ack.validator, Math.min(ack.rank, ranks.get(ack.validator) ?? ack.rank));
      this.#ranks.set(keyOf(ack), ranks);
    }
    this.#verdicts = inputs.claims.map((_, claim) => this.#verdictsOf(claim));
  }

  #findEquivocators(acks: readonly Ack[]): void {
    for (const a of acks) {
      const contradicts = acks.some((b) => {
        if (b.validator !== a.validator) return false;
        const same = b.lease === a.lease && b.commit === a.commit;
        const sameRank = b.rank === a.rank && this.lease(b.lease).attempt === this.lease(a.lease).attempt;
        return (sameRank && !same) || (b.lease === a.lease && !(same && b.rank === a.rank));
      });
      if (contradicts) this.#equivocators.add(a.validator);
    }
  }

  /** Per attempt the best backed set of at least m validators; then the smaller root. */
  #setsInForce(acks: readonly Ack[]): ReadonlySet<number> {
    const inForce = new Set<number>();
    const attempts = new Set(this.inputs.leases.map(({ attempt }) => attempt));
    for (const attempt of attempts) {
      if (this.rules.mode !== "single" && attempt > 1) continue;
      const backers = new Map<string, Set<number>>();
      for (const { lease, validator } of acks) {
        const { setRoot, attempt: of } = this.lease(lease);
        if (of === attempt) backers.set(setRoot, (backers.get(setRoot) ?? new Set()).add(validator));
      }
      const enough = [...backers].filter(([, validators]) => validators.size >= this.rules.m);
      const [best] = enough.sort(([a, x], [b, y]) => y.size - x.size || (a < b ? -1 : 1));
      this.inputs.leases.forEach((lease, index) => {
        if (lease.attempt === attempt && lease.setRoot === best?.[0]) inForce.add(index);
      });
    }
    return inForce;
  }

  #verdictsOf(claim: number): { accept: Map<number, number>; reject: Map<number, number> } {
    const sides = { accept: new Map<number, number>(), reject: new Map<number, number>() };
    this.inputs.receipts.forEach((receipt, index) => {
      if (receipt.claim !== claim || receipt.validator >= this.n) return;
      const side = receipt.accept ? sides.accept : sides.reject;
      const known = side.get(receipt.validator);
      if (known === undefined || receipt.cid < this.receipt(known).cid) side.set(receipt.validator, index);
    });
    const both = [...sides.accept.keys()].filter((validator) => sides.reject.has(validator));
    for (const validator of both) {
      sides.accept.delete(validator);
      sides.reject.delete(validator);
    }
    return sides;
  }

  lease(index: number): Lease {
    return at(this.inputs.leases, index);
  }

  claim(index: number): Claim {
    return at(this.inputs.claims, index);
  }

  receipt(index: number): Verdict {
    return at(this.inputs.receipts, index);
  }

  attempt(claim: number): number {
    return this.inputs.leases[this.claim(claim).lease]?.attempt ?? 255;
  }

  isCertified(commit: Commit): boolean {
    return !this.#void.has(commit.lease) && (this.#ranks.get(keyOf(commit))?.size ?? 0) >= this.rules.m;
  }

  firstRanks(commit: Commit): number {
    const ranks = [...(this.#ranks.get(keyOf(commit)) ?? [])];
    return ranks.filter(([validator, rank]) => rank === 1 && !this.#equivocators.has(validator)).length;
  }

  /** The rank behind a validator's vote. */
  rankBy(validator: number, commit: Commit): number | undefined {
    return this.#equivocators.has(validator) ? undefined : this.#ranks.get(keyOf(commit))?.get(validator);
  }

  isAccepted(claim: number): boolean {
    return at(this.#verdicts, claim).accept.size >= this.rules.m;
  }

  isRejected(claim: number): boolean {
    return at(this.#verdicts, claim).reject.size >= this.rules.m;
  }

  /** Accepted and certified claims, of each lease the one with the smallest CID. */
  accepted(): readonly number[] {
    const byLease = new Map<number, number>();
    this.inputs.claims.forEach((claim, index) => {
      if (!this.isAccepted(index) || !this.isCertified(claim)) return;
      const known = byLease.get(claim.lease);
      if (known === undefined || claim.cid < this.claim(known).cid) byLease.set(claim.lease, index);
    });
    return [...byLease.values()];
  }

  leaseCount(): number {
    return Math.max(...[...this.#inForce].map((index) => this.lease(index).leaseCount));
  }

  /** Every commit anybody saw is of a void lease, or opened by a claim that m rejected (spec §4.4a). */
  everythingIsOut(): boolean {
    const { acks, commits, claims } = this.inputs;
    const seen: readonly Commit[] = [...acks, ...commits, ...claims];
    return seen
      .filter(({ lease }) => lease < this.inputs.leases.length)
      .every(
        (commit) =>
          this.#void.has(commit.lease) ||
          claims.some((claim, index) => keyOf(claim) === keyOf(commit) && this.isRejected(index)),
      );
  }

  tieBreak(tied: readonly number[], claim: number): string {
    const salts = tied.map((index) => this.claim(index).salt).sort();
    const { worker } = this.lease(this.claim(claim).lease);
    const parts = [this.rules.termsHash, ...salts, worker].map(bytes32);
    return hash(tag("d402/race/v1"), ...parts);
  }

  /** The m lowest set indexes behind the verdict m validators reached: validator and receipt. */
  judges(claim: number): readonly (readonly [validator: number, receipt: number])[] {
    const { accept, reject } = at(this.#verdicts, claim);
    const side = this.isAccepted(claim) ? accept : this.isRejected(claim) ? reject : new Map<number, number>();
    return [...side].sort(([a], [b]) => a - b).slice(0, this.rules.m);
  }

  pay(claims: readonly number[], paid: boolean): Outcome {
    const rows = new Map<string, Row>();
    const add = (payee: string, role: number, amount: bigint): void => {
      const known = rows.get(payee);
      if (known === undefined) rows.set(payee, { payee, role, amount });
      else if (known.role === role) rows.set(payee, { payee, role, amount: known.amount + amount });
    };
    if (paid) {
      for (const claim of claims) {
        const { payee, price } = this.lease(this.claim(claim).lease);
        add(payee, WORKER, price);
      }
    }
    const behind = claims.flatMap((claim) => this.judges(claim));
    let left = this.rules.validatorFeeCap;
    for (const validator of [...new Set(behind.map(([index]) => index))].sort((a, b) => a - b)) {
      const { payee, fee } = at(this.rules.validators, validator);
      if (fee > left) break;
      left -= fee;
      if (fee > 0n) add(payee, VALIDATOR, fee);
    }
    const receipts = [...new Set(behind.map(([, receipt]) => receipt))];
    receipts.sort((a, b) => (this.receipt(a).cid < this.receipt(b).cid ? -1 : 1));
    const ascending = [...rows.values()].sort((a, b) => (a.payee < b.payee ? -1 : 1));
    return { claims: [...claims], receipts, rows: ascending };
  }
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`no item ${index}`);
  return item;
}
