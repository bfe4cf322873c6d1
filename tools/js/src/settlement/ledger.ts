/** The vault of one task as a pure function: state, command and clock in; state and effects out (spec §3.1). */
import { bytesToHex, concatBytes } from "@noble/hashes/utils.js";

import { type Payout, plan } from "./arithmetic.ts";
import { Fault, within } from "./fault.ts";
import { type Domain, ZERO_32, bytes32, littleEndian } from "./layout.ts";
import { MAX_U64, type Settlement, settlementDigest } from "./receipt.ts";
import { type ValidatorSet, need, setHash } from "./set.ts";
import { type Terms, checkSettleable, clamp, isSettleable, termsHash } from "./terms.ts";

export interface Site {
  readonly domain: Domain;
  readonly termsHash: string;
  readonly vault: string;
  readonly bump: number;
}

interface Tombstone {
  readonly kind: "settled";
  readonly refundAfter: bigint;
  readonly rentTo: string;
  /** A claimed credit stays with amount 0. */
  readonly credits: readonly Payout[];
}

export type Account =
  | { readonly kind: "absent" }
  | { readonly kind: "open"; readonly terms: Terms }
  | Tombstone;

export interface Vault {
  readonly site: Site;
  readonly account: Account;
  /** Balance of the token account; undefined while there is none. */
  readonly tokens: bigint | undefined;
}

/** Approvals that were checked before. */
export interface Approvals {
  readonly set: ValidatorSet;
  readonly digest: string;
  readonly count: number;
}

export type Command =
  | { readonly kind: "open"; readonly terms: Terms; readonly amount: bigint; readonly mintAllowed: boolean; readonly set: ValidatorSet | undefined }
  | { readonly kind: "deposit"; readonly amount: bigint }
  | { readonly kind: "settle"; readonly settlement: Settlement; readonly approvals: Approvals; readonly unpayable: readonly string[] }
  | { readonly kind: "claimCredit"; readonly payee: string; readonly payable: boolean }
  | { readonly kind: "claimCreditTo"; readonly payee: string; readonly signer: string; readonly to: string; readonly payable: boolean }
  | { readonly kind: "lapseCredits" }
  | { readonly kind: "sweep"; readonly terms: Terms; readonly payable: boolean }
  | { readonly kind: "sweepTo"; readonly terms: Terms; readonly signer: string; readonly to: string; readonly payable: boolean }
  | { readonly kind: "closeUnfunded"; readonly terms: Terms }
  | { readonly kind: "close" };

export interface Transfer {
  readonly to: string;
  readonly amount: bigint;
  readonly kind: string;
}

export interface RentNote {
  readonly account: "State" | "Tokens";
  readonly lamports: bigint;
  /** `fromCaller`, or who gets it. */
  readonly flow: string;
}

export interface Effects {
  readonly deposited: bigint;
  readonly transfers: readonly Transfer[];
  readonly credits: readonly Payout[];
  readonly rent: readonly RentNote[];
  readonly termsPublished: boolean;
  readonly lapsed: bigint;
}

export interface Step {
  readonly vault: Vault;
  readonly effects: Effects;
}

const NONE: Effects = {
  deposited: 0n, transfers: [], credits: [], rent: [], termsPublished: false, lapsed: 0n,
};
const ABSENT: Account = { kind: "absent" };
const CREDIT_LIFE_S = 180n * 86_400n;
const UNFUNDED_S = 120n;
const FROM_CALLER = "fromCaller";

const rentOf = (length: number): bigint => (BigInt(length) + 128n) * 6_960n;
const RENT_OPEN = rentOf(272);
const RENT_ATA = rentOf(165);
const rentOfTombstone = (credits: number): bigint => rentOf(84 + 41 * credits);

