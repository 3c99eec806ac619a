//! `servers`: says which servers the tests can start for themselves, and installs what is missing where it may. Starts none.

use std::process::ExitCode;

fn main() -> ExitCode {
    match orderwright_testkit::servers::ready() {
        Ok(servers) => {
            servers.iter().for_each(|server| println!("{server}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
