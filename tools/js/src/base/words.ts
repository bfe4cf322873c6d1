/** ABI words, Keccak and EVM accounts (spec §2.3). Accounts are `0x` and 40 lower-case hex digits. */
import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { Fault } from "../settlement/fault.ts";

export const ZERO_ACCOUNT = `0x${"0".repeat(40)}`;

/** Chain id and ledger a hash is for. */
export interface BaseDomain {
  readonly chainId: string;
  readonly ledger: string;
}

/** Bytes of a `0x` text. */
export function raw(hex: string): Uint8Array {
  if (!/^0x([0-9a-f]{2})*$/.test(hex)) throw new TypeError(`${hex} is not lower-case 0x hex`);
  return hexToBytes(hex.slice(2));
}

export const text = (bytes: Uint8Array): string => `0x${bytesToHex(bytes)}`;

export const keccak = (...parts: readonly Uint8Array[]): Uint8Array => keccak_256(concatBytes(...parts));

/** The hash of a type string. */
export const typeHash = (type: string): Uint8Array => keccak(utf8ToBytes(type));

/** Left-padded to a word; an integer, an account or 32 bytes. */
export function word(value: bigint | string): Uint8Array {
  const hex = typeof value === "bigint" ? value.toString(16) : value.slice(2);
  if (hex.length > 64 || hex.startsWith("-")) throw new RangeError("does not fit a word");
  return hexToBytes(hex.padStart(64, "0"));
}

/** The number in a word of a type with this many bits, or a {@link Fault} for bits it does not have. */
export function uint(bytes: Uint8Array, bits: number): bigint {
  const value = BigInt(text(bytes));
  if (value >> BigInt(bits) !== 0n) throw new Fault("DirtyWord");
  return value;
}

export const account = (bytes: Uint8Array): string =>
  `0x${uint(bytes, 160).toString(16).padStart(40, "0")}`;

const DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";

/** `keccak256(0x1901 ‖ domain separator ‖ struct hash)`. */
export function typedDigest(chainId: bigint, ledger: string, struct: Uint8Array): string {
  const separator = keccak(
    typeHash(DOMAIN_TYPE), typeHash("d402 TaskEscrow"), typeHash("1"), word(chainId), word(ledger),
  );
  return text(keccak(Uint8Array.of(0x19, 0x01), separator, struct));
}
