/** What was signed since: which objects are evidence of a task (spec §5.1–5.6). */
import type { Verified } from "../objects/envelope.ts";
import { claimCommit, leaseSetRoot } from "../objects/hashes.ts";
import type { JsonObject } from "../objects/json.ts";
import { Fault } from "../settlement/fault.ts";
import {
  type Dossier, isForbiddenWorker, isValidatorKey, leaseLimits, setIndexOf,
} from "./dossier.ts";
import { amount, digestOf, integer, object, objects, text } from "./fields.ts";

const MAX_LEASES = 64;
const MAX_EVIDENCE_BYTES = 16 * 1024 * 1024;
const MAX_CLAIM_BYTES = 64 * 1024 * 1024;
/** Two of these about one lease void it; more prove nothing. */
const CONTRADICTION = 2;

/** The order in which kinds are admitted: what is named comes first. */
const KINDS = ["lease", "leaseAccept", "claimCommit", "commitAck", "resultClaim", "validationReceipt"];

/** The commit a claim opens: its sealed hash, in mode single its own CID. */
export function opens(mode: string, { cid, payload }: Verified): string {
  if (mode === "single") return digestOf(cid);
  return claimCommit({
    taskId: text(payload, "taskId"),
    leaseCid: text(payload, "leaseCid"),
    worker: text(payload, "worker"),
    outputCid: text(object(payload, "output"), "cid"),
    evidenceRoot: text(payload, "evidenceRoot"),
    salt: text(payload, "salt"),
  });
}

export class Evidence {
  readonly task: Dossier;
  /** All by CID, but accepts by lease. */
  readonly leases = new Map<string, Verified>();
  readonly accepts = new Map<string, Verified>();
  readonly commits = new Map<string, Verified>();
  readonly acks = new Map<string, Verified>();
  readonly claims = new Map<string, Verified>();
  readonly receipts = new Map<string, Verified>();
  readonly #sets = new Set<string>();

  constructor(task: Dossier) {
    this.task = task;
  }

  /** Admits all objects, leases of one set together; refuses with the first that is no evidence. */
  admit(all: readonly Verified[]): void {
    const order = ({ kind, cid }: Verified): string => `${KINDS.indexOf(kind)}${cid}`;
    const sorted = [...all].sort((a, b) => (order(a) < order(b) ? -1 : 1));
    const sets = new Map<string, Verified[]>();
    for (const lease of sorted.filter(({ kind }) => kind === "lease")) {
      const key = `${integer(lease.payload, "attempt")} ${text(lease.payload, "leaseSetRoot")}`;
      sets.set(key, [...(sets.get(key) ?? []), lease]);
    }
    for (const [, leases] of [...sets].sort(([a], [b]) => (a < b ? -1 : 1))) this.#admitSet(leases);
    for (const one of sorted.filter(({ kind }) => kind !== "lease")) this.#admitOne(one);
  }

  #admitSet(leases: readonly Verified[]): void {
    if (!isLeaseSet(this.task, leases)) throw new Fault("LeaseSet");
    const [first] = leases;
    const key = first === undefined ? "" : `${integer(first.payload, "attempt")} ${text(first.payload, "leaseSetRoot")}`;
    if (this.#sets.has(key) || this.leases.size + leases.length > MAX_LEASES) throw new Fault("SlotTaken");
    this.#sets.add(key);
    for (const lease of leases) this.leases.set(lease.cid, lease);
  }