/** The next state and what must move, or a {@link Fault}. */
export function apply(vault: Vault, command: Command, now: bigint): Step {
  switch (command.kind) {
    case "open":
      return open(vault, command, now);
    case "deposit":
      if (command.amount === 0n) throw new Fault("ZeroAmount");
      return receive(vault, command.amount);
    case "settle":
      return settle(vault, command, now);
    case "claimCredit":
      return claim(vault, command.payee, { to: command.payee, payable: command.payable }, now);
    case "claimCreditTo":
      return claim(vault, command.payee, elsewhere(vault, command.payee, command), now);
    case "lapseCredits":
      return lapse(vault, now);
    case "sweep":
      return sweep(vault, command.terms, { to: command.terms.refundTo, payable: command.payable }, now);
    case "sweepTo":
      return sweep(vault, command.terms, elsewhere(vault, command.terms.refundTo, command), now);
    case "closeUnfunded":
      return closeUnfunded(vault, command.terms, now);
    case "close":
      return close(vault, now);
  }
}

function expectTerms(vault: Vault, terms: Terms): void {
  if (termsHash(terms, vault.site.domain) !== vault.site.termsHash) throw new Fault("WrongTerms");
}

function receive(vault: Vault, amount: bigint): Step {
  const balance = (vault.tokens ?? 0n) + amount;
  if (balance > MAX_U64) throw new Fault("TooMuchMoney");
  const rent: RentNote[] =
    vault.tokens === undefined ? [{ account: "Tokens", lamports: RENT_ATA, flow: FROM_CALLER }] : [];
  return { vault: { ...vault, tokens: balance }, effects: { ...NONE, deposited: amount, rent } };
}

function open(vault: Vault, command: Command & { kind: "open" }, now: bigint): Step {
  const { terms, amount } = command;
  expectTerms(vault, terms);
  within("NotSettleable", () => checkSettleable(terms, vault.site.domain, now));
  if (vault.account.kind === "settled") throw new Fault("AlreadySettled");
  if (!command.mintAllowed) throw new Fault("MintNotAllowed");
  if (command.set === undefined || setHash(command.set) !== terms.validatorSet) {
    throw new Fault("SetNotPublished");
  }
  if (now >= (amount === 0n ? terms.refundAfter : terms.settleBy)) throw new Fault("TooLate");
  const received = receive(vault, amount);
  if (vault.account.kind === "open") return received;
  const note: RentNote = { account: "State", lamports: RENT_OPEN, flow: FROM_CALLER };
  return {
    vault: { ...received.vault, account: { kind: "open", terms } },
    effects: { ...received.effects, rent: [...received.effects.rent, note], termsPublished: true },
  };
}

function settle(vault: Vault, command: Command & { kind: "settle" }, now: bigint): Step {
  const { site, account } = vault;
  if (account.kind === "absent") throw new Fault("NotOpen");
  if (account.kind === "settled") throw new Fault("AlreadySettled");
  const { terms } = account;
  if (now >= terms.refundAfter) throw new Fault("TooLate");
  const { settlement, approvals, unpayable } = command;
  if (setHash(approvals.set) !== terms.validatorSet) throw new Fault("WrongSet");
  if (settlementDigest(site.domain, site.termsHash, settlement) !== approvals.digest) {
    throw new Fault("WrongDigest");
  }
  if (approvals.count < need(terms, approvals.set, now)) throw new Fault("NotEnoughSignatures");
  const computed = [terms.commissionPayee, terms.gatewayFeePayee].filter((payee) => payee !== ZERO_32);
  const payees = [...settlement.rows.map(({ payee }) => payee), ...computed];
  const forbidden = [ZERO_32, site.vault, terms.mint, site.domain.program];
  if (payees.some((payee) => forbidden.includes(payee))) throw new Fault("BadPayee");
  const balance = vault.tokens ?? 0n;
  const money = within("Plan", () => plan(terms, settlement.rows, settlement.outcome, balance));

  const credits = money.payouts.filter(({ to }) => unpayable.includes(to));
  const transfers: Transfer[] = money.payouts
    .filter(({ to }) => !unpayable.includes(to))
    .map(({ to, amount, role }) => ({ to, amount, kind: role }));
  if (!unpayable.includes(terms.refundTo) && money.residual > 0n) {
    transfers.push({ to: terms.refundTo, amount: money.residual, kind: "Refund" });
  }
  const left = transfers.reduce((rest, { amount }) => rest - amount, balance);
  const rent: RentNote[] = [];
  const { rentTo } = terms;
  const isEmpty = left === 0n && vault.tokens !== undefined;
  if (isEmpty) rent.push({ account: "Tokens", lamports: RENT_ATA, flow: rentTo });
  const change = RENT_OPEN - rentOfTombstone(credits.length);
  if (change > 0n) rent.push({ account: "State", lamports: change, flow: rentTo });
  if (change < 0n) rent.push({ account: "State", lamports: -change, flow: FROM_CALLER });
  const tombstone: Tombstone = { kind: "settled", refundAfter: terms.refundAfter, rentTo, credits };
  const tokens = isEmpty || vault.tokens === undefined ? undefined : left;
  return { vault: { site, account: tombstone, tokens }, effects: { ...NONE, transfers, credits, rent } };
}

