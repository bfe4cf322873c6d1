//! `d402`: one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    d402_node::cli::main()
}
