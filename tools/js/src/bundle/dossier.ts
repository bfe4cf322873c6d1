/** What was agreed: intent, manifest, registration, offers and input, and the terms they give (spec §2.1). */
import type { Verified } from "../objects/envelope.ts";
import type { JsonObject } from "../objects/json.ts";
import { Fault, within } from "../settlement/fault.ts";
import { ZERO_32 } from "../settlement/layout.ts";
import { MAX_ROWS, MAX_U64 } from "../settlement/receipt.ts";
import { type ValidatorSet, validatorSet } from "../settlement/set.ts";
import type { Terms } from "../settlement/terms.ts";
import { type Codec, codecOf } from "./codec.ts";
import {
  amount, digestOf, integer, maybeText, object, objects, text, texts,
} from "./fields.ts";

/** 100 USD: above it `refundAfter` lies further out (spec §3.1). */
const LARGE_BUDGET = 100_000_000n;

export interface Parts {
  readonly intent: Verified;
  readonly manifest: Verified;
  readonly registration: Verified;
  readonly offers: readonly Verified[];
  readonly input: { readonly cid: string; readonly bytes: number };
  readonly paymentIndex: number;
}

/** A validator, at its set index. */
export interface Member {
  readonly key: string;
  /** What it signs settlements with on the task's network. */
  readonly settlementKey: string;
  /** Its Ed25519 settlement key, which on an EVM chain signs nothing but stays the validator's. */
  readonly ed25519: string;
  readonly fee: bigint;
  readonly payout: string;
}

export interface Dossier {
  readonly taskId: string;
  readonly intent: JsonObject;
  readonly manifest: JsonObject;
  readonly network: string;
  readonly codec: Codec;
  readonly terms: Terms;
  readonly termsHash: string;
  readonly payTo: string;
  readonly set: ValidatorSet;
  readonly members: readonly Member[];
  /** First moment at which no commit is acked any more. */
  readonly commitByMs: number;
  readonly lastAttempt: number;
}

/** The checked task, or a {@link Fault}. */
export function dossier(parts: Parts): Dossier {
  const intent = parts.intent.payload;
  const payment = objects(intent, "payment")[parts.paymentIndex];
  if (payment === undefined) throw new Fault("NoSuchPayment");
  const network = text(payment, "network");
  const codec = codecOf(network);
  if (codec === undefined) throw new Fault("UnknownNetwork");
  checkNamed(parts);
  checkRegistration(parts);
  const model = text(object(intent, "validation"), "model");
  if (!texts(parts.manifest.payload, "validationModels").includes(model)) throw new Fault("ModelNotAccepted");

  const members = membersOf(parts, payment, model, codec);
  const m = integer(object(intent, "validation"), "threshold");
  const set = within("Set", () => validatorSet(m, members.map(({ settlementKey }) => settlementKey)));
  const setHash = codec.setHash(set);
  if (setHash !== text(payment, "validatorSet")) throw new Fault("OtherSet");
  const terms = termsOf(parts, payment, setHash, codec);
  const hash = within("Terms", () => codec.termsHash(terms));
  within("NotSettleable", () => codec.checkSettleable(terms, terms.issuedAt));
  const isSingle = text(intent, "mode") === "single";
  const checked: Dossier = {
    taskId: parts.intent.cid,
    intent,
    manifest: parts.manifest.payload,
    network,
    codec,
    terms,
    termsHash: hash,
    payTo: codec.payTo(hash),
    set,
    members,
    commitByMs: commitBy(intent),
    lastAttempt: isSingle ? integer(intent, "maxAttempts") : 1,
  };
  checkPayees(checked);
  checkRowCount(checked);
  const input = object(intent, "input");
  if (parts.input.cid !== text(input, "cid") || parts.input.bytes !== integer(input, "bytes")) {
    throw new Fault("OtherInput");
  }
  return checked;
}

