/** A stand-in for a gateway: sells at the 402 it is given and keeps what it was sent. */
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Seen {
  readonly body: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

export interface Shop {
  readonly url: string;
  readonly seen: readonly Seen[];
  close(): Promise<void>;
}

export const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64");
export const decode = <T>(text: unknown): T => JSON.parse(Buffer.from(String(text), "base64").toString()) as T;

/** Asks for `accepts` in the header of version 2, and in the body what version 1 reads. */
export async function sell(accepts: readonly unknown[], body: object = {}): Promise<Shop> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen.push({ body: Buffer.concat(chunks).toString(), headers: request.headers });
      const isPaid = "payment-signature" in request.headers || "x-payment" in request.headers;
      const receipt = encode({ success: true, transaction: "0x00", network: "eip155:84532", payer: "0x00" });
      const resource = { url: "http://127.0.0.1/tasks", description: "work", mimeType: "application/json" };
      const extensions = { "payment-identifier": { info: { required: false }, schema: {} } };
      const required = encode({ x402Version: 2, error: "payment required", resource, accepts, extensions });
      response.setHeader("content-type", "application/json");
      response.setHeader(isPaid ? "payment-response" : "payment-required", isPaid ? receipt : required);
      response.statusCode = isPaid ? 200 : 402;
      response.end(JSON.stringify(isPaid ? { result: 42 } : body));
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/tasks`, seen, close: () => closed(server) };
}

const closed = (server: Server): Promise<void> =>
  new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
