/**
 * Ed25519 under the strict rule: A and R canonical and not of small order, S < L, and the equation
 * without the cofactor. The library's own `verify` multiplies by the cofactor even with
 * `zip215: false`, and node's takes small-order points; either alone would take signatures that
 * no chain pays on.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes } from "@noble/hashes/utils.js";

const { Point } = ed25519;

/** Whether `signature` over `message` by `key` is good. Never throws. */
export function verifyStrict(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  const r = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= Point.Fn.ORDER) return false;
  const A = canonicalPoint(key);
  const R = canonicalPoint(r);
  if (A === undefined || R === undefined) return false;
  if (A.isSmallOrder() || R.isSmallOrder()) return false;
  if (!ed25519.verify(signature, message, key, { zip215: false })) return false;
  const k = littleEndian(sha512(concatBytes(r, key, message))) % Point.Fn.ORDER;
  const expected = Point.BASE.multiplyUnsafe(s).subtract(A.multiplyUnsafe(k));
  return bytesToHex(expected.toBytes()) === bytesToHex(r);
}

/** The point these bytes spell, if they are its one spelling. */
function canonicalPoint(bytes: Uint8Array): InstanceType<typeof Point> | undefined {
  try {
    const point = Point.fromBytes(bytes, false);
    return bytesToHex(point.toBytes()) === bytesToHex(bytes) ? point : undefined;
  } catch {
    return undefined;
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}
