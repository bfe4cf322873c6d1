/**
 * The bytes of a network: how accounts are spelled, what is hashed and signed, where the buyer pays (ADR 0016).
 *
 * The rules of a task know one form of everything: accounts, keys and hashes are 32 bytes of lower-case hex,
 * an EVM account being twelve zero bytes and the address. Only here does anybody ask which chain it is.
 */
import {
  ECDSA, checkSignatures, escrowOf, setHash as baseSetHash, settlementDigest as baseDigest, signers,
} from "../base/settlement.ts";
import { type BaseTerms, checkSettleable as checkBaseSettleable, termsHash as baseTermsHash } from "../base/terms.ts";
import type { BaseDomain } from "../base/words.ts";
import type { JsonObject } from "../objects/json.ts";
import { vaultAddress } from "../settlement/address.ts";
import { type IndexedSignature, checkApprovals } from "../settlement/approvals.ts";
import { fromBase58, toBase58 } from "../settlement/base58.ts";
import { Fault } from "../settlement/fault.ts";
import { type Domain, SIMULATED, ZERO_32 } from "../settlement/layout.ts";
import { type Settlement, settlementDigest } from "../settlement/receipt.ts";
import { type ValidatorSet, setHash } from "../settlement/set.ts";
import { type Terms, checkSettleable, termsHash } from "../settlement/terms.ts";
import { keyOf, maybeText, object, text } from "./fields.ts";

export interface Codec {
  /** The program or contract that verifies receipts. */
  readonly verifier: string;
  /** Bytes of a settlement signature. */
  readonly signatureLength: number;
  /** Whether accounts cost rent that somebody gets back. */
  readonly hasRent: boolean;
  /** Seconds from `settleBy` to `refundAfter`; `large` above 100 USD (spec §3.1). */
  readonly grace: { readonly small: bigint; readonly large: bigint };
  /** The account an address spells; undefined in any spelling but the network's one. */
  account(address: string): string | undefined;
  /** Inverse of {@link Codec.account}. */
  addressOf(account: string): string;
  /** What a validator signs settlements with; undefined when its offer has no such key. */
  settlementKey(offer: JsonObject): string | undefined;
  setHash(set: ValidatorSet): string;
  /** The name of the terms, or a {@link Fault} for what the network's terms cannot say. */
  termsHash(terms: Terms): string;
  checkSettleable(terms: Terms, now: bigint): void;
  payTo(termsHash: string): string;
  settlementDigest(termsHash: string, settlement: Settlement): string;
  /** The set indexes that signed, ascending; every signature must be good, or a {@link Fault}. */
  approvals(set: ValidatorSet, digest: string, signatures: readonly IndexedSignature[]): readonly number[];
}

/** The ledger contract, at the same address on every EVM chain. The vectors name it too. */
export const LEDGER = "0xaf6b7b2014310ab3572e8cf9a9464f1d0d7846a6";

/** The genesis hash of a Solana cluster and the program there. The vectors name them too. */
export const SOLANA: Domain = {
  genesis: "45296998a6f8e2a784db5d9f95e18fc23f70441a1039446801089879b08c7ef0",
  program: "f462456d4606de092ed4b5143932063ffcfc226eaecf95f7893eab8f2c62eeba",
};
export const SOLANA_DEVNET: Domain = {
  genesis: "ce59db5080fc2c6d3bcf7ca90712d3c2e5e6c28f27f0dfbb9953bdb0894c03ab",
  program: "9dee7623d0ccfaf31ef0907093a55620b0e8ef1ebb6499cc3e1e1e62967a674c",
};

/** The codec of a network by its CAIP-2 name; undefined for a network nobody can settle on. */
export function codecOf(network: string): Codec | undefined {
  switch (network) {
    case "d402:simulated":
      return solana(SIMULATED, HEX);
    case "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp":
      return solana(SOLANA, BASE58);
    case "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1":
      return solana(SOLANA_DEVNET, BASE58);
    case "eip155:8453":
      return evm({ chainId: "8453", ledger: LEDGER });
    case "eip155:84532":
      return evm({ chainId: "84532", ledger: LEDGER });
    default:
      return undefined;
  }
}