function checkNamed({ intent: { payload: intent }, manifest, registration, offers }: Parts): void {
  if (manifest.cid !== text(intent, "manifestCid")) throw new Fault("OtherManifest");
  if (registration.cid !== text(intent, "registrationCid")) throw new Fault("OtherRegistration");
  const named = texts(object(intent, "validation"), "offerCids");
  if (offers.length !== named.length) throw new Fault("OfferCount");
  if (offers.some(({ cid }, at) => cid !== named[at])) throw new Fault("OtherOffer");
}

function checkRegistration({ intent, manifest, registration }: Parts): void {
  const [r, m] = [registration.payload, manifest.payload];
  if (text(r, "author") !== text(m, "author")) throw new Fault("ForeignRegistration");
  const isOther =
    text(r, "manifestCid") !== manifest.cid || text(r, "capabilityId") !== text(m, "capabilityId");
  if (isOther) throw new Fault("RegistrationOfOther");
  const issued = integer(intent.payload, "issuedAtMs");
  if (issued < integer(r, "validFromMs") || issued >= integer(r, "validUntilMs")) {
    throw new Fault("RegistrationNotValid");
  }
}

/** The validators by settlement key, each fit for this task. */
function membersOf(
  parts: Parts, payment: JsonObject, model: string, codec: Codec,
): readonly Member[] {
  const envelopeKeys = new Set(parts.offers.map(({ payload }) => text(payload, "validator")));
  const keys = new Set<string>();
  const payouts = new Set<string>();
  const members = parts.offers.map(({ payload }) => {
    const one = member(parts, payment, payload, model, codec);
    if (keys.has(one.key) || envelopeKeys.has(one.ed25519) || payouts.has(one.payout)) throw new Fault("Offer");
    keys.add(one.key);
    payouts.add(one.payout);
    return one;
  });
  return members.sort((a, b) => (a.settlementKey < b.settlementKey ? -1 : 1));
}

function member(
  parts: Parts, payment: JsonObject, offer: JsonObject, model: string, codec: Codec,
): Member {
  const [network, asset] = [text(payment, "network"), text(payment, "asset")];
  const fee = objects(offer, "fees").find(
    (one) => text(one, "network") === network && text(one, "asset") === asset,
  );
  const fits =
    integer(offer, "expiresAtMs") > integer(parts.intent.payload, "issuedAtMs") &&
    texts(offer, "models").includes(model) &&
    texts(offer, "families").includes(text(parts.manifest.payload, "capabilityId"));
  if (!fits || fee === undefined) throw new Fault("Offer");
  if (amount(fee, "fee") > MAX_U64) throw new Fault("AmountTooLarge");
  const address = maybeText(object(offer, "payouts"), network);
  const settlementKey = codec.settlementKey(offer);
  if (address === undefined || settlementKey === undefined) throw new Fault("Offer");
  return {
    key: text(offer, "validator"),
    settlementKey,
    ed25519: text(object(offer, "settlementKey"), "ed25519"),
    fee: amount(fee, "fee"),
    payout: party(codec, address),
  };
}

function party(codec: Codec, address: string): string {
  const known = codec.account(address);
  if (known === undefined) throw new Fault("BadAddress");
  return known;
}

function units(payment: JsonObject, field: string): bigint {
  const value = amount(payment, field);
  if (value > MAX_U64) throw new Fault("AmountTooLarge");
  return value;
}

function commitBy(intent: JsonObject): number {
  const [issued, deadline] = [integer(intent, "issuedAtMs"), integer(intent, "deadlineMs")];
  const window = deadline - issued;
  return deadline - (window >= 20_000 ? 4_000 : Math.max(Math.floor(window / 5), 1_000));
}

