/** Signers, rows, digests, signatures and addresses of Base (spec §2.3). */
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concatBytes } from "@noble/hashes/utils.js";

import { Fault } from "../settlement/fault.ts";
import { type BaseDomain, ZERO_ACCOUNT, account, keccak, raw, text, typeHash, typedDigest, word } from "./words.ts";

/** A wallet signs by ECDSA, a contract is asked by ERC-1271: only its chain can do that. */
export const ECDSA = 0;
export const CONTRACT = 1;

export interface Signer {
  readonly key: string;
  readonly kind: number;
}

export interface Signers {
  readonly m: number;
  readonly members: readonly Signer[];
}

/** A set in which two quorums always share a member, or a {@link Fault}. */
export function signers(m: number, members: readonly Signer[]): Signers {
  const n = members.length;
  if (n < 1 || n > 16) throw new Fault("Size");
  if (n >= 2 * m || m > n) throw new Fault("Threshold");
  members.forEach(({ key, kind }, at) => {
    if (kind > CONTRACT) throw new Fault("Kind");
    if (key === ZERO_ACCOUNT) throw new Fault("ZeroKey");
    if (at > 0 && key <= (members[at - 1]?.key ?? "")) throw new Fault("NotAscending");
  });
  return { m, members };
}

export const SET_TYPE = "ValidatorSet(uint8 m,uint8 n,bytes32 members)";

export function setHash({ m, members }: Signers): string {
  const packed = members.map(({ key, kind }) => concatBytes(raw(key), Uint8Array.of(kind)));
  return text(keccak(typeHash(SET_TYPE), word(BigInt(m)), word(BigInt(members.length)), keccak(...packed)));
}

const ROW_TYPE = "Row(address payee,uint8 role,uint96 amount)";
const SETTLEMENT_TYPE = `Settlement(bytes32 termsHash,bytes32 receiptCid,uint8 outcome,Row[] rows)${ROW_TYPE}`;

export interface BaseRow {
  readonly payee: string;
  readonly role: number;
  readonly amount: bigint;
}

export interface BaseSettlement {
  readonly receiptCid: string;
  readonly outcome: number;
  readonly rows: readonly BaseRow[];
}

/** The 32 bytes every validator signs. */
export function settlementDigest(domain: BaseDomain, termsHash: string, settlement: BaseSettlement): string {
  const rows = settlement.rows.map(({ payee, role, amount }) =>
    keccak(typeHash(ROW_TYPE), word(payee), word(BigInt(role)), word(amount)),
  );
  const head = [word(termsHash), word(settlement.receiptCid), word(BigInt(settlement.outcome))];
  const struct = keccak(typeHash(SETTLEMENT_TYPE), ...head, keccak(...rows));
  return typedDigest(BigInt(domain.chainId), domain.ledger, struct);
}

/** Who signed: 65 bytes r ‖ s ‖ v with low s and v 27 or 28. No other spelling of a signature is one. */
export function recover(digest: string, signature: Uint8Array): string | undefined {
  const v = signature[64];
  if (signature.length !== 65 || (v !== 27 && v !== 28)) return undefined;
  try {
    const parsed = secp256k1.Signature.fromBytes(signature.slice(0, 64), "compact");
    if (parsed.hasHighS()) return undefined;
    const point = parsed.addRecoveryBit(v - 27).recoverPublicKey(raw(digest));
    return text(keccak(point.toBytes(false).subarray(1)).subarray(12));
  } catch {
    return undefined;
  }
}

/** The number of distinct signers; every signature must be good, or a {@link Fault}. */
export function checkSignatures(
  { members }: Signers,
  digest: string,
  signatures: readonly { readonly setIndex: number; readonly signature: Uint8Array }[],
): number {
  if (signatures.length > members.length) throw new Fault("TooMany");
  let last = -1;
  for (const { setIndex, signature } of signatures) {
    const member = members[setIndex];
    if (member === undefined) throw new Fault("UnknownSigner");
    if (setIndex <= last) throw new Fault("NotAscending");
    if (member.kind === CONTRACT) throw new Fault("ContractSigner");
    if (recover(digest, signature) !== member.key) throw new Fault("BadSignature");
    last = setIndex;
  }
  return signatures.length;
}

/** The first contract a ledger deploys. */
export const implementationOf = (ledger: string): string =>
  last20(keccak(raw("0xd694"), raw(ledger), raw("0x01")));

/** Where the buyer pays: CREATE2 of a minimal clone, salt = terms hash. */
export function escrowOf(ledger: string, termsHash: string): string {
  const code = `0x3d602d80600a3d3981f3363d3d373d3d3d363d73${implementationOf(ledger).slice(2)}5af43d82803e903d91602b57fd5bf3`;
  return last20(keccak(raw("0xff"), raw(ledger), raw(termsHash), keccak(raw(code))));
}

const last20 = (hash: Uint8Array): string => account(word(text(hash.subarray(12))));
