/** Base58 of 32 bytes, as Solana spells accounts: one spelling for every 32 bytes. Values are lower-case hex. */

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE = BigInt(ALPHABET.length);
const BYTES = 32;

/** 32 bytes as hex; undefined for any text that is not their spelling. */
export function fromBase58(text: string): string | undefined {
  if (!/^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(text)) return undefined;
  let value = 0n;
  for (const letter of text) value = value * BASE + BigInt(ALPHABET.indexOf(letter));
  const hex = value.toString(16).padStart(2 * BYTES, "0");
  // Leading ones beyond the leading zero bytes would be a second spelling.
  return hex.length === 2 * BYTES && toBase58(hex) === text ? hex : undefined;
}

/** The spelling of 32 bytes of hex. */
export function toBase58(hex: string): string {
  let rest = BigInt(`0x${hex}`);
  let digits = "";
  while (rest > 0n) {
    digits = ALPHABET.charAt(Number(rest % BASE)) + digits;
    rest /= BASE;
  }
  const zeros = /^(?:00)*/.exec(hex)?.[0].length ?? 0;
  return ALPHABET.charAt(0).repeat(zeros / 2) + digits;
}