  #admitOne(one: Verified): void {
    const { payload } = one;
    if (text(payload, "taskId") !== this.task.taskId) throw new Fault("OtherTask");
    if (text(payload, "network") !== this.task.network) throw new Fault("OtherNetwork");
    switch (one.kind) {
      case "leaseAccept":
        return this.#admitAccept(one);
      case "claimCommit":
        return this.#admitCommit(one);
      case "commitAck":
        return this.#admitAck(one);
      case "resultClaim":
        return this.#admitClaim(one);
      case "validationReceipt":
        return this.#admitReceipt(one);
      default:
        throw new TypeError(`${one.kind} is no evidence`);
    }
  }

  /** The lease an object names; its signer must hold it. */
  #leaseOf(payload: JsonObject): JsonObject {
    const lease = this.leases.get(text(payload, "leaseCid"))?.payload;
    if (lease === undefined) throw new Fault("UnknownLease");
    if (text(lease, "worker") !== text(payload, "worker")) throw new Fault("WrongWorker");
    return lease;
  }

  #checkTerms(payload: JsonObject): void {
    if (text(payload, "termsHash") !== this.task.termsHash) throw new Fault("OtherTerms");
  }

  #checkValidator(payload: JsonObject): void {
    if (setIndexOf(this.task, text(payload, "validator")) < 0) throw new Fault("UnknownValidator");
  }

  /** What a lease's worker committed to. */
  commitsOf(lease: string): ReadonlySet<string> {
    const of = [...this.commits.values()].filter(({ payload }) => text(payload, "leaseCid") === lease);
    return new Set(of.map(({ payload }) => text(payload, "commit")));
  }

  #admitAccept(accept: Verified): void {
    const lease = this.#leaseOf(accept.payload);
    if (integer(accept.payload, "atMs") >= integer(lease, "expiresAtMs")) throw new Fault("TooLate");
    const cid = text(accept.payload, "leaseCid");
    if (this.accepts.has(cid)) throw new Fault("SlotTaken");
    this.accepts.set(cid, accept);
  }

  #admitCommit(commit: Verified): void {
    this.#leaseOf(commit.payload);
    const known = this.commitsOf(text(commit.payload, "leaseCid"));
    if (known.has(text(commit.payload, "commit")) || known.size >= CONTRADICTION) throw new Fault("SlotTaken");
    this.commits.set(commit.cid, commit);
  }

  #admitAck(ack: Verified): void {
    const { payload } = ack;
    this.#checkValidator(payload);
    const leaseCid = text(payload, "leaseCid");
    const lease = this.leases.get(leaseCid)?.payload;
    if (lease === undefined) throw new Fault("UnknownLease");
    if (integer(payload, "attempt") !== integer(lease, "attempt")) throw new Fault("WrongAttempt");
    if (integer(payload, "rank") > integer(lease, "leaseCount")) throw new Fault("RankOverMax");
    const closed = Math.min(integer(lease, "expiresAtMs"), this.task.commitByMs);
    if (integer(payload, "atMs") >= closed) throw new Fault("TooLate");
    if (!this.commitsOf(leaseCid).has(text(payload, "commit"))) throw new Fault("UnknownCommit");
    const held = [...this.acks.values()].filter(
      ({ payload: other }) =>
        text(other, "validator") === text(payload, "validator") && text(other, "leaseCid") === leaseCid,
    );
    const isSame = held.some(
      ({ payload: other }) =>
        text(other, "commit") === text(payload, "commit") && integer(other, "rank") === integer(payload, "rank"),
    );
    if (isSame || held.length >= CONTRADICTION) throw new Fault("SlotTaken");
    this.acks.set(ack.cid, ack);
  }

  #admitClaim(claim: Verified): void {
    const { payload } = claim;
    this.#checkTerms(payload);
    this.#leaseOf(payload);
    const bytes = integer(object(payload, "output"), "bytes");
    if (bytes > integer(object(this.task.manifest, "permissions"), "outputBytes")) throw new Fault("OutputTooLarge");
    const sizes = objects(payload, "evidence").map((piece) => integer(piece, "bytes"));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    if (sizes.some((size) => size > MAX_EVIDENCE_BYTES) || total > MAX_CLAIM_BYTES) {
      throw new Fault("EvidenceTooLarge");
    }
    const lease = text(payload, "leaseCid");
    if (!this.commitsOf(lease).has(opens(text(this.task.intent, "mode"), claim))) throw new Fault("UnknownCommit");
    const known = [...this.claims.values()].filter(({ payload: other }) => text(other, "leaseCid") === lease);
    if (known.length >= CONTRADICTION) throw new Fault("SlotTaken");
    this.claims.set(claim.cid, claim);
  }

  #admitReceipt(receipt: Verified): void {
    const { payload } = receipt;
    this.#checkTerms(payload);
    this.#checkValidator(payload);
    if (!this.claims.has(text(payload, "claimCid"))) throw new Fault("UnknownClaim");
    if (text(payload, "model") !== text(object(this.task.intent, "validation"), "model")) {
      throw new Fault("WrongModel");
    }
    const isKnown = [...this.receipts.values()].some(({ payload: other }) =>
      ["validator", "claimCid", "verdict"].every((field) => text(other, field) === text(payload, field)),
    );
    if (isKnown) throw new Fault("SlotTaken");
    this.receipts.set(receipt.cid, receipt);
  }
}

/** Whether these are all leases of one set of this task, and what they can cost fits the budget. */
function isLeaseSet(task: Dossier, signed: readonly Verified[]): boolean {
  const leases = signed.map(({ payload }) => payload);
  const [first] = leases;
  if (first === undefined) return false;
  const { min, max } = leaseLimits(task);
  const all = (field: string): Set<unknown> => new Set(leases.map((lease) => lease.get(field)));
  const distinctPayouts = new Set(leases.map((lease) => text(object(lease, "payout"), "address")));
  const pairs = leases.map((lease) => ({ worker: text(lease, "worker"), price: text(lease, "price") }));
  return (
    leases.every((lease) => belongs(task, lease)) &&
    ["attempt", "leaseSetRoot", "leaseCount"].every((field) => all(field).size === 1) &&
    all("leaseIndex").size === leases.length &&
    all("worker").size === leases.length &&
    distinctPayouts.size === leases.length &&
    leases.length === integer(first, "leaseCount") &&
    leases.length >= min &&
    leases.length <= max &&
    leaseSetRoot(pairs) === text(first, "leaseSetRoot") &&
    worstCase(task, leases) <= task.terms.budget
  );
}

function belongs(task: Dossier, lease: JsonObject): boolean {
  const payee = task.codec.account(text(object(lease, "payout"), "address"));
  return (
    text(lease, "taskId") === task.taskId &&
    text(lease, "termsHash") === task.termsHash &&
    text(lease, "network") === task.network &&
    text(lease, "gateway") === text(task.intent, "gateway") &&
    integer(lease, "attempt") <= task.lastAttempt &&
    integer(lease, "startMs") >= integer(task.intent, "issuedAtMs") &&
    integer(lease, "expiresAtMs") <= integer(task.intent, "deadlineMs") &&
    !isValidatorKey(task, text(lease, "worker")) &&
    payee !== undefined &&
    !isForbiddenWorker(task, payee)
  );
}

/** Worker pay in the worst case of the mode, the gateway's fee on it, and the whole validator cap. */
function worstCase({ intent, terms }: Dossier, leases: readonly JsonObject[]): bigint {
  const prices = leases.map((lease) => amount(lease, "price"));
  const work =
    text(intent, "mode") === "quorum"
      ? prices.reduce((sum, price) => sum + price, 0n)
      : prices.reduce((most, price) => (price > most ? price : most), 0n);
  return work + (work * terms.gatewayFeeBps) / 10_000n + terms.validatorFeeCap;
}
