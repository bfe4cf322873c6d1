/** Reading fields of objects whose shapes were checked before. A field of another type is a bug. */
import { type Json, type JsonObject, isList, isObject } from "../objects/json.ts";

export function text(from: JsonObject, field: string): string {
  const value = from.get(field);
  if (typeof value !== "string") throw new TypeError(`${field} is not a text`);
  return value;
}

/** A text that may be absent or null. */
export function maybeText(from: JsonObject, field: string): string | undefined {
  const value = from.get(field);
  return typeof value === "string" ? value : undefined;
}

export function integer(from: JsonObject, field: string): number {
  const value = from.get(field);
  if (typeof value !== "number") throw new TypeError(`${field} is not an integer`);
  return value;
}

/** An amount: a decimal text. */
export const amount = (from: JsonObject, field: string): bigint => BigInt(text(from, field));

export function object(from: JsonObject, field: string): JsonObject {
  const value = from.get(field);
  if (!isObject(value)) throw new TypeError(`${field} is not an object`);
  return value;
}

export function list(from: JsonObject, field: string): readonly Json[] {
  const value = from.get(field);
  if (!isList(value)) throw new TypeError(`${field} is not a list`);
  return value;
}

export function objects(from: JsonObject, field: string): readonly JsonObject[] {
  return list(from, field).map((value) => {
    if (!isObject(value)) throw new TypeError(`${field} does not hold objects`);
    return value;
  });
}

export function texts(from: JsonObject, field: string): readonly string[] {
  return list(from, field).map((value) => {
    if (typeof value !== "string") throw new TypeError(`${field} does not hold texts`);
    return value;
  });
}

/** 32 bytes as hex of a CID. */
export const digestOf = (cid: string): string => cid.slice("sha256:".length);

/** 32 bytes as hex of a key. */
export const keyOf = (id: string): string => id.slice("ed25519:".length);
