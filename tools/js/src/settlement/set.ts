/** Validator sets, and how many of their members must sign (spec §2.2, §4). */
import { Fault } from "./fault.ts";
import { ZERO_32, bytes32, hash, tag } from "./layout.ts";
import type { Terms } from "./terms.ts";

export interface ValidatorSet {
  readonly m: number;
  /** Ascending. */
  readonly keys: readonly string[];
}

/** A set in which two quorums always share a member, or a {@link Fault}. */
export function validatorSet(m: number, keys: readonly string[]): ValidatorSet {
  const n = keys.length;
  if (n < 1 || n > 16) throw new Fault("Size");
  if (n >= 2 * m || m > n) throw new Fault("Threshold");
  keys.forEach((key, index) => {
    if (key === ZERO_32) throw new Fault("ZeroKey");
    if (index > 0 && key <= (keys[index - 1] ?? "")) throw new Fault("NotAscending");
  });
  return { m, keys };
}

export function setHash({ m, keys }: ValidatorSet): string {
  const sizes = Uint8Array.of(m, keys.length);
  return hash(tag("d402/vset/ed25519/v1"), sizes, ...keys.map(bytes32));
}

/** m; from `settleBy` on a bare majority where the terms say so. */
export function need(
  { onSilence, settleBy }: Pick<Terms, "onSilence" | "settleBy">,
  { m, keys }: ValidatorSet,
  now: bigint,
): number {
  return onSilence === 1n && now >= settleBy ? Math.floor(keys.length / 2) + 1 : m;
}
