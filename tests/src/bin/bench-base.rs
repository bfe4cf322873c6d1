//! `cargo xtask bench base`.

fn main() -> std::process::ExitCode {
    d402_tests::bench_base::main()
}
