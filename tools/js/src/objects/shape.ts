/** What a field may hold. A shape says whether a value fits; it never throws. */
import { type Json, isList, isObject } from "./json.ts";

export type Shape = (value: Json) => boolean;

const text =
  (pattern: RegExp, max: number): Shape =>
  (value) =>
    typeof value === "string" && Buffer.byteLength(value) <= max && pattern.test(value);

const integer =
  (max: number): Shape =>
  (value) =>
    typeof value === "number" && value >= 0 && value <= max;

export const u8 = integer(0xff);
export const u16 = integer(0xffff);
export const u32 = integer(0xffff_ffff);
export const u64 = integer(Number.MAX_SAFE_INTEGER);
export const time = u64;
export const bps = integer(10_000);
export const flag: Shape = (value) => typeof value === "boolean";

export const hex32 = text(/^[0-9a-f]{64}$/, 64);
export const nonce = text(/^[0-9a-f]{32}$/, 32);
export const signature = text(/^(?:[0-9a-f]{2})+$/, 1024);
export const cid = text(/^sha256:[0-9a-f]{64}$/, 71);
export const key = text(/^ed25519:[0-9a-f]{64}$/, 72);
export const evmAddress = text(/^0x[0-9a-f]{40}$/, 42);
export const signer = text(/^(?:ed25519:[0-9a-f]{64}|eip191:0x[0-9a-f]{40})$/, 72);
export const network = text(/^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$/, 41);
export const capabilityId = text(
  /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*@[A-Za-z0-9._-]{1,32}$/,
  160,
);
export const namespace = text(/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/, 64);
export const multiaddr = text(/^\/[!-~]*$/, 512);
export const mediaType = text(/^[ !-.0-~]+\/[ -~]+$/, 128);
export const address = text(/^[!-~]+$/, 128);
export const nodeId = address;
export const label = text(/^[A-Za-z0-9._@/:*-]+$/, 160);
export const sentence = text(/^[^\p{Cc}]+$/u, 2048);

const MAX_AMOUNT = (1n << 96n) - 1n;
export const amount: Shape = (value) =>
  typeof value === "string" && /^(?:0|[1-9][0-9]{0,37})$/.test(value) && BigInt(value) <= MAX_AMOUNT;

/** A JSON Schema; what it says is not this verifier's matter. */
export const schema: Shape = (value) => isObject(value) || typeof value === "boolean";

export const oneOf =
  (...words: readonly string[]): Shape =>
  (value) =>
    typeof value === "string" && words.includes(value);

export const listOf =
  (item: Shape): Shape =>
  (value) =>
    isList(value) && value.every(item);

export const mapOf =
  (keys: Shape, values: Shape): Shape =>
  (value) =>
    isObject(value) && [...value].every(([name, item]) => keys(name) && values(item));

/** Marks a field that may be absent (or null, which means the same). */
export class Optional {
  readonly shape: Shape;
  constructor(shape: Shape) {
    this.shape = shape;
  }
}
export const optional = (shape: Shape): Optional => new Optional(shape);

export type Fields = Readonly<Record<string, Shape | Optional>>;

/** An object with these fields; others are kept and not looked at. */
export const object =
  (fields: Fields): Shape =>
  (value) =>
    isObject(value) &&
    Object.entries(fields).every(([name, field]) => {
      const item = value.get(name);
      if (field instanceof Optional) return item === undefined || item === null || field.shape(item);
      return item !== undefined && field(item);
    });
