/**
 * The offline verifier of bundles, a second time: everything about one task from the bytes of one
 * file. Verdicts are those of the Rust crate: a proof, or the class of the first broken link, with
 * its cause where that is a rule of the task and not of an encoding.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

import { canonical } from "../objects/canonical.ts";
import type { Verified } from "../objects/envelope.ts";
import { type Json, type JsonObject, Refusal, isList, isObject, parseStrict } from "../objects/json.ts";
import { cid as cidShape, network as networkShape, u16, u8 } from "../objects/shape.ts";
import { Fault, within } from "../settlement/fault.ts";
import { PAID } from "../settlement/receipt.ts";
import { carrier, checkCarrier } from "./carrier.ts";
import { type Decided, decide } from "./decision.ts";
import { type Dossier, dossier } from "./dossier.ts";
import { Evidence } from "./evidence.ts";
import { list, object, text, integer } from "./fields.ts";
import { evidenceOf } from "./rules.ts";
import { ascending, open, orObject } from "./signed.ts";

const VERSION = 1;
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_DEPTH = 40;

const OBJECTS = ["intent", "manifest", "registration", "signedReceipt"];
const EVIDENCE = [
  ["leases", "lease"],
  ["leaseAccepts", "leaseAccept"],
  ["commits", "claimCommit"],
  ["acks", "commitAck"],
  ["claims", "resultClaim"],
  ["validationReceipts", "validationReceipt"],
] as const;
const LISTS = ["offers", "bids", "blobs", ...EVIDENCE.map(([field]) => field)];
const FIELDS = ["bundleVersion", "network", "paymentIndex", ...OBJECTS, ...LISTS];

/** `Early`: no later evidence can contradict it; `Final`: the evidence at `decideAt`; `NoEvidence`: their word. */
export type Ground = "Early" | "Final" | "NoEvidence";

export interface Proof {
  readonly taskId: string;
  readonly termsHash: string;
  readonly payTo: string;
  readonly receiptCid: string;
  readonly outcome: "Paid" | "Rejected";
  readonly ground: Ground;
  readonly owed: bigint;
  readonly residual: bigint;
  /** Set indexes. */
  readonly signers: readonly number[];
}

/** Verifies a bundle from its bytes alone, or throws a {@link Fault} that names the first broken link. */
export function verify(bytes: Uint8Array): Proof {
  const file = readFile(bytes);
  const contents = contentsOf(file);
  const task = taskOf(file, contents);
  const bids = ascending("bid", list(file, "bids"));
  const signed = orObject(() => carrier(file.get("signedReceipt") ?? null));
  const objects = EVIDENCE.flatMap(([field, kind]) => ascending(kind, list(file, field)));

  const evidence = new Evidence(task);
  within("Evidence", () => evidence.admit(objects));
  if (!bids.every((bid) => isAnswered(evidence, bid))) throw new Fault("Bid");
  const signers = within("Receipt", () => checkCarrier(task, signed));
  const [decided, ground] = rederive(evidence, signed.receiptCid);
  checkContents(evidence, decided, contents);
  return {
    taskId: task.taskId,
    termsHash: task.termsHash,
    payTo: task.codec.addressOf(task.payTo),
    receiptCid: decided.receiptCid,
    outcome: decided.outcome === PAID ? "Paid" : "Rejected",
    ground: objects.length === 0 ? "NoEvidence" : ground,
    owed: decided.plan.owed,
    residual: decided.plan.residual,
    signers,
  };
}

function readFile(bytes: Uint8Array): JsonObject {
  let value: Json;
  try {
    value = parseStrict(bytes, { maxBytes: MAX_BYTES, floats: true, maxDepth: MAX_DEPTH });
  } catch (error) {
    throw error instanceof Refusal ? new Fault("Strict") : error;
  }
  if (bytesToHex(utf8ToBytes(canonical(value))) !== bytesToHex(bytes)) throw new Fault("NotCanonical");
  if (!hasShape(value)) throw new Fault("Schema");
  if (integer(value, "bundleVersion") !== VERSION) throw new Fault("Version");
  return value;
}

