//! Searches for bytes that break a parser, guided by which code they reach. Started by `cargo xtask fuzz`, one parser a process.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use orderwright_fuzz::Parser;

fuzz_target!(|bytes: &[u8]| {
    static PARSER: OnceLock<Parser> = OnceLock::new();
    let named = || {
        let name = std::env::var("ORDERWRIGHT_PARSER").expect("ORDERWRIGHT_PARSER names a parser");
        Parser::named(&name).expect("there is such a parser")
    };
    PARSER.get_or_init(named).take(bytes);
});
