//! Clients made by hey-api and by openapi-typescript, checked by TypeScript's compiler and run by Node.

use crate::service::{Folder, Shop};
use crate::tools::{Tools, installed};

/// What users of the clients write.
const SHOP: &str = include_str!("shop.ts");
const SHOP_WITH_FETCH: &str = include_str!("shop-with-fetch.ts");

/// How strictly the compiler looks; Node itself reads TypeScript.
const STRICTLY: &[&str] = &[
    "--noEmit",
    "--strict",
    "--skipLibCheck",
    "--allowImportingTsExtensions",
    "--erasableSyntaxOnly",
    "--module",
    "esnext",
    "--moduleResolution",
    "bundler",
    "--target",
    "es2023",
    "--lib",
    "es2023,dom,dom.iterable",
];

fn checked_and_run(tools: &Tools, folder: &Folder, script: &str) {
    tools.run(folder.path(), "tsc", &[STRICTLY, &[script]].concat());
    Shop::on_a_file(folder).serve(tools, folder, "node", Some(script));
}

#[test]
fn a_client_made_by_hey_api_places_finds_and_cancels_orders() {
    let tools = installed();
    let folder = Folder::new("hey-api");
    let document = folder.document();
    tools.lend_packages(folder.path());
    let settings = folder.file("settings.ts", SETTINGS.replace("DOCUMENT", &document));
    tools.run(folder.path(), "openapi-ts", &["--file", &settings]);
    let script = folder.file("shop.ts", SHOP);
    checked_and_run(tools, &folder, &script);
}

/// Node wants the ending of a file that it reads.
const SETTINGS: &str = r#"export default {
  input: "DOCUMENT",
  output: { path: "client", importFileExtension: ".ts" },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
};
"#;

#[test]
fn a_client_made_by_openapi_typescript_places_finds_and_cancels_orders() {
    let tools = installed();
    let folder = Folder::new("fetch");
    let document = folder.document();
    tools.lend_packages(folder.path());
    tools.run(folder.path(), "openapi-typescript", &[&document, "--output", "schema.d.ts"]);
    let script = folder.file("shop.ts", SHOP_WITH_FETCH);
    checked_and_run(tools, &folder, &script);
}
