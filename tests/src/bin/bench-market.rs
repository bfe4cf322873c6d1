//! `cargo xtask bench market`.

fn main() -> std::process::ExitCode {
    d402_tests::bench::main()
}