type Spelling = Pick<Codec, "account" | "addressOf">;

const HEX: Spelling = {
  account: (address) => (/^[0-9a-f]{64}$/.test(address) ? address : undefined),
  addressOf: (account) => account,
};

const BASE58: Spelling = { account: fromBase58, addressOf: toBase58 };

const solana = (domain: Domain, spelling: Spelling): Codec => ({
  ...spelling,
  verifier: domain.program,
  signatureLength: 64,
  hasRent: true,
  grace: { small: 900n, large: 7_200n },
  settlementKey: (offer) => keyOf(text(object(offer, "settlementKey"), "ed25519")),
  setHash,
  termsHash: (terms) => termsHash(terms, domain),
  checkSettleable: (terms, now) => checkSettleable(terms, domain, now),
  payTo: (hash) => vaultAddress(hash, domain.program).address,
  settlementDigest: (hash, settlement) => settlementDigest(domain, hash, settlement),
  approvals: checkApprovals,
});

const HIGH = "0".repeat(24);
const embed = (address: string): string => `${HIGH}${address.slice("0x".length)}`;
const bytes = (hex: string): string => `0x${hex}`;
const bare = (hex: string): string => hex.slice("0x".length);

function addressOf(account: string): string {
  if (!account.startsWith(HIGH)) throw new TypeError(`${account} is no EVM account`);
  return `0x${account.slice(HIGH.length)}`;
}

const evm = (domain: BaseDomain): Codec => ({
  verifier: embed(domain.ledger),
  signatureLength: 65,
  hasRent: false,
  grace: { small: 1_800n, large: 46_800n },
  // A checksummed spelling would give one account two names, and one object two CIDs.
  account: (address) => (/^0x[0-9a-f]{40}$/.test(address) ? embed(address) : undefined),
  addressOf,
  settlementKey: (offer) => {
    const address = maybeText(object(offer, "settlementKey"), "evm");
    return address === undefined ? undefined : embed(address);
  },
  setHash: (set) => bare(baseSetHash(wallets(set))),
  termsHash: (terms) => bare(baseTermsHash(baseTerms(terms, domain), domain.ledger)),
  checkSettleable: (terms, now) => checkBaseSettleable(baseTerms(terms, domain), domain, now),
  payTo: (hash) => embed(escrowOf(domain.ledger, bytes(hash))),
  settlementDigest: (hash, { receiptCid, outcome, rows }) =>
    bare(baseDigest(domain, bytes(hash), {
      receiptCid: bytes(receiptCid),
      outcome,
      rows: rows.map((row) => ({ ...row, payee: addressOf(row.payee) })),
    })),
  approvals: (set, digest, signatures) => {
    checkSignatures(wallets(set), bytes(digest), signatures);
    return signatures.map(({ setIndex }) => setIndex);
  },
});

/** The market draws wallets only: what a contract signed, only its chain can tell. */
const wallets = ({ m, keys }: ValidatorSet): ReturnType<typeof signers> =>
  signers(m, keys.map((key) => ({ key: addressOf(key), kind: ECDSA })));

function baseTerms(terms: Terms, { chainId }: BaseDomain): BaseTerms {
  // The words have no place for it, so nobody would be bound by it.
  if (terms.rentTo !== ZERO_32) throw new Fault("NoSuchField");
  return {
    version: terms.version,
    onSilence: terms.onSilence,
    commissionBps: terms.commissionBps,
    gatewayFeeBps: terms.gatewayFeeBps,
    budget: terms.budget,
    validatorFeeCap: terms.validatorFeeCap,
    issuedAt: terms.issuedAt,
    settleBy: terms.settleBy,
    refundAfter: terms.refundAfter,
    chainId: BigInt(chainId),
    taskId: bytes(terms.taskId),
    asset: addressOf(terms.mint),
    refundTo: addressOf(terms.refundTo),
    validatorSet: bytes(terms.validatorSet),
    commissionPayee: addressOf(terms.commissionPayee),
    gatewayFeePayee: addressOf(terms.gatewayFeePayee),
    salt: bytes(terms.salt),
  };
}
