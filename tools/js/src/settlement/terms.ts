/** Terms: 304 bytes, their hash, and whether they can ever be settled (spec §2.2, §3). */
import { concatBytes } from "@noble/hashes/utils.js";

import { Fault } from "./fault.ts";
import { type Domain, Reader, ZERO_32, bytes32, hash, littleEndian, tag } from "./layout.ts";

export interface Terms {
  readonly version: bigint;
  readonly onSilence: bigint;
  readonly commissionBps: bigint;
  readonly gatewayFeeBps: bigint;
  readonly reserved: bigint;
  readonly budget: bigint;
  readonly validatorFeeCap: bigint;
  readonly issuedAt: bigint;
  readonly settleBy: bigint;
  readonly refundAfter: bigint;
  readonly taskId: string;
  readonly mint: string;
  readonly refundTo: string;
  readonly validatorSet: string;
  readonly commissionPayee: string;
  readonly gatewayFeePayee: string;
  readonly rentTo: string;
  readonly salt: string;
}

const MAX_BPS = 2_000n;
const CREATION_SLACK_S = 600n;
const MIN_GRACE_S = 600n;
const MAX_LIFE_S = 30n * 86_400n;

export function encodeTerms(terms: Terms): Uint8Array {
  return concatBytes(
    littleEndian(terms.version, 1),
    littleEndian(terms.onSilence, 1),
    littleEndian(terms.commissionBps, 2),
    littleEndian(terms.gatewayFeeBps, 2),
    littleEndian(terms.reserved, 2),
    littleEndian(terms.budget, 8),
    littleEndian(terms.validatorFeeCap, 8),
    littleEndian(terms.issuedAt, 8),
    littleEndian(terms.settleBy, 8),
    littleEndian(terms.refundAfter, 8),
    bytes32(terms.taskId),
    bytes32(terms.mint),
    bytes32(terms.refundTo),
    bytes32(terms.validatorSet),
    bytes32(terms.commissionPayee),
    bytes32(terms.gatewayFeePayee),
    bytes32(terms.rentTo),
    bytes32(terms.salt),
  );
}

/** Reads any 304 bytes. */
export function decodeTerms(bytes: Uint8Array): Terms {
  const reader = new Reader(bytes);
  const terms: Terms = {
    version: reader.unsigned(1),
    onSilence: reader.unsigned(1),
    commissionBps: reader.unsigned(2),
    gatewayFeeBps: reader.unsigned(2),
    reserved: reader.unsigned(2),
    budget: reader.unsigned(8),
    validatorFeeCap: reader.unsigned(8),
    issuedAt: reader.signed(8),
    settleBy: reader.signed(8),
    refundAfter: reader.signed(8),
    taskId: reader.hex32(),
    mint: reader.hex32(),
    refundTo: reader.hex32(),
    validatorSet: reader.hex32(),
    commissionPayee: reader.hex32(),
    gatewayFeePayee: reader.hex32(),
    rentTo: reader.hex32(),
    salt: reader.hex32(),
  };
  if (reader.left !== 0) throw new RangeError("terms are 304 bytes");
  return terms;
}

export function termsHash(terms: Terms, domain: Domain): string {
  const head = [tag("d402/terms/solana/v1"), bytes32(domain.genesis), bytes32(domain.program)];
  return hash(...head, encodeTerms(terms));
}

/** Refuses with the first broken rule. Times beyond 64 bits saturate on chain; here they just compare. */
export function checkSettleable(terms: Terms, domain: Domain, now: bigint): void {
  const rules: readonly (readonly [broken: boolean, code: string])[] = [
    [terms.version !== 1n, "Version"],
    [terms.reserved !== 0n, "Reserved"],
    [terms.onSilence > 1n, "OnSilence"],
    [terms.commissionBps > MAX_BPS, "CommissionBps"],
    [terms.gatewayFeeBps > MAX_BPS, "GatewayFeeBps"],
    [(terms.commissionPayee === ZERO_32) !== (terms.commissionBps === 0n), "CommissionPayee"],
    [(terms.gatewayFeePayee === ZERO_32) !== (terms.gatewayFeeBps === 0n), "GatewayFeePayee"],
    [terms.budget === 0n, "NoBudget"],
    [terms.validatorFeeCap > terms.budget / 2n, "ValidatorFeeCap"],
    [terms.issuedAt < 0n, "IssuedBeforeEpoch"],
    [terms.issuedAt > clamp(now + CREATION_SLACK_S), "IssuedInTheFuture"],
    [terms.issuedAt >= terms.settleBy, "SettleBy"],
    [clamp(terms.settleBy + MIN_GRACE_S) > terms.refundAfter, "GraceTooShort"],
    [terms.refundAfter > clamp(terms.issuedAt + MAX_LIFE_S), "LivesTooLong"],
    [terms.mint === ZERO_32, "NoMint"],
    [terms.refundTo === ZERO_32, "NoRefundTo"],
    [terms.validatorSet === ZERO_32, "NoValidatorSet"],
    [terms.refundTo === terms.mint || terms.refundTo === domain.program, "RefundToForbidden"],
  ];
  const broken = rules.find(([isBroken]) => isBroken);
  if (broken !== undefined) throw new Fault(broken[1]);
}

/** Whether {@link checkSettleable} passes. */
export function isSettleable(terms: Terms, domain: Domain, now: bigint): boolean {
  try {
    checkSettleable(terms, domain, now);
    return true;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

const MAX_I64 = (1n << 63n) - 1n;

/** 64-bit saturation, as the chain adds seconds. */
export function clamp(seconds: bigint): bigint {
  return seconds > MAX_I64 ? MAX_I64 : seconds;
}