interface Target {
  readonly to: string;
  readonly payable: boolean;
}

/** Anywhere by the owner's signature, but not where nobody can spend it. */
function elsewhere(vault: Vault, owner: string, command: Target & { readonly signer: string }): Target {
  if (command.signer !== owner) throw new Fault("WrongSigner");
  const { vault: address, domain } = vault.site;
  if ([ZERO_32, address, domain.program].includes(command.to)) throw new Fault("BadPayee");
  return command;
}

function settled(vault: Vault): Tombstone {
  if (vault.account.kind !== "settled") throw new Fault("NotSettled");
  return vault.account;
}

const totalOf = ({ credits }: Tombstone): bigint => credits.reduce((sum, { amount }) => sum + amount, 0n);
const creditsUntil = ({ refundAfter }: Tombstone): bigint => clamp(refundAfter + CREDIT_LIFE_S);

function claim(vault: Vault, payee: string, target: Target, now: bigint): Step {
  const tombstone = settled(vault);
  if (now >= creditsUntil(tombstone)) throw new Fault("TooLate");
  const amount = totalOf({ ...tombstone, credits: tombstone.credits.filter(({ to }) => to === payee) });
  if (amount === 0n) throw new Fault("NoCredit");
  if (!target.payable) throw new Fault("Unpayable");
  const credits = tombstone.credits.map((one) => (one.to === payee ? { ...one, amount: 0n } : one));
  return {
    vault: { ...vault, account: { ...tombstone, credits }, tokens: (vault.tokens ?? 0n) - amount },
    effects: { ...NONE, transfers: [{ to: target.to, amount, kind: "Credit" }] },
  };
}

function lapse(vault: Vault, now: bigint): Step {
  const tombstone = settled(vault);
  if (now < creditsUntil(tombstone)) throw new Fault("TooEarly");
  const lapsed = totalOf(tombstone);
  if (lapsed === 0n) throw new Fault("NoCredits");
  const credits = tombstone.credits.map((one) => ({ ...one, amount: 0n }));
  return { vault: { ...vault, account: { ...tombstone, credits } }, effects: { ...NONE, lapsed } };
}

function sweep(vault: Vault, terms: Terms, target: Target, now: bigint): Step {
  expectTerms(vault, terms);
  const { account, tokens } = vault;
  const mayStillSettle = account.kind !== "settled" && isSettleable(terms, vault.site.domain, now);
  if (mayStillSettle && now < terms.refundAfter) throw new Fault("TooEarly");
  const reserved = account.kind === "settled" ? totalOf(account) : 0n;
  if (tokens === undefined || (tokens === reserved && reserved > 0n)) throw new Fault("NothingToSweep");
  const residual = tokens - reserved;
  if (residual > 0n && !target.payable) throw new Fault("Unpayable");
  const transfers = residual > 0n ? [{ to: target.to, amount: residual, kind: "Refund" }] : [];
  const rent: RentNote[] =
    reserved === 0n ? [{ account: "Tokens", lamports: RENT_ATA, flow: terms.rentTo }] : [];
  return {
    vault: { ...vault, tokens: reserved === 0n ? undefined : reserved },
    effects: { ...NONE, transfers, rent },
  };
}

