/** The kinds of signed objects: their fields, who signs them, how large they may be. */
import {
  address, amount, bps, capabilityId, cid, type Fields, flag, hex32, key, label, listOf, mapOf,
  mediaType, multiaddr, namespace, network, nodeId, nonce, object, oneOf, optional, schema,
  sentence, signature, signer, time, u16, u32, u64, u8, evmAddress,
} from "./shape.ts";

export interface Kind {
  readonly fields: Fields;
  /** The field that names the signer; the first that is present. */
  readonly role: readonly string[];
  readonly maxBytes: number;
  /** Fields that may hold floats. */
  readonly floats?: readonly string[];
}

const KIB = 1024;
const payout = object({ network, address });
const blob = object({ cid, bytes: u64, mediaType });
const wallets = mapOf(network, address);
const mode = oneOf("single", "race", "quorum");
const model = oneOf("exact", "scored", "canonicalQuorum", "schemaEvidence");
const task = { network, taskId: cid };

export const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["manifest", {
    role: ["author"], maxBytes: 256 * KIB, floats: ["inputSchema", "outputSchema"],
    fields: {
      author: key, id: label, version: label, capabilityId, description: sentence,
      inputSchema: schema, outputSchema: schema,
      determinism: oneOf("exact", "canonical", "scored", "none"),
      permissions: object({
        network: object({ hosts: listOf(label) }), browser: flag, cpuMs: u64, memoryBytes: u64,
        timeoutMs: u64, outputBytes: u64,
      }),
      evidence: listOf(label), validationModels: listOf(model), decisionTimeS: u32,
      pricingUnits: label, performance: object({ p50Ms: optional(u64), p99Ms: optional(u64) }),
      tags: listOf(label), similarity: optional(object({ name: label, thresholdBps: bps })),
      implementationCid: optional(cid),
    },
  }],
  ["registration", {
    role: ["author"], maxBytes: 16 * KIB,
    fields: {
      author: key, manifestCid: cid, capabilityId, namespace, commission: object({ bps, wallets }),
      seq: u64, validFromMs: time, validUntilMs: time,
    },
  }],
  ["namespaceProof", {
    role: ["wallet"], maxBytes: 4 * KIB,
    fields: { namespace, wallet: signer, author: key, seq: u64, validUntilMs: time },
  }],
  ["providerRecord", {
    role: ["provider"], maxBytes: 16 * KIB,
    fields: {
      provider: key, manifestCid: cid, nodeId, addresses: listOf(multiaddr), seq: u64,
      expiresAtMs: time,
    },
  }],
  ["nodeOffer", {
    role: ["worker"], maxBytes: 32 * KIB,
    fields: {
      worker: key, nodeId, addresses: listOf(multiaddr), manifestCids: listOf(cid),
      prices: listOf(object({ network, asset: address, price: amount })), capacity: u32,
      payouts: wallets, trust: listOf(cid), seq: u64, expiresAtMs: time,
    },
  }],
  ["validatorOffer", {
    role: ["validator"], maxBytes: 32 * KIB,
    fields: {
      validator: key, nodeId, addresses: listOf(multiaddr), families: listOf(capabilityId),
      models: listOf(model), fees: listOf(object({ network, asset: address, fee: amount })),
      settlementKey: object({ ed25519: key, evm: optional(evmAddress) }),
      crossSignatures: object({
        settlementSignsEnvelope: signature, evmSignsSettlement: optional(signature),
      }),
      payouts: wallets, seq: u64, expiresAtMs: time,
    },
  }],
  ["taskIntent", {
    role: ["buyer", "gateway"], maxBytes: 64 * KIB,
    fields: {
      nonce, issuedAtMs: time, deadlineMs: time, maxAttempts: u8, gateway: key,
      buyer: optional(key), manifestCid: cid, registrationCid: cid, input: blob, mode, fanout: u8,
      quorum: u8, validation: object({ model, offerCids: listOf(cid), threshold: u8 }),
      payment: listOf(object({
        rail: label, network, asset: address, budget: amount, refundTo: address,
        rentTo: optional(address), validatorSet: hex32, gatewayFeeBps: bps,
        gatewayFeePayee: optional(address), validatorFeeCap: amount, salt: hex32,
      })),
      onSilence: oneOf("refund", "majority"), accessHash: hex32, publish: flag,
    },
  }],
  ["taskAnnouncement", {
    role: ["gateway"], maxBytes: 16 * KIB,
    fields: {
      ...task, termsHash: hex32, gateway: key, nodeId, addresses: listOf(multiaddr),
      manifestCid: cid, capabilityId, mode, fanout: u8, asset: address, maxPrice: amount,
      bidUntilMs: time, deadlineMs: time, expiresAtMs: time,
    },
  }],
  ["bid", {
    role: ["worker"], maxBytes: 16 * KIB,
    fields: {
      ...task, worker: key, termsHash: hex32, price: amount, payout, validUntilMs: time, seq: u64,
      nodeId, addresses: listOf(multiaddr),
    },
  }],
  ["bidAck", {
    role: ["gateway"], maxBytes: 4 * KIB,
    fields: { gateway: key, taskId: cid, bidCid: cid, atMs: time },
  }],
  ["lease", {
    role: ["gateway"], maxBytes: 8 * KIB,
    fields: {
      ...task, gateway: key, termsHash: hex32, worker: key, bidCid: cid, price: amount, payout,
      attempt: u8, leaseIndex: u8, leaseCount: u8, leaseSetRoot: hex32, startMs: time,
      expiresAtMs: time, voucherCid: optional(cid),
    },
  }],
  ["leaseAccept", {
    role: ["worker"], maxBytes: 4 * KIB,
    fields: { ...task, worker: key, leaseCid: cid, atMs: time },
  }],
  ["claimCommit", {
    role: ["worker"], maxBytes: 4 * KIB,
    fields: { ...task, worker: key, leaseCid: cid, commit: hex32 },
  }],
  ["commitAck", {
    role: ["validator"], maxBytes: 4 * KIB,
    fields: {
      ...task, validator: key, attempt: u8, leaseCid: cid, commit: hex32, rank: u8, atMs: time,
    },
  }],
  ["resultClaim", {
    role: ["worker"], maxBytes: 64 * KIB,
    fields: {
      ...task, worker: key, termsHash: hex32, leaseCid: cid, salt: hex32, output: blob,
      evidence: listOf(object({ name: label, cid, bytes: u64, mediaType })), evidenceRoot: hex32,
      canonicalDigest: cid, units: amount, runtimeDigest: cid,
    },
  }],
  ["validationReceipt", {
    role: ["validator"], maxBytes: 16 * KIB,
    fields: {
      ...task, validator: key, termsHash: hex32, claimCid: cid,
      verdict: oneOf("accept", "reject"), scoreBps: bps, model, reasons: listOf(sentence),
      transcriptDigest: cid, salt: hex32, atMs: time,
    },
  }],
  ["noMoreLeases", {
    role: ["gateway"], maxBytes: 4 * KIB,
    fields: { ...task, gateway: key, atMs: time },
  }],
  ["inventory", {
    role: ["validator"], maxBytes: 256 * KIB,
    fields: {
      ...task, validator: key, termsHash: hex32, acks: listOf(cid), commits: listOf(cid),
      claims: listOf(cid), receipts: listOf(cid), leases: listOf(cid), depositLate: flag,
      atMs: time, seq: u64,
    },
  }],
  ["ready", {
    role: ["validator"], maxBytes: 4 * KIB,
    fields: {
      ...task, validator: key, termsHash: hex32, round: u32, digest: hex32, inputsRoot: hex32,
      receiptCid: cid,
    },
  }],
  ["settlementProof", {
    role: ["observer"], maxBytes: 16 * KIB,
    fields: {
      observer: key, receiptCid: cid, network, transaction: address, blockOrSlot: u64,
      logIndex: optional(u32), finality: oneOf("confirmed", "finalized"),
      paid: listOf(object({
        payee: address, amount,
        kind: oneOf("worker", "validator", "creator", "gateway", "credit"),
      })),
      residual: amount, atMs: time,
    },
  }],
  ["reputationEvent", {
    role: ["observer"], maxBytes: 4 * KIB,
    fields: {
      observer: key, subject: key,
      kind: oneOf("claimRejected", "leaseExpired", "equivocation", "settled", "verdictDissent",
        "validatorSilent"),
      taskId: cid, evidenceCid: cid, atMs: time,
    },
  }],
  ["deprecationRecord", {
    role: ["author"], maxBytes: 8 * KIB,
    fields: {
      author: key, manifestCid: cid, reason: sentence, successor: optional(cid), seq: u64,
      atMs: time,
    },
  }],
]);

/** The settlement receipt: same shapes, but no envelope and no role. */
export const SETTLEMENT_RECEIPT = object({
  objectVersion: u16, termsHash: hex32, network, verifier: address, taskId: cid,
  outcome: oneOf("paid", "rejected"),
  rows: listOf(object({ payee: address, role: oneOf("worker", "validator"), amount })),
  commission: amount, gatewayFee: amount, claimCids: listOf(cid),
  validationReceiptCids: listOf(cid), leaseSetRoots: listOf(hex32),
});
