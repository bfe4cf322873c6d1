/** The stock clients, each as its maker ships it: one function from a job to the paid answer. */
import { wrapAxiosWithPayment, x402Client as AxiosX402Client } from "@x402/axios";
import { ExactEvmScheme } from "@x402/evm";
import { ExactEvmSchemeV1 } from "@x402/evm/v1";
import { createKeyPairSignerFromPrivateKeyBytes } from "@solana/kit";
import { ExactSvmScheme } from "@x402/svm";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import axios from "axios";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";

import { type Policy, beforePayment } from "../../js/src/buyer/before-payment.ts";

/** `svm` is `@x402/fetch` paying on Solana. */
export type Client = "fetch" | "axios" | "v1" | "svm";

export interface Job {
  readonly client: Client;
  readonly url: string;
  readonly key: `0x${string}`;
  readonly body: string;
  /** RPC of the cluster, for `svm`. */
  readonly rpc?: string;
  /** The client's spending limit, `$1.01`; its own default where absent. */
  readonly spend?: string;
  /** Adds the guard. */
  readonly policy?: Policy;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** `PAYMENT-RESPONSE` or `X-PAYMENT-RESPONSE`, as sent. */
  readonly receipt: string | null;
}

const TIMEOUT_MS = 90_000;
const HEADERS = { "content-type": "application/json" };
const RECEIPTS = ["payment-response", "x-payment-response"];

/** Posts the body and pays when asked to. */
export async function buy(job: Job): Promise<Answer> {
  if (job.client === "svm") return bySvm(job);
  const account = privateKeyToAccount(job.key);
  return job.client === "axios" ? byAxios(job, account) : byFetch(job, account);
}

async function byFetch(job: Job, account: PrivateKeyAccount): Promise<Answer> {
  const client = new x402Client();
  if (job.client === "v1") client.registerV1("base-sepolia", new ExactEvmSchemeV1(account));
  else client.register("eip155:*", new ExactEvmScheme(account));
  // A client of version 1 alone never looks at the header of version 2.
  return pay(job, client, job.client === "v1" ? withoutHeader : fetch);
}

async function bySvm(job: Job): Promise<Answer> {
  const signer = await createKeyPairSignerFromPrivateKeyBytes(Buffer.from(job.key.slice(2), "hex"));
  const config = job.rpc === undefined ? {} : { rpcUrl: job.rpc };
  return pay(job, new x402Client().register("solana:*", new ExactSvmScheme(signer, config)), fetch);
}

async function pay(job: Job, client: x402Client, transport: typeof fetch): Promise<Answer> {
  if (job.spend !== undefined) client.setSpendControls({ maxAmountPerPayment: job.spend });
  if (job.policy !== undefined) client.onBeforePaymentCreation(beforePayment(job.policy));
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await wrapFetchWithPayment(transport, client)(job.url, {
    method: "POST", headers: HEADERS, body: job.body, signal,
  });
  const receipt = RECEIPTS.map((name) => answer.headers.get(name)).find((value) => value !== null);
  return { status: answer.status, body: await answer.json(), receipt: receipt ?? null };
}

const withoutHeader: typeof fetch = async (input, init) => {
  const answer = await fetch(input, init);
  const headers = new Headers(answer.headers);
  headers.delete("payment-required");
  return new Response(answer.body, { status: answer.status, headers });
};

/** `@x402/axios` brings a core of its own, older than the one above: without spending limits. */
async function byAxios(job: Job, account: PrivateKeyAccount): Promise<Answer> {
  const client = new AxiosX402Client().register("eip155:*", new ExactEvmScheme(account));
  if (job.policy !== undefined) client.onBeforePaymentCreation(beforePayment(job.policy));
  const paying = wrapAxiosWithPayment(axios.create({ timeout: TIMEOUT_MS }), client);
  const answer = await paying.post(job.url, job.body, { headers: HEADERS });
  const receipt = RECEIPTS.map((name): unknown => answer.headers[name]).find((value) => typeof value === "string");
  return { status: answer.status, body: answer.data as unknown, receipt: typeof receipt === "string" ? receipt : null };
}
