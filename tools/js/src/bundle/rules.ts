/** Rules between the fields of one object, for the kinds a bundle holds. Shapes were checked before. */
import { canonical } from "../objects/canonical.ts";
import { type Evidence, evidenceRoot } from "../objects/hashes.ts";
import { type Json, type JsonObject, Refusal, isObject } from "../objects/json.ts";
import { amount, integer, list, maybeText, object, objects, text, texts } from "./fields.ts";

type Rule = (payload: JsonObject) => readonly boolean[];

const within = (value: number, min: number, max: number): boolean => value >= min && value <= max;
const count = (payload: JsonObject, field: string, min: number, max: number): boolean =>
  within(list(payload, field).length, min, max);
const distinct = (items: readonly string[]): boolean => new Set(items).size === items.length;
const isSchema = (value: Json | undefined): boolean => isObject(value) || typeof value === "boolean";
const hasText = (payload: JsonObject, field: string): boolean => maybeText(payload, field) !== undefined;

const MAX_BPS = 2_000;

const manifest: Rule = (m) => [
  text(m, "capabilityId") === `${text(m, "id")}@${text(m, "version")}`,
  isSchema(m.get("inputSchema")) && isSchema(m.get("outputSchema")),
  count(m, "evidence", 0, 32),
  count(m, "validationModels", 1, 4) && distinct(texts(m, "validationModels")),
  count(m, "tags", 0, 32),
  count(object(object(m, "permissions"), "network"), "hosts", 0, 64),
  within(integer(m, "decisionTimeS"), 0, 86_400),
  isObject(m.get("similarity")) === texts(m, "validationModels").includes("scored"),
];

const registration: Rule = (r) => [
  integer(object(r, "commission"), "bps") <= MAX_BPS,
  object(object(r, "commission"), "wallets").size <= 16,
  integer(r, "validFromMs") < integer(r, "validUntilMs"),
];

/** Keys and cross signatures are checked when the envelope is opened. */
const validatorOffer: Rule = (o) => [
  count(o, "addresses", 0, 16),
  count(o, "families", 1, 64) && distinct(texts(o, "families")),
  count(o, "models", 1, 4) && distinct(texts(o, "models")),
  count(o, "fees", 1, 16),
  distinct(objects(o, "fees").map((fee) => `${text(fee, "network")} ${text(fee, "asset")}`)),
  within(object(o, "payouts").size, 1, 16),
];

const taskIntent: Rule = (i) => {
  const [fanout, quorum] = [integer(i, "fanout"), integer(i, "quorum")];
  const validation = object(i, "validation");
  const [n, m] = [list(validation, "offerCids").length, integer(validation, "threshold")];
  const modes = {
    single: fanout === 1 && quorum === 1,
    race: within(fanout, 2, 8) && quorum === 1,
    quorum: within(fanout, 2, 8) && quorum <= fanout && 2 * quorum > fanout,
  };
  return [
    within(integer(i, "deadlineMs") - integer(i, "issuedAtMs"), 10_000, 86_400_000),
    within(integer(i, "maxAttempts"), 1, 8),
    modes[text(i, "mode") as keyof typeof modes],
    within(n, 1, 16) && distinct(texts(validation, "offerCids")),
    m <= n && n < 2 * m,
    count(i, "payment", 1, 6),
    distinct(objects(i, "payment").map((p) => `${text(p, "rail")} ${text(p, "network")}`)),
    ...objects(i, "payment").flatMap(payment),
  ];
};

const payment: Rule = (p) => [
  integer(p, "gatewayFeeBps") <= MAX_BPS,
  hasText(p, "gatewayFeePayee") === integer(p, "gatewayFeeBps") > 0,
  amount(p, "budget") > 0n,
  2n * amount(p, "validatorFeeCap") <= amount(p, "budget"),
];

const sameNetwork = (payload: JsonObject): boolean =>
  text(object(payload, "payout"), "network") === text(payload, "network");

const bid: Rule = (b) => [count(b, "addresses", 0, 16), amount(b, "price") > 0n, sameNetwork(b)];

const lease: Rule = (l) => [
  within(integer(l, "attempt"), 1, 8),
  within(integer(l, "leaseCount"), 1, 8),
  integer(l, "leaseIndex") < integer(l, "leaseCount"),
  amount(l, "price") > 0n,
  sameNetwork(l),
  integer(l, "startMs") < integer(l, "expiresAtMs"),
];

const commitAck: Rule = (a) => [within(integer(a, "attempt"), 1, 8), within(integer(a, "rank"), 1, 8)];

/** The evidence of a claim as its root is made over. */
export function evidenceOf(claim: JsonObject): Evidence[] {
  return objects(claim, "evidence").map((piece) => ({
    name: text(piece, "name"),
    cid: text(piece, "cid"),
    bytes: integer(piece, "bytes"),
    mediaType: text(piece, "mediaType"),
  }));
}

const resultClaim: Rule = (c) => [
  count(c, "evidence", 0, 32),
  distinct(evidenceOf(c).map(({ name }) => name)),
  evidenceRoot(evidenceOf(c)) === text(c, "evidenceRoot"),
];

const settlementReceipt: Rule = (r) => {
  const rows = objects(r, "rows");
  const hasWorker = rows.some((row) => text(row, "role") === "worker");
  const isFree = amount(r, "commission") === 0n && amount(r, "gatewayFee") === 0n;
  return [
    count(r, "rows", 0, 16) && distinct(rows.map((row) => text(row, "payee"))),
    rows.every((row) => amount(row, "amount") > 0n),
    text(r, "outcome") === "paid" ? hasWorker : !hasWorker && isFree,
    ...([["claimCids", 64], ["validationReceiptCids", 256], ["leaseSetRoots", 8]] as const).map(
      ([field, max]) => count(r, field, 0, max) && distinct(texts(r, field)),
    ),
  ];
};

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ["manifest", manifest],
  ["registration", registration],
  ["validatorOffer", validatorOffer],
  ["taskIntent", taskIntent],
  ["bid", bid],
  ["lease", lease],
  ["leaseAccept", () => []],
  ["claimCommit", () => []],
  ["commitAck", commitAck],
  ["resultClaim", resultClaim],
  ["validationReceipt", (r) => [count(r, "reasons", 0, 16)]],
  ["settlementReceipt", settlementReceipt],
]);

/** Refuses a payload that breaks a rule of its kind. */
export function checkRules(kind: string, payload: JsonObject): void {
  const rule = RULES.get(kind);
  if (rule === undefined) throw new Refusal(`${kind} is no kind of a bundle`);
  const broken = rule(payload).indexOf(false);
  if (broken >= 0) throw new Refusal(`${kind} breaks rule ${broken}: ${canonical(payload).slice(0, 80)}`);
}
