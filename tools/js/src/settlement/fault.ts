/** A broken rule, by the name the Rust crate's error variant has; `Outer.Inner` where one wraps another. */
export class Fault extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** What `run` returns, or the code of the {@link Fault} it throws as `Outer.code`. */
export function within<T>(outer: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof Fault ? new Fault(`${outer}.${error.code}`) : error;
  }
}
