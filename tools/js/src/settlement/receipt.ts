/** Rows and the digest validators sign (spec §2.2). */
import { concatBytes } from "@noble/hashes/utils.js";

import { Fault } from "./fault.ts";
import { type Domain, ZERO_32, bytes32, hash, littleEndian, tag } from "./layout.ts";

export const WORKER = 0;
export const VALIDATOR = 1;
export const PAID = 1;
export const REJECTED = 2;
export const MAX_ROWS = 16;
export const MAX_U64 = (1n << 64n) - 1n;

export interface Row {
  readonly payee: string;
  /** {@link WORKER} or {@link VALIDATOR}. */
  readonly role: number;
  readonly amount: bigint;
}

export interface Settlement {
  readonly receiptCid: string;
  /** {@link PAID} or {@link REJECTED}. */
  readonly outcome: number;
  readonly rows: readonly Row[];
}

/** Refuses what is no list of rows of the chain. */
export function checkRows(rows: readonly Row[]): void {
  if (rows.length > MAX_ROWS) throw new Fault("TooMany");
  let previous = ZERO_32;
  for (const row of rows) {
    if (row.payee === ZERO_32) throw new Fault("ZeroPayee");
    if (row.payee <= previous) throw new Fault("NotAscending");
    if (row.amount === 0n) throw new Fault("ZeroAmount");
    if (row.amount > MAX_U64) throw new Fault("AmountTooLarge");
    previous = row.payee;
  }
}

/** The 32 bytes every validator signs, as hex. */
export function settlementDigest(domain: Domain, termsHash: string, settlement: Settlement): string {
  const rows = settlement.rows.map(({ payee, role, amount }) =>
    concatBytes(bytes32(payee), Uint8Array.of(role), littleEndian(amount, 8)),
  );
  return hash(
    tag("d402/settle/solana/v1"),
    bytes32(domain.program),
    bytes32(termsHash),
    bytes32(settlement.receiptCid),
    Uint8Array.of(settlement.outcome, rows.length),
    ...rows,
  );
}
