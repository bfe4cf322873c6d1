/** Enough signatures of the right set over the right digest. */
import { verifyStrict } from "../objects/ed25519.ts";
import { Fault } from "./fault.ts";
import { bytes32 } from "./layout.ts";
import type { ValidatorSet } from "./set.ts";

export interface IndexedSignature {
  readonly setIndex: number;
  readonly signature: Uint8Array;
}

/** The set indexes that signed, ascending; every signature must be good, or a {@link Fault}. */
export function checkApprovals(
  set: ValidatorSet,
  digest: string,
  signatures: readonly IndexedSignature[],
): readonly number[] {
  if (signatures.length > set.keys.length) throw new Fault("TooMany");
  const signers: number[] = [];
  for (const { setIndex, signature } of signatures) {
    const key = set.keys[setIndex];
    if (key === undefined) throw new Fault("UnknownSigner");
    if (setIndex <= (signers.at(-1) ?? -1)) throw new Fault("NotAscending");
    if (!verifyStrict(bytes32(key), bytes32(digest), signature)) throw new Fault("BadSignature");
    signers.push(setIndex);
  }
  return signers;
}

