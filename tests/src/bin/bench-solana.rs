//! `cargo xtask bench solana`.

fn main() -> std::process::ExitCode {
    d402_tests::bench_solana::main()
}
