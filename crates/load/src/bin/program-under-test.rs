//! The program, built again for the tests here: Cargo builds the programs of a test's own package only, so the one of
//! `crates/worker` could be missing or old.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    worker::cli::main()
}
