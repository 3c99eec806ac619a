//! The log of the real program: one JSON object a line, the order's ids on what happened to it, and none of the secrets.

use std::fs::File;
use std::net::TcpListener as Port;
use std::process::{Child, Command, Stdio};

use sandbox::Sandbox;
use serde_json::{Value, json};
use testkit::servers::prometheus::get;
use testkit::servers::{Durability, Postgres};
use tokio::net::TcpListener;

use crate::stage::{send, until};

const DATABASE_PASSWORD: &str = "planted-database-password";
const WEBHOOK_SECRET: &str = "planted-webhook-secret";
const CARD: &str = "4242424242424242";

/// The program, ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_json_with_the_orders_ids_and_without_the_planted_secrets() {
    let server = Postgres::start_locked(Durability::None, DATABASE_PASSWORD).expect("a locked server");
    let database = server.database().expect("a database");
    assert!(database.contains(DATABASE_PASSWORD), "the password is part of the address");
    let addr = Port::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let providers = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let sandbox = sandbox::Settings {
        webhook_url: Some(format!("http://{addr}/webhooks")),
        webhook_secret: WEBHOOK_SECRET.to_owned(),
        delivery_delay_ms: (10, 30),
        ..sandbox::Settings::default()
    };
    let sandbox = Sandbox::start(providers, sandbox).expect("a sandbox");
    let file = std::env::temp_dir().join(format!("orderwright-log-{}.txt", std::process::id()));
    let url = format!("http://{}", sandbox.addr);
    let program = Command::new(env!("CARGO_BIN_EXE_orderwright"))
        .args(["serve", "--listen", &addr.to_string()])
        .env("ORDERWRIGHT_DATABASE", &database)
        .env("ORDERWRIGHT_WEBHOOK_SECRET", WEBHOOK_SECRET)
        .env("ORDERWRIGHT_PAYMENT_URL", &url)
        .env("ORDERWRIGHT_SHIPPING_URL", &url)
        .env("RUST_LOG", "trace")
        .stdout(Stdio::null())
        .stderr(File::create(&file).expect("a file for the log"))
        .spawn();
    let program = Program(program.expect("the program starts"));
    until("the program to serve", async || get(addr, "/health/ready").is_ok()).await;

    let base = format!("http://{addr}");
    let products = json!({"products": [
        {"sku": "CHAI", "name": "Chai", "price": {"minor": 1800, "currency": "USD"}, "stock": 5},
    ]});
    send(&base, "PUT", "/products", Some(&products)).await;
    let order = |key: &str, quantity: u32| json!({"key": key, "customer_id": "ALFKI", "payment_token": CARD, "lines": [{"sku": "CHAI", "quantity": quantity}]});
    let delivered = send(&base, "POST", "/orders", Some(&order("good", 1))).await.1;
    let short = send(&base, "POST", "/orders", Some(&order("short", 50))).await.1;
    send(&base, "POST", "/webhooks/payments", Some(&json!({"unsigned": WEBHOOK_SECRET}))).await;
    until("both orders to end", async || {
        let orders = send(&base, "GET", "/overview", None).await.1["orders"].clone();
        orders["delivered"] == 1 && orders["cancelled"] == 1
    })
    .await;
    drop(program);
    let log = std::fs::read_to_string(&file).expect("the log");
    std::fs::remove_file(&file).expect("the log is ours");
    sandbox.stop().await;

    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for secret in [DATABASE_PASSWORD, WEBHOOK_SECRET, CARD] {
        let telling: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(telling.is_empty(), "{secret} is told in {telling:#?}");
    }
    let events = |order: &Value, level: &str| -> Vec<String> {
        let id = order["order_id"].as_str().expect("an order");
        let own = lines.iter().filter(|line| line["correlation_id"] == id && line["level"] == level);
        own.filter(|line| line["trace_id"] == id.replace('-', "").as_str())
            .map(|line| line["event"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    assert!(events(&short, "WARN").contains(&"InventoryShort".to_owned()), "{:?}", events(&short, "WARN"));
    for event in ["OrderCreated", "OrderValidated", "PaymentProcessed", "OrderShipped", "OrderDelivered"] {
        let told = events(&delivered, "INFO");
        assert!(told.contains(&event.to_owned()), "{event} is missing in {told:?}");
    }
}
