import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { getBase64Encoder, getCompiledTransactionMessageDecoder, getTransactionDecoder } from "@solana/kit";

import { buy } from "../src/stock.ts";
import { decode, sell } from "./gateway.ts";

/** The payer's secret: thirty-two bytes of 7. */
const KEY = `0x${"07".repeat(32)}` as const;
const PAYER = "GmaDrppBC7P5ARKV8g3djiwP89vz1jLK23V2GBjuAEGB";
/** USDC of devnet, which the client knows; the gateway's fee payer and the vault are any accounts. */
const USDC = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";
const FEE_PAYER = "J2xccRtuG43drESLYznHhLhQkLTdfepcKYbiQ9BsJVaf";
const VAULT = "9C6hybhQ6Aycep9jaUnP6uL9ZYvDjUp1aSkFWPUFJtpj";
const BLOCKHASH = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";

const entry = (amount: number): object => ({
  scheme: "exact", network: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", amount: String(amount), asset: USDC,
  payTo: VAULT, maxTimeoutSeconds: 60, extra: { feePayer: FEE_PAYER, name: "USDC", paymentFlow: "upfront" },
});

/** A cluster that knows one mint and one blockhash. */
async function cluster<T>(run: (rpc: string) => Promise<T>): Promise<T> {
  const mint = Buffer.alloc(82);
  mint[44] = 6;
  mint[45] = 1;
  const account = {
    data: [mint.toString("base64"), "base64"], executable: false, lamports: 1_461_600, rentEpoch: 0, space: 82,
    owner: "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
  };
  const known: Record<string, unknown> = {
    getAccountInfo: account, getLatestBlockhash: { blockhash: BLOCKHASH, lastValidBlockHeight: 150 },
  };
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { id, method } = JSON.parse(body) as { id: string; method: string };
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ jsonrpc: "2.0", id, result: { context: { slot: 1 }, value: known[method] } }));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    return await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

interface Outcome {
  readonly paid?: { readonly accepted: object; readonly payload: { readonly transaction: string } };
  readonly error?: string;
}

/** Buys for so much and says what the shop was sent. */
async function pay(amount: number, spend?: string): Promise<Outcome> {
  const shop = await sell([entry(amount)]);
  try {
    return await cluster(async (rpc) => {
      const job = { client: "svm", url: shop.url, key: KEY, body: "{}", rpc } as const;
      await buy(spend === undefined ? job : { ...job, spend });
      return { paid: decode<NonNullable<Outcome["paid"]>>(shop.seen.at(-1)?.headers["payment-signature"]) };
    });
  } catch (error) {
    return { error: String(error) };
  } finally {
    await shop.close();
  }
}

test("#40 the stock client pays one dollar on Solana, and more only where it was told to", async () => {
  const dollar = await pay(1_000_000);
  assert.deepEqual(dollar.paid?.accepted, entry(1_000_000));
  assert.match((await pay(1_010_000)).error ?? "", /spendControls/);
  assert.deepEqual((await pay(1_010_000, "$1.01")).paid?.accepted, entry(1_010_000));
});

test("its payment is what this gateway signs: four instructions, two signers, our place empty", async () => {
  const { paid } = await pay(1_000_000);
  const bytes = getBase64Encoder().encode(paid?.payload.transaction ?? "");
  const { messageBytes, signatures } = getTransactionDecoder().decode(bytes);
  assert.deepEqual(Object.keys(signatures), [FEE_PAYER, PAYER]);
  assert.equal(signatures[FEE_PAYER as keyof typeof signatures], null);
  const message = getCompiledTransactionMessageDecoder().decode(messageBytes);
  assert.ok(message.version !== "legacy");
  assert.equal(message.version, 0);
  const programs = message.instructions.map((one) => String(message.staticAccounts[one.programAddressIndex]).slice(0, 6));
  assert.deepEqual(programs, ["Comput", "Comput", "Tokenk", "MemoSq"]);
});
