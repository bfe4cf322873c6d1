/** Base64url without padding, in its one spelling. */
import { Fault } from "../settlement/fault.ts";

export function base64urlnopad(text: unknown): Uint8Array {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text)) throw new Fault("Base64");
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw new Fault("Base64");
  return new Uint8Array(bytes);
}