/** The closed shape of the file; what its objects are is looked at later. */
function hasShape(value: Json): value is JsonObject {
  if (!isObject(value) || value.size !== FIELDS.length) return false;
  const fits = (field: string, shape: (item: Json) => boolean): boolean => {
    const item = value.get(field);
    return item !== undefined && shape(item);
  };
  return (
    FIELDS.every((field) => value.has(field)) &&
    fits("bundleVersion", u16) &&
    fits("paymentIndex", u8) &&
    fits("network", networkShape) &&
    LISTS.every((field) => isList(value.get(field))) &&
    list(value, "blobs").every(isBlob)
  );
}

function isBlob(value: Json): boolean {
  if (!isObject(value) || value.size !== 2) return false;
  const [cid, base64] = [value.get("cid"), value.get("base64")];
  return cid !== undefined && cidShape(cid) && typeof base64 === "string";
}

/** CID → number of bytes. One spelling per content: no padding, no stray bits. */
function contentsOf(file: JsonObject): ReadonlyMap<string, number> {
  const contents = new Map<string, number>();
  let last = "";
  for (const blob of list(file, "blobs")) {
    if (!isObject(blob)) throw new TypeError("blobs were checked");
    const [cid, base64] = [text(blob, "cid"), text(blob, "base64")];
    if (cid <= last) throw new Fault("Order");
    last = cid;
    const bytes = Buffer.from(base64, "base64");
    const isSpelt = bytes.toString("base64").replace(/=+$/, "") === base64;
    if (!isSpelt || `sha256:${bytesToHex(sha256(bytes))}` !== cid) throw new Fault("Content");
    contents.set(cid, bytes.length);
  }
  return contents;
}

function taskOf(file: JsonObject, contents: ReadonlyMap<string, number>): Dossier {
  const intent = open("taskIntent", file.get("intent") ?? null);
  const manifest = open("manifest", file.get("manifest") ?? null);
  const registration = open("registration", file.get("registration") ?? null);
  const offers = list(file, "offers").map((offer) => open("validatorOffer", offer));
  const cid = text(object(intent.payload, "input"), "cid");
  const bytes = contents.get(cid);
  if (bytes === undefined) throw new Fault("NoInput");
  const paymentIndex = integer(file, "paymentIndex");
  const task = within("Dossier", () =>
    dossier({ intent, manifest, registration, offers, input: { cid, bytes }, paymentIndex }),
  );
  if (task.network !== text(file, "network")) throw new Fault("OtherNetwork");
  return task;
}

/** A lease answers the bid as it was made (threat #67). */
function isAnswered(evidence: Evidence, { cid, payload: bid }: Verified): boolean {
  const same = ["worker", "taskId", "termsHash", "network", "price"];
  return [...evidence.leases.values()].some(
    ({ payload: lease }) =>
      text(lease, "bidCid") === cid &&
      same.every((field) => text(lease, field) === text(bid, field)) &&
      ["network", "address"].every(
        (field) => text(object(lease, "payout"), field) === text(object(bid, "payout"), field),
      ),
  );
}

/** No clock is under a signature, so both paths are tried. */
function rederive(evidence: Evidence, receiptCid: string): readonly [Decided, Ground] {
  const early = decide(evidence, false);
  if (early?.receiptCid === receiptCid) return [early, "Early"];
  const final = decide(evidence, true);
  if (final?.receiptCid === receiptCid) return [final, "Final"];
  throw new Fault("OtherOutcome");
}

/** The input, and outputs and evidence of paid claims; nothing else. */
function checkContents(evidence: Evidence, decided: Decided, contents: ReadonlyMap<string, number>): void {
  const needed = new Set([text(object(evidence.task.intent, "input"), "cid")]);
  if (decided.outcome === PAID) {
    for (const cid of decided.claimCids) {
      const claim = evidence.claims.get(cid)?.payload;
      if (claim === undefined) throw new TypeError("a decided claim is evidence");
      needed.add(text(object(claim, "output"), "cid"));
      for (const piece of evidenceOf(claim)) needed.add(piece.cid);
    }
  }
  if ([...contents.keys()].some((cid) => !needed.has(cid))) throw new Fault("UnneededContent");
}
