/**
 * The strict JSON decoder: refuses, before anything is hashed, every text that two JSON libraries
 * could read differently. `JSON.parse` is not used: it keeps the last of two equal keys, rounds
 * large integers and takes lone surrogates.
 */

/** A number written with a fraction or an exponent. Kept apart: most places refuse it. */
export class JsonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** Objects are maps, so that `__proto__` is a key like any other. */
export type JsonObject = ReadonlyMap<string, Json>;
export type Json = null | boolean | number | JsonFloat | string | readonly Json[] | JsonObject;

/** What a decoder accepts. */
export interface Limits {
  readonly maxBytes: number;
  readonly floats: boolean;
  /** Containers inside containers; {@link MAX_DEPTH} unless said otherwise. */
  readonly maxDepth?: number;
}

/** A broken rule. Every refusal of this verifier is one. */
export class Refusal extends Error {}

/** Containers inside containers, the outermost one counted. */
export const MAX_DEPTH = 32;

/** Decodes one document, or throws a {@link Refusal}. */
export function parseStrict(bytes: Uint8Array, limits: Limits): Json {
  if (bytes.length > limits.maxBytes) {
    throw new Refusal(`${bytes.length} bytes, ${limits.maxBytes} allowed`);
  }
  let text: string;
  try {
    // ignoreBOM keeps a byte-order mark in the text, where no rule of the grammar takes it.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refusal("not UTF-8");
  }
  return new Reader(text, limits.floats).document(limits.maxDepth ?? MAX_DEPTH);
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

class Reader {
  readonly #text: string;
  readonly #floats: boolean;
  #at = 0;

  constructor(text: string, floats: boolean) {
    this.#text = text;
    this.#floats = floats;
  }

  document(maxDepth: number): Json {
    const value = this.#value(maxDepth);
    this.#space();
    if (this.#at < this.#text.length) this.#refuse("bytes after the document");
    return value;
  }

  #refuse(why: string): never {
    throw new Refusal(`${why} at ${this.#at}`);
  }

  #space(): void {
    while (" \t\r\n".includes(this.#text.charAt(this.#at)) && this.#at < this.#text.length) {
      this.#at += 1;
    }
  }

  #take(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  #value(depthLeft: number): Json {
    this.#space();
    switch (this.#text.charAt(this.#at)) {
      case "{":
        return this.#object(depthLeft);
      case "[":
        return this.#list(depthLeft);
      case '"':
        return this.#string();
      default:
        if (this.#take("null")) return null;
        if (this.#take("true")) return true;
        if (this.#take("false")) return false;
        return this.#number();
    }
  }

  #object(depthLeft: number): JsonObject {
    if (depthLeft === 0) this.#refuse("nested too deep");
    this.#at += 1;
    const fields = new Map<string, Json>();
    this.#space();
    if (this.#take("}")) return fields;
    for (;;) {
      this.#space();
      if (this.#text.charAt(this.#at) !== '"') this.#refuse("no key");
      const key = this.#string();
      if (fields.has(key)) this.#refuse("one key twice");
      this.#space();
      if (!this.#take(":")) this.#refuse("no colon");
      fields.set(key, this.#value(depthLeft - 1));
      this.#space();
      if (this.#take("}")) return fields;
      if (!this.#take(",")) this.#refuse("no comma");
    }
  }

  #list(depthLeft: number): readonly Json[] {
    if (depthLeft === 0) this.#refuse("nested too deep");
    this.#at += 1;
    const items: Json[] = [];
    this.#space();
    if (this.#take("]")) return items;
    for (;;) {
      items.push(this.#value(depthLeft - 1));
      this.#space();
      if (this.#take("]")) return items;
      if (!this.#take(",")) this.#refuse("no comma");
    }
  }

  #string(): string {
    this.#at += 1;
    let out = "";
    for (;;) {
      const char = this.#text.charAt(this.#at);
      if (char === "") this.#refuse("unclosed text");
      this.#at += 1;
      if (char === '"') break;
      if (char < " ") this.#refuse("raw control character");
      out += char === "\\" ? this.#escape() : char;
    }
    if (/\p{Cs}/u.test(out)) this.#refuse("lone surrogate");
    return out;
  }

  #escape(): string {
    const char = this.#text.charAt(this.#at);
    this.#at += 1;
    if (char === "u") {
      const digits = this.#text.slice(this.#at, this.#at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#refuse("malformed escape");
      this.#at += 4;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    return ESCAPES.get(char) ?? this.#refuse("unknown escape");
  }

  #number(): number | JsonFloat {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) this.#refuse("no value");
    this.#at += match[0].length;
    const value = Number(match[0]);
    if (Object.is(value, -0)) this.#refuse("negative zero");
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER) this.#refuse("number outside ±(2^53 − 1)");
    if (match[1] === undefined && match[2] === undefined) return value;
    if (!this.#floats) this.#refuse("float");
    return new JsonFloat(value);
  }
}

/** Whether a float occurs anywhere in `value`. */
export function hasFloat(value: Json): boolean {
  if (value instanceof JsonFloat) return true;
  if (isList(value)) return value.some(hasFloat);
  if (isObject(value)) return [...value.values()].some(hasFloat);
  return false;
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return value instanceof Map;
}
