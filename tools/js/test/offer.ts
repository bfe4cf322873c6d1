/** A 402 of Base as a gateway writes it, and one of a gateway that lies and recomputes everything after it. */
import { escrowOf, setHash, signers } from "../src/base/settlement.ts";
import { type BaseTerms, encodeTerms, termsHash } from "../src/base/terms.ts";
import type { Policy } from "../src/buyer/before-payment.ts";
import type { Requirements } from "../src/buyer/entry.ts";
import { LEDGER } from "../src/buyer/networks.ts";
import { cidOf } from "../src/objects/canonical.ts";
import { parseStrict } from "../src/objects/json.ts";

export const NOW_MS = 1_795_300_000_500;
export const BUYER = "0x90f79bf6eb2c4f870365e785982e1f101e93b906";
export const STRANGER = `0x${"66".repeat(20)}`;
export const USDC = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
const SALT = "5a".repeat(32);

export const MEMBERS = ["11", "22", "33", "44"].map((byte) => ({ key: `0x${byte.repeat(20)}`, kind: 0 }));
export const SET = { m: 3, members: MEMBERS };

export const POLICY: Policy = {
  refundTo: { "eip155:84532": "0x90F79bf6EB2c4f870365E785982E1f101E93b906" },
  validatorSets: [SET],
  maxAmount: 1_000_000n,
  maxGatewayFeeBps: 200,
  maxRefundSeconds: 7_200,
};

type Loose = Record<string, unknown>;

export interface Lies {
  /** When the offer is made, Unix ms. */
  readonly at?: number;
  readonly intent?: Loose;
  readonly payment?: Loose;
  readonly terms?: Partial<BaseTerms>;
}

const payment = (): Loose => ({
  rail: "base-escrow", network: "eip155:84532", asset: USDC, budget: "1000000", refundTo: BUYER,
  validatorSet: setHash(signers(SET.m, SET.members)).slice(2), gatewayFeeBps: 200,
  gatewayFeePayee: `0x${"77".repeat(20)}`, validatorFeeCap: "1200", salt: SALT,
});

const cid = (byte: string): string => `sha256:${byte.repeat(32)}`;

const intentOf = ({ at = NOW_MS, ...lies }: Lies): Loose => ({
  objectVersion: 1, nonce: "0b".repeat(16), issuedAtMs: at, deadlineMs: at + 60_000, maxAttempts: 2,
  gateway: `ed25519:${"0c".repeat(32)}`, manifestCid: cid("0d"), registrationCid: cid("0e"),
  input: { cid: cid("0f"), bytes: 12, mediaType: "application/json" }, mode: "single", fanout: 1, quorum: 1,
  validation: { model: "exact", offerCids: [cid("a1"), cid("a2"), cid("a3"), cid("a4")], threshold: 3 },
  payment: [{ ...payment(), ...lies.payment }], onSilence: "refund", accessHash: "1d".repeat(32), publish: false,
  ...lies.intent,
});

/** The entry a gateway with these wishes sends: intent, terms and address fit each other. */
export function offer(lies: Lies = {}): Requirements {
  const intent = intentOf(lies);
  const bytes = new TextEncoder().encode(JSON.stringify(intent));
  const [paid] = intent["payment"] as [Record<string, string>];
  const deadline = BigInt(Math.ceil((intent["deadlineMs"] as number) / 1_000));
  const terms: BaseTerms = {
    version: 1n, onSilence: intent["onSilence"] === "majority" ? 1n : 0n, commissionBps: 1_000n,
    gatewayFeeBps: BigInt(paid["gatewayFeeBps"] ?? 0), budget: BigInt(paid["budget"] ?? 0),
    validatorFeeCap: BigInt(paid["validatorFeeCap"] ?? 0),
    issuedAt: BigInt(Math.floor((intent["issuedAtMs"] as number) / 1_000)),
    settleBy: deadline + 60n, refundAfter: deadline + 60n + 1_800n, chainId: 84_532n,
    taskId: `0x${cidOf(parseStrict(bytes, { maxBytes: 65_536, floats: false })).slice(7)}`,
    asset: paid["asset"] ?? "", refundTo: paid["refundTo"] ?? "", validatorSet: `0x${paid["validatorSet"]}`,
    commissionPayee: `0x${"88".repeat(20)}`, gatewayFeePayee: paid["gatewayFeePayee"] ?? "", salt: `0x${paid["salt"]}`,
    ...lies.terms,
  };
  return {
    scheme: "exact", network: paid["network"] ?? "", amount: String(terms.budget), asset: terms.asset,
    payTo: escrowOf(LEDGER, termsHash(terms, LEDGER)), maxTimeoutSeconds: 120,
    extra: {
      name: "USDC", version: "2", paymentFlow: "upfront",
      d402: { terms: Buffer.from(encodeTerms(terms)).toString("base64url"), intent, paymentIndex: 0 },
    },
  };
}

export const WORKER = `0x${"55".repeat(20)}`;

/** An entry that pays a worker straight, as a gateway with these wishes sends it. */
export function straight(lies: Lies = {}, payTo: string = WORKER): Requirements {
  const direct = { worker: `ed25519:${"1e".repeat(32)}`, payTo: WORKER };
  const { gatewayFeePayee: _, ...own } = payment();
  const whole = { ...own, rail: "base-direct", gatewayFeeBps: 0, validatorFeeCap: "0", direct, ...lies.payment };
  const zero = `0x${"0".repeat(40)}`;
  const entry = offer({
    ...lies,
    intent: { payment: [whole], maxAttempts: 1, ...lies.intent },
    terms: { commissionBps: 0n, commissionPayee: zero, gatewayFeePayee: zero, ...lies.terms },
  });
  const { paymentFlow: __, ...extra } = entry.extra as Loose;
  return { ...entry, payTo, extra };
}

/** The same entry with a field changed on the way, by a path such as `extra.d402.terms`. */
export function tampered(path: string, value: unknown, entry: Requirements = offer()): Requirements {
  const copy = structuredClone(entry) as unknown as Loose;
  const names = path.split(".");
  const last = names.pop() ?? "";
  const owner = names.reduce((at, name) => at[name] as Loose, copy);
  owner[last] = value;
  return copy as unknown as Requirements;
}
