/**
 * Fixed byte layouts: tags, little-endian integers, 32-byte values. Addresses, hashes and keys are
 * lower-case hex texts of 32 bytes here; for those, text order is byte order.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

export const ZERO_32 = "0".repeat(64);

/** Cluster and program a hash is for. */
export interface Domain {
  readonly genesis: string;
  readonly program: string;
}

/** The simulated rail: zero genesis, zero program. */
export const SIMULATED: Domain = { genesis: ZERO_32, program: ZERO_32 };

/** ASCII padded with zeros to 32 bytes. */
export function tag(name: string): Uint8Array {
  const padded = new Uint8Array(32);
  padded.set(utf8ToBytes(name));
  return padded;
}

/** 32 bytes of a hex text. */
export function bytes32(hex: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new TypeError(`${hex} is not 32 bytes of lower-case hex`);
  return hexToBytes(hex);
}

/** An unsigned (or, below zero, two's complement) integer, little endian. */
export function littleEndian(value: bigint, width: number): Uint8Array {
  const bits = BigInt(width * 8);
  if (BigInt.asUintN(Number(bits), value) !== value && BigInt.asIntN(Number(bits), value) !== value) {
    throw new RangeError(`${value} does not fit ${width} bytes`);
  }
  const bytes = new Uint8Array(width);
  let rest = BigInt.asUintN(Number(bits), value);
  for (let at = 0; at < width; at += 1) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** SHA-256 over the parts, as hex. */
export function hash(...parts: readonly Uint8Array[]): string {
  return bytesToHex(sha256(concatBytes(...parts)));
}

/** Reads fields one after the other. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(width: number): Uint8Array {
    if (width > this.left) throw new RangeError("bytes end early");
    const bytes = this.#bytes.subarray(this.#at, this.#at + width);
    this.#at += width;
    return bytes;
  }

  unsigned(width: number): bigint {
    return this.take(width).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }

  signed(width: number): bigint {
    return BigInt.asIntN(width * 8, this.unsigned(width));
  }

  hex32(): string {
    return bytesToHex(this.take(32));
  }
}
