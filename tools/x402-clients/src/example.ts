import { ExactEvmScheme } from "@x402/evm";
import { wrapFetchWithPayment, x402Client } from "@x402/fetch";
import { privateKeyToAccount } from "viem/accounts";

import { type Policy, beforePayment } from "../../js/src/buyer/before-payment.ts";

/** Buys one task and answers what the gateway answered. */
export async function buy(gateway: string, key: `0x${string}`, task: object, agreed: Omit<Policy, "refundTo">): Promise<Response> {
  // example
  const account = privateKeyToAccount(key);
  const refundTo = { "eip155:84532": account.address.toLowerCase() };
  const client = new x402Client().register("eip155:84532", new ExactEvmScheme(account));
  client.setSpendControls({ maxAmountPerPayment: "$1.01" }); // the client's own limit is $1
  client.onBeforePaymentCreation(beforePayment({ ...agreed, refundTo }));
  const pay = wrapFetchWithPayment(fetch, client);
  const body = JSON.stringify({ ...task, refundTo });
  const headers = { "content-type": "application/json" };
  return pay(`${gateway}/tasks`, { method: "POST", headers, body });
  // end
}
