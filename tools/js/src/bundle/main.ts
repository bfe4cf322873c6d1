/** `node --import tsx src/bundle/main.ts verify FILE`: exit 0 and the proof, or 1 and the broken link. */
import { readFileSync } from "node:fs";

import { Fault } from "../settlement/fault.ts";
import { verify } from "./verify.ts";

function main([command, path, ...rest]: readonly string[]): number {
  if (command !== "verify" || path === undefined || rest.length > 0) {
    process.stderr.write("usage: verify FILE\n");
    return 2;
  }
  try {
    const proof = verify(readFileSync(path));
    const lines = Object.entries(proof).map(([name, value]) => `${name}: ${String(value)}\n`);
    process.stdout.write(`verified\n${lines.join("")}`);
    return 0;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    process.stdout.write(`refused: ${error.code}\n`);
    return 1;
  }
}

process.exitCode = main(process.argv.slice(2));
