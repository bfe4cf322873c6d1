/**
 * Buys once with a stock client: a job in JSON on standard input, what came of it in JSON on standard output.
 *
 * `{client, url, key, body, spend?, policy?}` as in {@link Job}; the policy's amounts are decimal texts. The answer
 * is `{status, body, receipt}`, or `{error}` where the client stopped.
 */
import { text } from "node:stream/consumers";

import type { Policy } from "../../js/src/buyer/before-payment.ts";
import { type Job, buy } from "./stock.ts";

interface WrittenPolicy extends Omit<Policy, "maxAmount" | "maxValidatorFees"> {
  readonly maxAmount: string;
}

const written = JSON.parse(await text(process.stdin)) as Omit<Job, "policy"> & { readonly policy?: WrittenPolicy };
const { policy: agreed, ...rest } = written;
const job: Job = agreed === undefined ? rest : { ...rest, policy: { ...agreed, maxAmount: BigInt(agreed.maxAmount) } };

const decoded = (header: string | null): unknown =>
  header === null ? null : JSON.parse(Buffer.from(header, "base64").toString());

let outcome: object;
try {
  const { status, body, receipt } = await buy(job);
  outcome = { status, body, receipt: decoded(receipt) };
} catch (error) {
  outcome = { error: error instanceof Error ? error.message : String(error) };
}
process.stdout.write(`${JSON.stringify(outcome)}\n`);
