/** Program-derived addresses of vaults and published sets (spec §2.2). */
import { ed25519 } from "@noble/curves/ed25519.js";
import { hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { bytes32, hash } from "./layout.ts";

export interface Derived {
  readonly address: string;
  readonly bump: number;
}

const MARKER = utf8ToBytes("ProgramDerivedAddress");

export const vaultAddress = (termsHash: string, program: string): Derived =>
  find("vault", termsHash, program);

export const vsetAddress = (setHash: string, program: string): Derived =>
  find("vset", setHash, program);

/** The highest bump whose hash is no point of the curve. */
function find(seed: string, name: string, program: string): Derived {
  for (let bump = 255; bump >= 0; bump -= 1) {
    const parts = [utf8ToBytes(seed), bytes32(name), Uint8Array.of(bump), bytes32(program), MARKER];
    const address = hash(...parts);
    if (!isOnCurve(address)) return { address, bump };
  }
  throw new Error("no bump leaves the curve");
}

/** ZIP-215 decoding, which takes y ≥ p as well, as the runtime does. */
function isOnCurve(hex: string): boolean {
  try {
    ed25519.Point.fromBytes(hexToBytes(hex), true);
    return true;
  } catch {
    return false;
  }
}
