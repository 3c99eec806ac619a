//! Consumers, workers, error queues, events and who is sent them on the command line, beside a running service: a paused consumer holds its orders up until it is
//! resumed, through a restart too.

use serde_json::json;

use crate::program::Folder;
use crate::running::Running;
use crate::shop::{PROMPT, Shop};

#[test]
fn a_consumer_that_a_person_pauses_holds_its_orders_up_until_it_is_resumed() {
    let shop = Shop::with("consumers", PROMPT, "[telemetry]\ncheck_ms = 100\n");
    let pause = ["queues", "pause", "payment", "--actor", "eve", "--note", "looking", "--json"];
    let done = |name: &str| json!({"name": "payment", "paused": name == "pause", "done": "now"});
    assert_eq!(shop.run(&pause).json(), done("pause"));
    assert_eq!(shop.run(&pause).json()["done"], "before");
    // The service tells of it as soon as it knows.
    let is_known = || shop.get("/health").to_string().contains("payment is paused since");
    crate::running::until("the service to know of the pause", is_known);
    let order = shop.order("one", "tok_visa");
    shop.until("/overview", "/queues/payment", 1);
    let queues = shop.run(&["queues", "list"]).answer();
    let line = queues.lines().find(|line| line.contains("payment ")).expect("a line");
    assert!(line.contains("eve") && line.contains("looking"), "{queues}");
    let workers = shop.run(&["workers", "--json"]).json();
    assert_eq!(
        (&workers["items"][0]["state"], &workers["versions"]),
        (&json!("running"), &json!([env!("CARGO_PKG_VERSION")]))
    );
    shop.until("/overview", "/queues/payment", 1);
    let resume = ["queues", "resume", "payment", "--actor", "eve", "--note", "seen", "--json"];
    assert_eq!(shop.run(&resume).json(), done("resume"));
    shop.until_order(&order, "/status", "delivered");
    let log = shop.run(&["audit", "--subject", "queue payment", "--json"]).json();
    let acts: Vec<_> = log["items"].as_array().expect("items").iter().map(|it| &it["action"]).collect();
    assert_eq!(acts, ["queues resume", "queues pause"]);
    let unknown = shop.run(&["queues", "pause", "nothing"]).refusal();
    assert!(unknown.contains("no queue is called 'nothing'"), "{unknown}");
    let none = shop.run(&["error-queues", "list"]).answer();
    assert!(none.contains("there is no broker"), "{none}");
    let none = shop.run(&["error-queues", "show", "payment_error"]).refusal();
    assert!(none.contains("there is no broker"), "{none}");
}

#[test]
fn a_pause_outlives_the_worker_and_a_worker_that_ends_has_left() {
    let folder = Folder::new("restart");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database", "o.db"];
    let service = Running::of(&folder, &serve);
    let products =
        r#"{"products":[{"sku":"TEA","name":"Tea","price":{"minor":450,"currency":"EUR"},"stock":9}]}"#;
    assert!(service.ask("PUT", "/products", products).0 < 300);
    let wish = r#"{"actor": "eve", "reason": "an upgrade"}"#;
    assert_eq!(service.ask("POST", "/queues/order-created/pause", wish).0, 200);
    assert!(service.end().0, "it ends well");
    let workers = folder.run(&["workers", "--database", "o.db", "--json"]).json();
    assert_eq!((&workers["items"][0]["state"], &workers["versions"]), (&json!("left"), &json!([])));
    let service = Running::of(&folder, &serve);
    let order = r#"{"customer_id": "ALFKI", "lines": [{"sku": "TEA", "quantity": 1}]}"#;
    let (status, answer) = service.ask_under("one", "POST", "/orders", order);
    assert_eq!(status, 201, "{answer}");
    let (_, queues) = service.ask("GET", "/queues", "");
    assert!(queues.contains("an upgrade"), "{queues}");
    let overview = || service.ask("GET", "/overview", "").1;
    crate::running::until("the message to wait", || overview().contains("\"order-created\":1"));
}

#[test]
fn events_are_read_and_endpoints_kept_on_the_command_line() {
    let shop = Shop::with("integrators", PROMPT, "");
    let order = shop.order("one", "tok_visa");
    shop.until_order(&order, "/status", "delivered");
    let page = shop.run(&["events", "--types", "OrderCreated,OrderDelivered", "--json"]).json();
    let told = page["items"].as_array().expect("items");
    assert_eq!(
        told.iter().map(|event| &event["type"]).collect::<Vec<_>>(),
        ["OrderCreated", "OrderDelivered"]
    );
    let next = page["next"].to_string();
    assert_eq!(shop.run(&["events", "--after", &next, "--json"]).json()["items"], json!([]));
    let first = shop.run(&["events", "--limit", "1"]).answer();
    assert!(first.contains("OrderCreated") && first.contains("there are more: --after"), "{first}");
    let (code, unknown) = shop.run(&["events", "--types", "OrderEaten"]).told();
    assert_eq!(code, Some(2), "it is used wrongly");
    assert!(unknown.contains("no event is called 'OrderEaten'"), "{unknown}");
    let plain = shop.run(&["webhook-endpoints", "add", "http://shop.example/"]).refusal();
    assert!(plain.contains("must begin with https://"), "{plain}");
    let add = [
        "webhook-endpoints",
        "add",
        "https://shop.example/in?key=s3cret",
        "--types",
        "OrderShipped",
        "--json",
    ];
    let made = shop.run(&add).json();
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{made}");
    let id = made["id"].as_str().expect("an id");
    let listed = shop.run(&["webhook-endpoints", "list"]).answer();
    assert!(listed.contains(id) && !listed.contains("s3cret") && !listed.contains("whsec_"), "{listed}");
    let act = |words: &[&str]| shop.run(&[&["webhook-endpoints"], words, &["--json"]].concat()).json();
    assert_eq!(act(&["pause", id])["state"], "paused");
    assert_eq!(act(&["change", id, "--all-types", "--after", "0"])["types"], json!([]));
    assert_eq!(act(&["deliveries", id])["items"], json!([]));
    assert_eq!(act(&["redeliver", id])["events"], 0);
    assert_ne!(act(&["rotate-secret", id])["secret"], made["secret"]);
    assert_eq!(act(&["remove", id])["removed"], true);
    let gone = shop.run(&["webhook-endpoints", "resume", id]).refusal();
    assert!(gone.contains("there is no webhook endpoint"), "{gone}");
}
