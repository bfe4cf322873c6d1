/**
 * The closed signed envelope `{payload, payloadType, signer, signature}`.
 *
 * Checked here: strict JSON, kind, version, fields and their shapes, signer against role field,
 * signature over the pre-image, and the keys of a validator offer over each other. Not checked:
 * rules between fields (a deadline after its start), which only the Rust crate holds.
 */
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { cidOf, digest } from "./canonical.ts";
import { verifyStrict } from "./ed25519.ts";
import {
  type Json, type JsonObject, Refusal, hasFloat, isObject, parseStrict,
} from "./json.ts";
import { KINDS, type Kind } from "./kinds.ts";
import { network as networkShape, object, signer as signerShape } from "./shape.ts";
import { verifyWallet } from "./wallet.ts";

export interface Verified {
  readonly kind: string;
  readonly signer: string;
  readonly cid: string;
  /** Hex of the bytes the signature covers. */
  readonly preimage: string;
  readonly payload: JsonObject;
}

const FIELDS = ["payload", "payloadType", "signer", "signature"];
const LARGEST = 256 * 1024;
const VERSION = 1;

/** Decodes and verifies, or throws a {@link Refusal}. */
export function openEnvelope(bytes: Uint8Array): Verified {
  const envelope = parseStrict(bytes, { maxBytes: LARGEST, floats: true });
  if (!isObject(envelope)) throw new Refusal("not an object");
  if (envelope.size !== FIELDS.length || !FIELDS.every((field) => envelope.has(field))) {
    throw new Refusal("the envelope is closed");
  }
  const name = textOf(envelope, "payloadType");
  const kind = name.startsWith("d402.") ? KINDS.get(name.slice(5)) : undefined;
  if (kind === undefined) throw new Refusal("unknown kind");
  if (bytes.length > kind.maxBytes) throw new Refusal("too large for its kind");
  const payload = envelope.get("payload");
  if (!isObject(payload)) throw new Refusal("payload is not an object");
  checkPayload(kind, payload);

  const signer = textOf(envelope, "signer");
  if (!signerShape(signer)) throw new Refusal("malformed signer");
  const role = kind.role.map((field) => payload.get(field) ?? undefined).find((id) => id !== undefined);
  if (role !== signer) throw new Refusal("signer is not the role field");
  const message = preimage(name, payload, signer);
  const signature = hexOf(textOf(envelope, "signature"));
  if (!verifyBy(signer, message, signature)) throw new Refusal("signature");
  if (name === "d402.validatorOffer") checkCrossSignatures(payload);
  return {
    kind: name.slice(5),
    signer,
    cid: cidOf(payload),
    preimage: bytesToHex(message),
    payload,
  };
}

/** Version and fields of a kind, signed or not. */
export function checkPayload(kind: Kind, payload: JsonObject): void {
  const version = payload.get("objectVersion");
  if (version !== VERSION) throw new Refusal("unsupported objectVersion");
  for (const [name, value] of payload) {
    if (!(kind.floats ?? []).includes(name) && hasFloat(value)) throw new Refusal(`float in ${name}`);
  }
  if (!object(kind.fields)(payload)) throw new Refusal("a field is missing or malformed");
}

/** `0xFF "d402env" 0x01 ‖ lp(payloadType) ‖ u16 version ‖ lp(network) ‖ lp(signer) ‖ digest`. */
function preimage(name: string, payload: JsonObject, signer: string): Uint8Array {
  const kind = KINDS.get(name.slice(5));
  const bound = kind !== undefined && kind.fields["network"] === networkShape;
  const network = bound ? textOf(payload, "network") : "d402";
  return concatBytes(
    MAGIC,
    lengthPrefixed(name),
    u16le(VERSION),
    lengthPrefixed(network),
    lengthPrefixed(signer),
    digest(payload),
  );
}

const MAGIC = concatBytes(Uint8Array.of(0xff), utf8ToBytes("d402env"), Uint8Array.of(1));

function u16le(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8);
}

function lengthPrefixed(text: string): Uint8Array {
  const bytes = utf8ToBytes(text);
  return concatBytes(u16le(bytes.length), bytes);
}

function verifyBy(signer: string, message: Uint8Array, signature: Uint8Array): boolean {
  // Only a namespace proof's role field has room for a wallet, so no other kind gets here with one.
  return signer.startsWith("eip191:")
    ? verifyWallet(hexToBytes(signer.slice("eip191:0x".length)), message, signature)
    : verifyStrict(keyBytes(signer), message, signature);
}

/** Settlement and EVM key each sign that they belong to this validator (threat #50). */
function checkCrossSignatures(offer: JsonObject): void {
  const keys = objectOf(offer, "settlementKey");
  const signatures = objectOf(offer, "crossSignatures");
  const validator = textOf(offer, "validator");
  const settlement = textOf(keys, "ed25519");
  const evm = keys.get("evm") ?? undefined;
  const evmSignature = signatures.get("evmSignsSettlement") ?? undefined;
  if (validator === settlement) throw new Refusal("settlement key is the envelope key");
  if ((evm === undefined) !== (evmSignature === undefined)) throw new Refusal("evm key and signature");
  const message = (tag: string): Uint8Array =>
    concatBytes(
      Uint8Array.of(0xff),
      utf8ToBytes(tag),
      Uint8Array.of(1),
      keyBytes(validator),
      keyBytes(settlement),
      lengthPrefixed(typeof evm === "string" ? evm : ""),
    );
  const bySettlement = hexOf(textOf(signatures, "settlementSignsEnvelope"));
  if (!verifyStrict(keyBytes(settlement), message("d402xs1"), bySettlement)) {
    throw new Refusal("settlementSignsEnvelope");
  }
  if (typeof evm === "string" && typeof evmSignature === "string") {
    if (!verifyWallet(hexToBytes(evm.slice(2)), message("d402xs2"), hexOf(evmSignature))) {
      throw new Refusal("evmSignsSettlement");
    }
  }
}

function keyBytes(id: string): Uint8Array {
  return hexToBytes(id.slice("ed25519:".length));
}

function hexOf(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})+$/.test(text)) throw new Refusal("not lower-case hex");
  return hexToBytes(text);
}

function textOf(from: JsonObject, field: string): string {
  const value: Json | undefined = from.get(field);
  if (typeof value !== "string") throw new Refusal(`${field} is not a text`);
  return value;
}

function objectOf(from: JsonObject, field: string): JsonObject {
  const value = from.get(field);
  if (!isObject(value)) throw new Refusal(`${field} is not an object`);
  return value;
}
