/** RFC 8785 (JCS) canonical text and the CIDs over it. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

import { type Json, JsonFloat, isList, isObject } from "./json.ts";

/** The canonical text: keys by UTF-16 code units, which is how JavaScript compares strings. */
export function canonical(value: Json): string {
  if (value instanceof JsonFloat) return String(value.value);
  if (isList(value)) return `[${value.map(canonical).join(",")}]`;
  if (isObject(value)) {
    const fields = [...value].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`;
  }
  // Null, booleans, integers and texts print as ECMAScript prints them.
  return JSON.stringify(value);
}

/** SHA-256 of the canonical text. */
export function digest(value: Json): Uint8Array {
  return sha256(utf8ToBytes(canonical(value)));
}

/** `sha256:<64 lower hex>` of the canonical text. */
export function cidOf(value: Json): string {
  return `sha256:${bytesToHex(digest(value))}`;
}
