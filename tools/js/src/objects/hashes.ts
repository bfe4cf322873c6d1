/** Hashes of the fairness protocol: sealed claims and lease sets. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";

import { digest } from "./canonical.ts";
import type { Json } from "./json.ts";

export interface SealedClaim {
  readonly taskId: string;
  readonly leaseCid: string;
  readonly worker: string;
  readonly outputCid: string;
  readonly evidenceRoot: string;
  readonly salt: string;
}

/** The commit that hides a claim until it is revealed. */
export function claimCommit(sealed: SealedClaim): string {
  return bytesToHex(
    sha256(
      concatBytes(
        tag("d402/claim-commit/v1"),
        bytesAfter("sha256:", sealed.taskId),
        bytesAfter("sha256:", sealed.leaseCid),
        bytesAfter("ed25519:", sealed.worker),
        bytesAfter("sha256:", sealed.outputCid),
        hexToBytes(sealed.evidenceRoot),
        hexToBytes(sealed.salt),
      ),
    ),
  );
}

export interface Evidence {
  readonly name: string;
  readonly cid: string;
  readonly bytes: number;
  readonly mediaType: string;
}

/** SHA-256 of the canonical list, in the order given. */
export function evidenceRoot(evidence: readonly Evidence[]): string {
  return rootOf(evidence.map(({ name, cid, bytes, mediaType }) => ({ name, cid, bytes, mediaType })));
}

export interface LeaseSetMember {
  readonly worker: string;
  readonly price: string;
}

/** SHA-256 of the canonical list, sorted by worker. */
export function leaseSetRoot(leases: readonly LeaseSetMember[]): string {
  const sorted = [...leases].sort((a, b) => (a.worker < b.worker ? -1 : 1));
  return rootOf(sorted.map(({ worker, price }) => ({ worker, price })));
}

function rootOf(rows: readonly Readonly<Record<string, string | number>>[]): string {
  const value: Json = rows.map((row) => new Map<string, Json>(Object.entries(row)));
  return bytesToHex(digest(value));
}

function tag(text: string): Uint8Array {
  const padded = new Uint8Array(32);
  padded.set(utf8ToBytes(text));
  return padded;
}

function bytesAfter(prefix: string, text: string): Uint8Array {
  if (!text.startsWith(prefix)) throw new TypeError(`${text} does not start with ${prefix}`);
  return hexToBytes(text.slice(prefix.length));
}
