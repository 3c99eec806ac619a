//! Statistics, listings, starting and stopping.

use orderwright_sandbox::{Sandbox, Settings, StartFault};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::{Client, charge_of, charge_with, perfect};

async fn all(client: &Client, path: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), json!(0));
    while !after.is_null() {
        let page = client.get(&format!("{path}?after={after}&limit={limit}")).await.body;
        rows.extend(page["items"].as_array().expect("items").clone());
        after = page["next"].clone();
    }
    rows
}

#[tokio::test]
async fn listings_show_every_charge_and_shipment_once_whatever_the_page_size() {
    let (_running, client) = perfect().await;
    for n in 0..300 {
        client.charge(&format!("pay-{n}"), charge_of(&format!("order-{n}"))).await;
        client.book(&format!("ship-{n}"), &format!("order-{n}")).await;
    }
    client.cancel_charge("never-charged").await;
    for path in ["/charges", "/shipments"] {
        for limit in [7, 300, 10_000] {
            let rows = all(&client, path, limit).await;
            let keys: std::collections::HashSet<&str> =
                rows.iter().filter_map(|row| row["key"].as_str()).collect();
            assert_eq!((rows.len(), keys.len()), (300, 300), "{path} by {limit}");
        }
    }
    assert_eq!(client.get("/charges?limit=10001").await.status, 400);
}

#[tokio::test]
async fn the_statistics_on_the_wire_are_those_in_process() {
    let (running, client) = perfect().await;
    client.charge("pay-1", charge_of("order-1")).await;
    client.charge("pay-2", charge_with("order-2", "tok_decline")).await;
    client.book("ship-1", "order-1").await;
    let body = client.get("/stats").await.body;
    assert_eq!(body, serde_json::to_value(running.stats()).expect("JSON"));
    assert_eq!((&body["payments"]["captured"], &body["payments"]["declined"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn the_same_seed_and_keys_give_the_same_ids() {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (_running, client) = perfect().await;
        let charge = client.charge("pay-1", charge_of("order-1")).await;
        let shipment = client.book("ship-1", "order-1").await;
        ids.push((charge.body["id"].clone(), shipment.body["tracking_number"].clone()));
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_stopped_sandbox_no_longer_listens() {
    let (running, client) = perfect().await;
    assert_eq!(client.get("/health").await.brief(), (200, "up"));
    let addr = running.addr;
    running.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_sandbox_with_a_bad_webhook_address_or_secret_does_not_start() {
    let start = async |settings| {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Sandbox::start(listener, settings).err()
    };
    let secure = Settings { webhook_url: Some("https://example.org".to_owned()), ..Settings::default() };
    assert!(matches!(start(secure).await, Some(StartFault::WebhookUrl(_))));
    let malformed = Settings {
        webhook_url: Some("http://127.0.0.1:1".to_owned()),
        webhook_secret: "whsec_*".to_owned(),
        ..Settings::default()
    };
    assert!(matches!(start(malformed).await, Some(StartFault::WebhookSecret)));
}
