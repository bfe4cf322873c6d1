import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { authorizationTypes } from "@x402/evm";
import { recoverTypedDataAddress } from "viem";

import type { Requirements } from "../../js/src/buyer/entry.ts";
import { BUYER, POLICY, SET, STRANGER, offer, tampered } from "../../js/test/offer.ts";
import { buy as buyByExample } from "../src/example.ts";
import { type Client, type Job, buy } from "../src/stock.ts";
import { type Shop, decode, sell } from "./gateway.ts";

/** Account 3 of the well-known development mnemonic. */
const KEY = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
const TASK = JSON.stringify({ capabilityId: "add@1", input: { a: "ü", b: 2 } });

async function from<T>(accepts: readonly unknown[], run: (shop: Shop) => Promise<T>, body: object = {}): Promise<T> {
  const shop = await sell(accepts, body);
  try {
    return await run(shop);
  } finally {
    await shop.close();
  }
}

const job = (client: Client, { url }: Shop, more: Partial<Job> = {}): Job => ({
  client, url, key: KEY, body: TASK, ...more,
});

interface Authorization {
  readonly from: `0x${string}`;
  readonly to: `0x${string}`;
  readonly value: string;
  readonly validAfter: string;
  readonly validBefore: string;
  readonly nonce: `0x${string}`;
}

interface Paid {
  readonly accepted: Requirements;
  readonly payload: { readonly authorization: Authorization; readonly signature: `0x${string}` };
}

/** Who signed the transfer, by the token's own domain. */
const signerOf = ({ authorization: a, signature }: Paid["payload"], asset: string): Promise<string> =>
  recoverTypedDataAddress({
    domain: { name: "USDC", version: "2", chainId: 84_532, verifyingContract: asset as `0x${string}` },
    types: authorizationTypes, primaryType: "TransferWithAuthorization", signature,
    message: {
      from: a.from, to: a.to, value: BigInt(a.value), validAfter: BigInt(a.validAfter),
      validBefore: BigInt(a.validBefore), nonce: a.nonce,
    },
  });

for (const client of ["fetch", "axios"] as const) {
  test(`stock ${client} pays one dollar into escrow with the guard, and echoes the whole entry`, async () => {
    const entry = offer({ at: Date.now() });
    await from([entry], async (shop) => {
      const answer = await buy(job(client, shop, { policy: POLICY }));
      assert.deepEqual([answer.status, answer.body], [200, { result: 42 }]);
      assert.equal(decode<{ success: boolean }>(answer.receipt).success, true);
      const [asked, paid] = shop.seen;
      assert.equal(asked?.body, TASK);
      assert.equal(paid?.body, TASK);
      const sent = decode<Paid>(paid?.headers["payment-signature"]);
      assert.deepEqual(sent.accepted, entry);
      assert.equal(sent.payload.authorization.to.toLowerCase(), entry.payTo);
      assert.equal(sent.payload.authorization.value, "1000000");
      assert.equal((await signerOf(sent.payload, entry.asset)).toLowerCase(), BUYER);
    });
  });

  test(`#4 stock ${client} with the guard signs nothing for a gateway that lies`, async () => {
    const at = Date.now();
    const lies: readonly (readonly [Requirements, string])[] = [
      [offer({ at, payment: { refundTo: STRANGER } }), "RefundTo (#4)"],
      [tampered("payTo", STRANGER, offer({ at })), "PayTo (#4)"],
      [offer({ at, payment: { validatorSet: "ab".repeat(32) } }), "ValidatorSet (#4)"],
      [offer({ at, payment: { gatewayFeeBps: 201 } }), "Fees (#4)"],
    ];
    for (const [entry, rule] of lies) {
      await from([entry], async (shop) => {
        await assert.rejects(buy(job(client, shop, { policy: POLICY })), (error: Error) => error.message.includes(rule));
        assert.equal(shop.seen.length, 1);
      });
    }
  });
}

