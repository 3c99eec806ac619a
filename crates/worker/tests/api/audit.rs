//! The audit log: everything that a person does by the API is in it, with who, when, what, to what and why.

use application::commands::TakeProviderNewsCommand;
use application::ports::{NewsKind, Provider, ProviderNews};
use application::saga::EventKind;
use domain::OrderId;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::{MORNING, Service};

/// What the log says, latest first, but for what made the catalogue.
async fn logged(service: &Service, query: &str) -> Vec<[String; 4]> {
    let page = service.get(&format!("/audit?limit=200{query}")).await.expect(200);
    let text = |entry: &Value, name: &str| entry[name].as_str().expect("a text").to_owned();
    let entries = page["items"].as_array().expect("items").iter();
    let entries = entries.filter(|entry| entry["action"] != "products import");
    entries
        .map(|entry| {
            assert!(entry["at"].as_str().is_some_and(|at| at.starts_with(&MORNING[..16])), "{entry}");
            ["actor", "action", "subject", "note"].map(|name| text(entry, name))
        })
        .collect()
}

fn told(actor: &str, action: &str, subject: &str, note: &str) -> [String; 4] {
    [actor, action, subject, note].map(str::to_owned)
}

#[tokio::test]
async fn what_is_done_to_an_order_is_logged_under_its_id() {
    let service = Service::start().await;
    let id = service.placed("k-1", 1).await;
    let way = [EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentStarted];
    service.happen(&id, &way).await;
    let cancel = json!({"actor": "ann", "note": "called", "reason": "operator"});
    service.post(&format!("/orders/{id}/cancel"), &cancel).await.expect(202);
    service.post(&format!("/orders/{id}/cancel"), &cancel).await.expect(200);
    for operation in ["retry", "skip"] {
        service.happen(&id, &[EventKind::UndoFailed]).await;
        let who = json!({"actor": "eve", "note": format!("{operation} it")});
        service.post(&format!("/sagas/{id}/{operation}"), &who).await.expect(200);
        service.post(&format!("/sagas/{id}/{operation}"), &who).await.problem(409, "operation_refused");
    }
    let expected = [
        told("eve", "sagas skip", &id, "skip it"),
        told("eve", "sagas retry", &id, "retry it"),
        told("ann", "orders cancel", &id, "the operator's wish: called"),
    ];
    assert_eq!(logged(&service, &format!("&subject={id}")).await, expected);
    assert_eq!(logged(&service, "&actor=ann").await, expected[2..]);
    let delivered = service.placed("k-2", 1).await;
    let way = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::PaymentCaptured,
        EventKind::ShipmentBooked,
        EventKind::ParcelDelivered,
    ];
    service.happen(&delivered, &way).await;
    let refund = json!({"amount": {"minor": 100, "currency": "USD"}, "actor": "eve", "reason": "torn"});
    service.post(&format!("/orders/{delivered}/refunds"), &refund).await.expect(202);
    let expected = told("eve", "orders refund", &delivered, "1.00 USD: torn");
    assert_eq!(logged(&service, &format!("&subject={delivered}")).await, [expected]);
}

#[tokio::test]
async fn what_is_done_to_stock_products_and_events_is_logged_and_a_refusal_is_not() {
    let service = Service::start().await;
    let change = json!({"quantity": 3, "reason": "found", "actor": "eve"});
    for act in ["receive", "adjust", "count"] {
        service.post(&format!("/inventory/TOFU/{act}"), &change).await.expect(200);
    }
    let too_many = json!({"quantity": -1_000, "reason": "lost", "actor": "eve"});
    service.post("/inventory/TOFU/adjust", &too_many).await.problem(409, "insufficient_stock");
    let kind = NewsKind::PaymentDeclined { code: "expired".to_owned() };
    let strangers = OrderId(uuid::Uuid::from_u128(7));
    let news = vec![ProviderNews::honest("evt-1", strangers, kind, Timestamp::UNIX_EPOCH)];
    let command = TakeProviderNewsCommand { provider: Provider::Payments, news };
    service.api.commands.run(&command).await.expect("it is kept");
    let listed = service.get("/provider-events/unmatched").await.expect(200);
    let position = &listed["items"][0]["position"];
    let who = json!({"actor": "ann", "note": "theirs"});
    service.post(&format!("/provider-events/unmatched/{position}/seen"), &who).await.expect(200);
    let expected = [
        told("ann", "provider-events seen", &format!("unmatched event {position}"), "theirs"),
        told("eve", "stock count 3", "TOFU", "found"),
        told("eve", "stock adjust 3", "TOFU", "found"),
        told("eve", "stock receive 3", "TOFU", "found"),
    ];
    assert_eq!(logged(&service, "").await, expected);
    let imports = service.get("/audit?subject=import%20api").await.expect(200);
    assert_eq!(imports["items"][0]["note"], "2 products, 2 of them new", "{imports}");
    service.get("/audit?who=eve").await.problem(400, "invalid_parameter");
}
