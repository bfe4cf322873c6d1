/** Signed objects of a bundle: opened, of the kind expected, with the rules between their fields. */
import { utf8ToBytes } from "@noble/hashes/utils.js";

import { canonical } from "../objects/canonical.ts";
import { type Verified, openEnvelope } from "../objects/envelope.ts";
import { type Json, Refusal } from "../objects/json.ts";
import { Fault } from "../settlement/fault.ts";
import { checkRules } from "./rules.ts";

/** Opens an envelope of one kind, or throws `Object`. */
export function open(kind: string, envelope: Json): Verified {
  return orObject(() => {
    const verified = openEnvelope(utf8ToBytes(canonical(envelope)));
    if (verified.kind !== kind) throw new Refusal(`${verified.kind} is not ${kind}`);
    checkRules(kind, verified.payload);
    return verified;
  });
}

/** A {@link Refusal} of `run` as the broken link `Object`. */
export function orObject<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof Refusal ? new Fault("Object") : error;
  }
}

/** Objects of a list that ascends by CID. */
export function ascending(kind: string, envelopes: readonly Json[]): readonly Verified[] {
  const opened = envelopes.map((envelope) => open(kind, envelope));
  if (opened.some(({ cid }, at) => at > 0 && cid <= (opened[at - 1]?.cid ?? ""))) throw new Fault("Order");
  return opened;
}
