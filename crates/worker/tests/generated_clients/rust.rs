//! A client for Rust made by openapi-generator, which is a program for Java; both come from Python's registry.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::service::{Folder, Shop};
use crate::tools::installed;

/// What a user of the client writes, and the package that it stands in.
const SHOP: &str = include_str!("rust/shop.rs.txt");
const MANIFEST: &str = include_str!("rust/manifest.toml");
const LOCK: &str = include_str!("rust/lock.toml");

#[test]
fn a_client_made_by_openapi_generator_places_finds_and_cancels_orders() {
    let tools = installed();
    let folder = Folder::new("rust");
    let document = folder.document();
    // The package stays, so that the next test need not build what the client depends on.
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client-in-rust");
    std::fs::create_dir_all(package.join("src")).expect("a folder for the package");
    for (name, text) in [("Cargo.toml", MANIFEST), ("Cargo.lock", LOCK), ("src/main.rs", SHOP)] {
        std::fs::write(package.join(name), text).expect("a file of the package");
    }
    let client = package.join("client");
    if client.exists() {
        std::fs::remove_dir_all(&client).expect("the client of before goes");
    }
    let made = ["generate", "-g", "rust", "-i", &document, "-o", "client", "--additional-properties", NAMES];
    tools.run(&package, "openapi-generator-cli", &made);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet"]).current_dir(&package).stdin(Stdio::null());
    cargo.env("CARGO_TARGET_DIR", package.join("target"));
    let built = cargo.output().expect("cargo can be started");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let shop = package.join("target/debug/shop");
    Shop::on_a_file(&folder).serve(tools, &folder, &shop.display().to_string(), None);
}

/// What the client is called.
const NAMES: &str = "packageName=orderwright_client";
