/** EIP-191 wallet signatures: r ‖ s ‖ v, low S, v 27 or 28. */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";

/** Whether the wallet at `address` (20 bytes) signed `message`. Never throws. */
export function verifyWallet(
  address: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const v = signature[64];
  if (signature.length !== 65 || (v !== 27 && v !== 28)) return false;
  try {
    const parsed = secp256k1.Signature.fromBytes(signature.slice(0, 64), "compact");
    if (parsed.hasHighS()) return false;
    const hash = keccak_256(
      concatBytes(utf8ToBytes(`\x19Ethereum Signed Message:\n${message.length}`), message),
    );
    const point = parsed.addRecoveryBit(v - 27).recoverPublicKey(hash);
    const recovered = keccak_256(point.toBytes(false).subarray(1)).subarray(12);
    return bytesToHex(recovered) === bytesToHex(address);
  } catch {
    return false;
  }
}