test("#4 a stock client without the guard pays the same lies: that is why there is one", async () => {
  await from([tampered("payTo", STRANGER, offer({ at: Date.now() }))], async (shop) => {
    assert.equal((await buy(job("fetch", shop))).status, 200);
  });
});

test("#40 stock fetch stops above one dollar until its limit is raised", async () => {
  await from([offer({ at: Date.now(), payment: { budget: "1010000" } })], async (shop) => {
    await assert.rejects(buy(job("fetch", shop)), /spendControls/);
    assert.equal(shop.seen.length, 1);
    assert.equal((await buy(job("fetch", shop, { spend: "$1.01" }))).status, 200);
    await assert.rejects(buy(job("fetch", shop, { spend: "$1.009999" })), /spendControls/);
    // Its older sibling has no limit of its own.
    assert.equal((await buy(job("axios", shop))).status, 200);
  });
});

test("#39 beside an entry of the authorization flow the escrow is never chosen; the guard refuses the other", async () => {
  const direct = { ...offer({ at: Date.now() }), payTo: STRANGER, extra: { name: "USDC", version: "2" } };
  await from([offer({ at: Date.now() }), direct], async (shop) => {
    await buy(job("fetch", shop));
    assert.equal(decode<Paid>(shop.seen[1]?.headers["payment-signature"]).accepted.payTo, STRANGER);
    await assert.rejects(buy(job("fetch", shop, { policy: POLICY })), /NoTerms \(#4\)/);
  });
});

test("a client of version 1 reads the body, and the guard lets it pay nothing", async () => {
  const entry = {
    scheme: "exact", network: "base-sepolia", maxAmountRequired: "1000000", resource: "http://127.0.0.1/tasks",
    description: "work", mimeType: "application/json", payTo: STRANGER, maxTimeoutSeconds: 60,
    asset: offer().asset, extra: { name: "USDC", version: "2" },
  };
  const body = { x402Version: 1, error: "payment required", accepts: [entry] };
  await from([offer({ at: Date.now() })], async (shop) => {
    assert.equal((await buy(job("v1", shop))).status, 200);
    const sent = decode<Paid & { x402Version: number; network: string; accepted?: unknown }>(shop.seen[1]?.headers["x-payment"]);
    assert.deepEqual([sent.x402Version, sent.network, sent.accepted], [1, "base-sepolia", undefined]);
    assert.equal((await signerOf(sent.payload, entry.asset)).toLowerCase(), BUYER);
    await assert.rejects(buy(job("v1", shop, { policy: POLICY })), /NoTerms \(#4\)/);
  }, body);
});

test("a client of version 1 finds nothing to pay in a 402 of the escrow alone", async () => {
  await from([offer({ at: Date.now() })], async (shop) => {
    await assert.rejects(buy(job("v1", shop)), /Failed to parse payment requirements/);
    assert.equal(shop.seen.length, 1);
  }, { x402: {}, intent: {} });
});

test("the example in the buyer's page is this program's, and it pays", async () => {
  const source = readFileSync(new URL("../src/example.ts", import.meta.url), "utf8");
  const lines = source.slice(source.indexOf("// example"), source.indexOf("// end")).split("\n").slice(1, -1);
  assert.ok(lines.length <= 10);
  const page = readFileSync(new URL("../../../docs/runbooks/buyer.md", import.meta.url), "utf8");
  const example = lines.map((line) => line.slice(2)).join("\n");
  assert.ok(page.includes(example), `not in the page:\n${example}`);
  await from([offer({ at: Date.now(), payment: { budget: "1010000" } })], async (shop) => {
    const agreed = { validatorSets: [SET], maxAmount: 1_010_000n, maxGatewayFeeBps: 200, maxRefundSeconds: 7_200 };
    const answer = await buyByExample(shop.url.replace(/\/tasks$/, ""), KEY, { capabilityId: "add@1", input: {} }, agreed);
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(shop.seen[1]?.body ?? "")["refundTo"]["eip155:84532"], BUYER);
  });
});
