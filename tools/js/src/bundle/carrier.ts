/** The settlement receipt with its signatures (spec §2.1): its shape, and whether enough of the set signed it. */
import { hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { canonical, cidOf } from "../objects/canonical.ts";
import { type Json, type JsonObject, Refusal, hasFloat, isList, isObject, parseStrict } from "../objects/json.ts";
import { SETTLEMENT_RECEIPT } from "../objects/kinds.ts";
import { object as objectShape, signature, u8 } from "../objects/shape.ts";
import { plan } from "../settlement/arithmetic.ts";
import { Fault, within } from "../settlement/fault.ts";
import { PAID, REJECTED, type Row, VALIDATOR, WORKER, checkRows } from "../settlement/receipt.ts";
import { need } from "../settlement/set.ts";
import { type Dossier, isForbidden } from "./dossier.ts";
import { amount, digestOf, integer, objects, text } from "./fields.ts";
import { checkRules } from "./rules.ts";

export interface Carrier {
  readonly receipt: JsonObject;
  readonly receiptCid: string;
  readonly signatures: readonly { readonly setIndex: number; readonly signature: Uint8Array }[];
}

const MAX_BYTES = 64 * 1024;
/** The carrier and the receipt are two of the 32 levels. */
const MAX_RECEIPT_DEPTH = 31;
const ENTRY = objectShape({ setIndex: u8, signature });

/** Reads `{receipt, signatures}`, or throws a {@link Refusal}. */
export function carrier(value: Json): Carrier {
  if (!isObject(value)) throw new Refusal("the carrier is not an object");
  const [receipt, listed] = [value.get("receipt"), value.get("signatures")];
  if (value.size !== 2 || !isObject(receipt) || !isList(listed)) throw new Refusal("the carrier is closed");
  const bytes = utf8ToBytes(canonical(value));
  if (bytes.length > MAX_BYTES) throw new Refusal("the carrier is too large");
  parseStrict(utf8ToBytes(canonical(receipt)), { maxBytes: MAX_BYTES, floats: false, maxDepth: MAX_RECEIPT_DEPTH });
  if (receipt.get("objectVersion") !== 1 || hasFloat(receipt) || !SETTLEMENT_RECEIPT(receipt)) {
    throw new Refusal("a field of the receipt is missing or malformed");
  }
  checkRules("settlementReceipt", receipt);
  const entries = listed.map((entry) => {
    if (!isObject(entry) || entry.size !== 2 || !ENTRY(entry)) throw new Refusal("a signature entry is malformed");
    return { setIndex: integer(entry, "setIndex"), signature: hexToBytes(text(entry, "signature")) };
  });
  const ascend = entries.every(
    ({ setIndex }, at) => setIndex < 16 && (at === 0 || setIndex > (entries[at - 1]?.setIndex ?? 16)),
  );
  if (entries.length > 16 || !ascend) throw new Refusal("signatures do not ascend by set index");
  return { receipt, receiptCid: cidOf(receipt), signatures: entries };
}

/** The set indexes that signed a receipt of this task whose numbers are the chain's, or a {@link Fault}. */
export function checkCarrier(task: Dossier, { receipt, receiptCid, signatures }: Carrier): readonly number[] {
  if (text(receipt, "taskId") !== task.taskId) throw new Fault("OtherTask");
  if (text(receipt, "termsHash") !== task.termsHash) throw new Fault("OtherTerms");
  if (text(receipt, "network") !== task.network) throw new Fault("OtherNetwork");
  const { codec } = task;
  if (text(receipt, "verifier") !== codec.addressOf(codec.verifier)) throw new Fault("OtherVerifier");
  const rows = objects(receipt, "rows").map((row): Row => {
    const payee = codec.account(text(row, "payee"));
    if (payee === undefined) throw new Fault("BadPayee");
    if (isForbidden(task, payee)) throw new Fault("ForbiddenPayee");
    return { payee, role: text(row, "role") === "worker" ? WORKER : VALIDATOR, amount: amount(row, "amount") };
  });
  within("Rows", () => checkRows(rows));
  const outcome = text(receipt, "outcome") === "paid" ? PAID : REJECTED;
  const money = within("Plan", () => plan(task.terms, rows, outcome, task.terms.budget));
  if (amount(receipt, "commission") !== money.commission) throw new Fault("Commission");
  if (amount(receipt, "gatewayFee") !== money.gatewayFee) throw new Fault("GatewayFee");
  const settlement = { receiptCid: digestOf(receiptCid), outcome, rows };
  const digest = codec.settlementDigest(task.termsHash, settlement);
  if (signatures.some((entry) => entry.signature.length !== codec.signatureLength)) throw new Fault("SignatureLength");
  const signers = within("Signature", () => codec.approvals(task.set, digest, signatures));
  if (signers.length < need(task.terms, task.set, task.terms.settleBy)) throw new Fault("TooFewSignatures");
  return signers;
}
