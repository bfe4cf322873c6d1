/**
 * The stock facilitator of Solana over HTTP, for `cargo xtask bench solana`: `POST /verify`.
 *
 * `RPC` names the cluster, `KEY` is the fee payer's secret in hex. Prints `{"origin": …}` once it listens and ends
 * when standard input does. Served by `node:http` and nothing else, so that what is measured is the facilitator.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { createKeyPairSignerFromPrivateKeyBytes } from "@solana/kit";
import { x402Facilitator } from "@x402/core/facilitator";
import type { PaymentPayload, PaymentRequirements } from "@x402/core/types";
import { toFacilitatorSvmSigner } from "@x402/svm";
import { registerExactSvmScheme } from "@x402/svm/exact/facilitator";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const keypair = await createKeyPairSignerFromPrivateKeyBytes(Buffer.from(setting("KEY"), "hex"));
const signer = toFacilitatorSvmSigner(keypair, { defaultRpcUrl: setting("RPC") });
const facilitator = new x402Facilitator();
registerExactSvmScheme(facilitator, { signer, networks: "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1" });

interface Ask {
  readonly paymentPayload: PaymentPayload;
  readonly paymentRequirements: PaymentRequirements;
}

const server = createServer((request, response) => {
  const reply = (status: number, value: object): void => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  text(request)
    .then((body) => JSON.parse(body) as Ask)
    .then((ask) => facilitator.verify(ask.paymentPayload, ask.paymentRequirements))
    .then((value) => reply(200, value), (error: unknown) => reply(500, { error: String(error) }));
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ origin: `http://127.0.0.1:${port}` })}\n`);
});
process.stdin.resume().on("end", () => process.exit(0));
