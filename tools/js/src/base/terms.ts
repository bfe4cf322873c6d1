/** Terms on Base: seventeen words, their hash, and whether they can ever be settled (spec §2.3, §3). */
import { concatBytes } from "@noble/hashes/utils.js";

import { Fault } from "../settlement/fault.ts";
import { type BaseDomain, ZERO_ACCOUNT, account, keccak, text, typeHash, typedDigest, uint, word } from "./words.ts";

/** Field, Solidity type; in order. */
const FIELDS = [
  ["version", "uint8"], ["onSilence", "uint8"], ["commissionBps", "uint16"], ["gatewayFeeBps", "uint16"],
  ["budget", "uint96"], ["validatorFeeCap", "uint96"], ["issuedAt", "uint64"], ["settleBy", "uint64"],
  ["refundAfter", "uint64"], ["chainId", "uint256"], ["taskId", "bytes32"], ["asset", "address"],
  ["refundTo", "address"], ["validatorSet", "bytes32"], ["commissionPayee", "address"],
  ["gatewayFeePayee", "address"], ["salt", "bytes32"],
] as const;

export const TERMS_TYPE = `Terms(${FIELDS.map(([name, type]) => `${type} ${name}`).join(",")})`;
export const TERMS_LENGTH = FIELDS.length * 32;

type Integer = "version" | "onSilence" | "commissionBps" | "gatewayFeeBps" | "budget" | "validatorFeeCap"
  | "issuedAt" | "settleBy" | "refundAfter" | "chainId";
type Other = Exclude<(typeof FIELDS)[number][0], Integer>;
export type BaseTerms = { readonly [K in Integer]: bigint } & { readonly [K in Other]: string };

export const encodeTerms = (terms: BaseTerms): Uint8Array =>
  concatBytes(...FIELDS.map(([name]) => word(terms[name])));

/** Reads what Solidity's decoder reads; a {@link Fault} for bits above a type's width. */
export function decodeTerms(bytes: Uint8Array): BaseTerms {
  if (bytes.length !== TERMS_LENGTH) throw new Fault("Length");
  const read = FIELDS.map(([name, type], at) => {
    const one = bytes.subarray(at * 32, at * 32 + 32);
    if (type === "address") return [name, account(one)];
    return [name, type === "bytes32" ? text(one) : uint(one, Number(type.slice("uint".length)))];
  });
  return Object.fromEntries(read) as BaseTerms;
}

export function termsHash(terms: BaseTerms, ledger: string): string {
  return typedDigest(terms.chainId, ledger, keccak(typeHash(TERMS_TYPE), encodeTerms(terms)));
}

const ZERO_32 = `0x${"0".repeat(64)}`;

const MAX_U64 = (1n << 64n) - 1n;

/** 64-bit saturation, as the contract adds seconds. */
const clamp = (seconds: bigint): bigint => (seconds > MAX_U64 ? MAX_U64 : seconds);

/** Refuses with the first broken rule. */
export function checkSettleable(terms: BaseTerms, { chainId, ledger }: BaseDomain, now: bigint): void {
  const rules: readonly (readonly [broken: boolean, code: string])[] = [
    [terms.version !== 1n, "Version"],
    [terms.chainId !== BigInt(chainId), "OtherChain"],
    [terms.onSilence > 1n, "OnSilence"],
    [terms.commissionBps > 2_000n, "CommissionBps"],
    [terms.gatewayFeeBps > 2_000n, "GatewayFeeBps"],
    [(terms.commissionPayee === ZERO_ACCOUNT) !== (terms.commissionBps === 0n), "CommissionPayee"],
    [(terms.gatewayFeePayee === ZERO_ACCOUNT) !== (terms.gatewayFeeBps === 0n), "GatewayFeePayee"],
    [terms.budget === 0n, "NoBudget"],
    [terms.validatorFeeCap > terms.budget / 2n, "ValidatorFeeCap"],
    [terms.issuedAt > now + 600n, "IssuedInTheFuture"],
    [terms.issuedAt >= terms.settleBy, "SettleBy"],
    [clamp(terms.settleBy + 600n) > terms.refundAfter, "GraceTooShort"],
    [terms.refundAfter > clamp(terms.issuedAt + 30n * 86_400n), "LivesTooLong"],
    [terms.asset === ZERO_ACCOUNT, "NoMint"],
    [terms.refundTo === ZERO_ACCOUNT, "NoRefundTo"],
    [terms.validatorSet === ZERO_32, "NoValidatorSet"],
    [terms.refundTo === terms.asset || terms.refundTo === ledger, "RefundToForbidden"],
  ];
  const broken = rules.find(([isBroken]) => isBroken);
  if (broken !== undefined) throw new Fault(broken[1]);
}
