/**
 * The stock facilitator over HTTP, for `cargo xtask bench base`: `POST /verify`, `POST /settle`.
 *
 * `RPC` names the chain, `KEY` who pays the gas. Prints `{"origin": …}` once it listens and ends when standard
 * input does. Served by `node:http` and nothing else, so that what is measured is the facilitator.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { x402Facilitator } from "@x402/core/facilitator";
import type { PaymentPayload, PaymentRequirements } from "@x402/core/types";
import { toFacilitatorEvmSigner } from "@x402/evm";
import { registerExactEvmScheme } from "@x402/evm/exact/facilitator";
import { createWalletClient, http, nonceManager, publicActions } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { baseSepolia } from "viem/chains";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const account = privateKeyToAccount(setting("KEY") as `0x${string}`, { nonceManager });
const transport = http(setting("RPC"), { timeout: 30_000 });
// Its default interval would make every settlement wait a second.
const client = createWalletClient({ account, chain: baseSepolia, transport, pollingInterval: 20 }).extend(publicActions);
const facilitator = new x402Facilitator();
// What it asks of a client is what viem has, in looser types.
type Signer = Parameters<typeof toFacilitatorEvmSigner>[0];
const signer = toFacilitatorEvmSigner({ ...client, address: account.address } as unknown as Signer);
registerExactEvmScheme(facilitator, { signer, networks: "eip155:84532" });

interface Ask {
  readonly paymentPayload: PaymentPayload;
  readonly paymentRequirements: PaymentRequirements;
}

async function answer(path: string | undefined, body: string): Promise<object> {
  const { paymentPayload, paymentRequirements } = JSON.parse(body) as Ask;
  return path === "/settle"
    ? facilitator.settle(paymentPayload, paymentRequirements)
    : facilitator.verify(paymentPayload, paymentRequirements);
}

const server = createServer((request, response) => {
  const reply = (status: number, value: object): void => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  text(request)
    .then((body) => answer(request.url, body))
    .then((value) => reply(200, value), (error: unknown) => reply(500, { error: String(error) }));
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${port}` })}\n`);
});
process.stdin.resume().on("end", () => process.exit(0));
