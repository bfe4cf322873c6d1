//! `d402-exec`: the executor child on its own, for operators who keep it apart from the node binary.
//! Accepts and ignores arguments, so it can stand in for `d402 exec`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match d402_capabilities::run_exec(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
