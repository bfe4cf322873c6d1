/** What a buyer pins before any seller speaks: chains, their dollar, and the ledger contract. */
import type { BaseDomain } from "../base/words.ts";

/** The escrow ledger, the same on every EVM chain. A 402 never names it: it could name another (#4). */
export const LEDGER = "0xaf6b7b2014310ab3572e8cf9a9464f1d0d7846a6";

export interface Network {
  readonly domain: BaseDomain;
  /** USDC, the one asset a gateway sells for. */
  readonly asset: string;
}

/** By CAIP-2 name. */
export const NETWORKS: ReadonlyMap<string, Network> = new Map([
  ["eip155:8453", network("8453", "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913")],
  ["eip155:84532", network("84532", "0x036cbd53842c5426634e7929541ec2318f3dcf7e")],
]);

function network(chainId: string, asset: string): Network {
  return { domain: { chainId, ledger: LEDGER }, asset };
}

const LARGE_BUDGET = 100_000_000n;

/** Seconds between `settleBy` and `refundAfter` (spec §3.1, #35). */
export const graceOf = (budget: bigint): bigint => (budget > LARGE_BUDGET ? 46_800n : 1_800n);
