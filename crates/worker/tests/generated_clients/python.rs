//! A client made by openapi-python-client, on a PostgreSQL database that two workers share.

use testkit::servers::{Durability, Postgres};

use crate::service::{Folder, Shop};
use crate::tools::installed;

/// What a user of the client writes.
const SHOP: &str = include_str!("shop.py");

#[test]
fn a_client_made_by_openapi_python_client_places_finds_and_cancels_orders() {
    let tools = installed();
    let folder = Folder::new("python");
    let document = folder.document();
    let settings = folder.file("settings.yaml", "post_hooks: []\n");
    let made = [
        "generate",
        "--path",
        &document,
        "--config",
        &settings,
        "--meta",
        "none",
        "--output-path",
        "orderwright_client",
    ];
    let told = tools.run(folder.path(), "openapi-python-client", &made);
    let complaints: Vec<&str> = told.lines().filter(|line| line.starts_with("WARNING")).collect();
    assert_eq!(complaints, EXPECTED, "{told}");
    let server = Postgres::start(Durability::None).expect("a server of our own");
    let database = server.database().expect("a database of our own");
    let script = folder.file("shop.py", SHOP);
    Shop::on_a_server(&folder, &database).serve(tools, &folder, "python", Some(&script));
}

/// It says so of each way to write an import that is not JSON, and leaves that way out.
const EXPECTED: &[&str] = &["WARNING parsing POST /imports within imports."; 3];