function closeUnfunded(vault: Vault, terms: Terms, now: bigint): Step {
  expectTerms(vault, terms);
  const { account, tokens } = vault;
  if (account.kind === "settled") throw new Fault("AlreadySettled");
  if (now < clamp(terms.issuedAt + UNFUNDED_S)) throw new Fault("TooEarly");
  if ((tokens ?? 0n) > 0n) throw new Fault("NotEmpty");
  const rent: RentNote[] = [];
  const flow = terms.rentTo;
  if (tokens !== undefined) rent.push({ account: "Tokens", lamports: RENT_ATA, flow });
  if (account.kind === "open") rent.push({ account: "State", lamports: RENT_OPEN, flow });
  if (rent.length === 0) throw new Fault("NothingToClose");
  return { vault: { site: vault.site, account: ABSENT, tokens: undefined }, effects: { ...NONE, rent } };
}

function close(vault: Vault, now: bigint): Step {
  const { account } = vault;
  if (account.kind === "absent") throw new Fault("NothingToClose");
  const { refundAfter, rentTo } = account.kind === "open" ? account.terms : account;
  if (now < refundAfter) throw new Fault("TooEarly");
  if (account.kind === "open" && (vault.tokens ?? 0n) > 0n) throw new Fault("NotEmpty");
  if (account.kind === "settled" && totalOf(account) > 0n) throw new Fault("CreditsOutstanding");
  const lamports = account.kind === "open" ? RENT_OPEN : rentOfTombstone(account.credits.length);
  const rent: RentNote[] = [{ account: "State", lamports, flow: rentTo }];
  return { vault: { ...vault, account: ABSENT }, effects: { ...NONE, rent } };
}

const DISCRIMINATOR = Uint8Array.of(0xd3, 0x08, 0xe8, 0x2b, 0x02, 0x98, 0x75, 0x77);
const ROLES = ["Worker", "Validator", "Creator", "Gateway"];

/** The state account's bytes as hex: none, 272, or 84 and 41 per credit. */
export function encodeAccount({ site, account }: Vault): string {
  if (account.kind === "absent") return "";
  const head = (status: number): Uint8Array =>
    concatBytes(DISCRIMINATOR, Uint8Array.of(1, site.bump, status));
  if (account.kind === "settled") {
    const { credits, refundAfter, rentTo } = account;
    const listed = credits.map(({ to, amount, role }) =>
      concatBytes(bytes32(to), littleEndian(amount, 8), Uint8Array.of(ROLES.indexOf(role))),
    );
    const fixed = [littleEndian(refundAfter, 8), bytes32(site.termsHash), bytes32(rentTo)];
    return bytesToHex(concatBytes(head(2), Uint8Array.of(credits.length), ...fixed, ...listed));
  }
  const { terms } = account;
  return bytesToHex(
    concatBytes(
      head(1),
      littleEndian(terms.onSilence, 1),
      littleEndian(terms.commissionBps, 2),
      littleEndian(terms.gatewayFeeBps, 2),
      littleEndian(terms.budget, 8),
      littleEndian(terms.validatorFeeCap, 8),
      littleEndian(terms.settleBy, 8),
      littleEndian(terms.refundAfter, 8),
      bytes32(site.termsHash),
      bytes32(terms.mint),
      bytes32(terms.refundTo),
      bytes32(terms.validatorSet),
      bytes32(terms.commissionPayee),
      bytes32(terms.gatewayFeePayee),
      bytes32(terms.rentTo),
    ),
  );
}