function termsOf(parts: Parts, payment: JsonObject, validatorSet: string, codec: Codec): Terms {
  const intent = parts.intent.payload;
  const bps = integer(object(parts.registration.payload, "commission"), "bps");
  // In this order, so that of two broken rules both implementations name the same one.
  const commissionPayee = bps > 0 ? party(codec, creatorWallet(parts, payment)) : ZERO_32;
  const feePayee = maybeText(payment, "gatewayFeePayee");
  const gatewayFeePayee = feePayee === undefined ? ZERO_32 : party(codec, feePayee);
  const refundTo = party(codec, text(payment, "refundTo"));
  const [budget, validatorFeeCap] = [units(payment, "budget"), units(payment, "validatorFeeCap")];
  const mint = party(codec, text(payment, "asset"));
  const decision = Math.min(Math.max(integer(parts.manifest.payload, "decisionTimeS"), 60), 3_600);
  const settleBy = BigInt(Math.ceil(integer(intent, "deadlineMs") / 1_000) + decision);
  return {
    version: 1n,
    onSilence: text(intent, "onSilence") === "majority" ? 1n : 0n,
    commissionBps: BigInt(bps),
    gatewayFeeBps: BigInt(integer(payment, "gatewayFeeBps")),
    reserved: 0n,
    budget,
    validatorFeeCap,
    issuedAt: BigInt(Math.floor(integer(intent, "issuedAtMs") / 1_000)),
    settleBy,
    refundAfter: settleBy + (budget > LARGE_BUDGET ? codec.grace.large : codec.grace.small),
    taskId: digestOf(parts.intent.cid),
    mint,
    refundTo,
    validatorSet,
    commissionPayee,
    gatewayFeePayee,
    rentTo: rentTo(payment, refundTo, codec),
    salt: text(payment, "salt"),
  };
}

function creatorWallet(parts: Parts, payment: JsonObject): string {
  const wallets = object(object(parts.registration.payload, "commission"), "wallets");
  const wallet = maybeText(wallets, text(payment, "network"));
  if (wallet === undefined) throw new Fault("NoCommissionWallet");
  return wallet;
}

/** Who gets the rent back; zero where no account costs any. */
function rentTo(payment: JsonObject, refundTo: string, codec: Codec): string {
  const named = maybeText(payment, "rentTo");
  if (named !== undefined) return party(codec, named);
  return codec.hasRent ? refundTo : ZERO_32;
}

/** Nobody, the vault, the token and the program may not be paid (threat #58). */
export const isForbidden = ({ payTo, terms, codec }: Dossier, payee: string): boolean =>
  [ZERO_32, payTo, terms.mint, codec.verifier].includes(payee);

/** Nor may a worker be whoever is paid in another role. */
export function isForbiddenWorker(task: Dossier, payee: string): boolean {
  const { refundTo, commissionPayee, gatewayFeePayee } = task.terms;
  const others = [refundTo, commissionPayee, gatewayFeePayee, ...task.members.map(({ payout }) => payout)];
  return isForbidden(task, payee) || others.includes(payee);
}

function checkPayees(task: Dossier): void {
  const computed = [task.terms.commissionPayee, task.terms.gatewayFeePayee].filter((key) => key !== ZERO_32);
  const payees = [...task.members.map(({ payout }) => payout), ...computed];
  if (payees.some((payee) => isForbidden(task, payee))) throw new Fault("ForbiddenParty");
}

/** A receipt that cannot be encoded would lock honest work out. */
function checkRowCount({ intent, members, set }: Dossier): void {
  const paid = members.filter(({ fee }) => fee > 0n).length;
  const isQuorum = text(intent, "mode") === "quorum";
  const rows = isQuorum ? integer(intent, "fanout") + paid : 1 + Math.min(paid, set.m);
  if (rows > MAX_ROWS) throw new Fault("TooManyRows");
}

/** Set index of a validator's envelope key; −1 for a stranger. */
export const setIndexOf = ({ members }: Dossier, key: string): number =>
  members.findIndex((one) => one.key === key);

/** Whether a key is an envelope or settlement key of a validator. */
export const isValidatorKey = ({ members }: Dossier, key: string): boolean =>
  members.some((one) => one.key === key || one.ed25519 === key);

export const leaseLimits = ({ intent }: Dossier): { readonly min: number; readonly max: number } => {
  const [fanout, quorum] = [integer(intent, "fanout"), integer(intent, "quorum")];
  const mode = text(intent, "mode");
  if (mode === "single") return { min: 1, max: 1 };
  return { min: mode === "race" ? 1 : quorum, max: fanout };
};

