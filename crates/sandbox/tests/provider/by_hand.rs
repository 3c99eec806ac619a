//! What a person has happen to charges and parcels: done where it can be, announced once, and refused where it cannot be.

use http::Method;
use orderwright_sandbox::{Running, Settings};
use serde_json::{Value, json};

use crate::client::{Answer, Client, charge_of, charge_with, perfect, sandbox};
use crate::receiver::Receiver;

async fn announcing() -> (Receiver, Running, Client) {
    let receiver = Receiver::answering(&[]).await;
    let url = Some(receiver.url.clone());
    let slow = (600_000, 600_000);
    let settings = Settings { webhook_url: url, delivery_delay_ms: slow, ..Settings::default() };
    let (running, client) = sandbox(settings).await;
    (receiver, running, client)
}

async fn turn(client: &Client, path: &str) -> Answer {
    client.send(Method::POST, path, None, String::new()).await.expect("an answer")
}

#[tokio::test]
async fn a_dispute_is_opened_once_and_closed_once_and_may_come_again() {
    let (mut receiver, _running, client) = announcing().await;
    client.charge("pay-1", charge_of("order-1")).await;
    receiver.events(1).await;
    let at = |turn: &str| format!("/charges/by-key/pay-1/{turn}");
    assert_eq!(turn(&client, &at("dispute-won")).await.brief(), (409, "not_possible"));
    let mut seen = Vec::new();
    for (what, status) in [
        ("dispute", 200),
        ("dispute", 409),
        ("dispute-lost", 200),
        ("dispute-lost", 409),
        ("dispute", 200),
        ("dispute-won", 200),
    ] {
        assert_eq!(turn(&client, &at(what)).await.status, status, "{what}");
        if status == 200 {
            seen.extend(receiver.events(1).await);
        }
    }
    let told: Vec<_> =
        seen.iter().map(|event| (event["type"].as_str(), event["data"]["outcome"].as_str())).collect();
    let (opened, closed) = (Some("payment.dispute.opened"), Some("payment.dispute.closed"));
    assert_eq!(told, [(opened, None), (closed, Some("lost")), (opened, None), (closed, Some("won"))]);
    let ids: std::collections::HashSet<_> = seen.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 4, "each is an event of its own");
    assert_eq!(client.charge_by_key("pay-1").await.body["disputed"], "won");
}

#[tokio::test]
async fn a_second_charge_bears_the_key_of_the_first_and_is_given_back_by_itself() {
    let (mut receiver, running, client) = announcing().await;
    let first = client.charge("pay-1", charge_of("order-1")).await.body;
    receiver.events(1).await;
    let second = turn(&client, "/charges/by-key/pay-1/charge-again").await.body;
    let told = receiver.events(1).await.remove(0);
    assert_eq!(
        (&told["type"], &told["data"]["idempotency_key"]),
        (&json!("payment.captured"), &json!("pay-1"))
    );
    assert_eq!(told["data"]["charge_id"], second["id"]);
    assert_ne!(second["id"], first["id"]);
    let rows = client.get("/payments/charges").await.body["items"].clone();
    let keys: Vec<&Value> = rows.as_array().expect("rows").iter().map(|row| &row["key"]).collect();
    assert_eq!(keys, ["pay-1", "pay-1"]);
    let by_key = second["by_key"].as_str().expect("where it is found");
    let path = format!("/payments/charges/by-key/{by_key}/refund");
    assert_eq!(client.post(&path, "back", json!({"amount_minor": 1250})).await.status, 200);
    let back = receiver.events(1).await.remove(0);
    assert_eq!((&back["type"], &back["data"]["charge_id"]), (&json!("payment.refunded"), &second["id"]));
    assert_eq!(client.charge_by_key("pay-1").await.brief(), (200, "captured"));
    assert_eq!(running.stats().payments.references_charged_twice, 1);
}

#[tokio::test]
async fn an_authorisation_that_is_never_captured_expires_and_closes_its_key() {
    let (mut receiver, _running, client) = announcing().await;
    let asked = charge_with("order-1", "tok_authorise");
    assert_eq!(client.charge("pay-1", asked.clone()).await.brief(), (201, "authorised"));
    let capture = "/payments/charges/by-key/pay-1/capture";
    assert_eq!(turn(&client, capture).await.brief(), (503, "server_error"));
    assert_eq!(turn(&client, "/charges/by-key/pay-1/dispute").await.brief(), (409, "not_possible"));
    assert_eq!(turn(&client, "/charges/by-key/pay-1/charge-again").await.brief(), (409, "not_possible"));
    assert_eq!(turn(&client, "/charges/by-key/pay-1/expire").await.brief(), (200, "voided"));
    assert_eq!(receiver.events(1).await[0]["type"], "payment.expired");
    assert_eq!(turn(&client, "/charges/by-key/pay-1/expire").await.brief(), (409, "not_possible"));
    assert_eq!(client.charge("pay-1", asked).await.brief(), (409, "key_closed"));
}

#[tokio::test]
async fn a_parcel_in_trouble_is_announced_and_moves_only_if_it_can() {
    for (what, told, trouble) in [
        ("exception", "shipment.exception", "exception"),
        ("lose", "shipment.lost", "lost"),
        ("damage", "shipment.damaged", "damaged"),
        ("return", "shipment.return_to_sender", "returned"),
    ] {
        let (mut receiver, running, client) = announcing().await;
        let booked = client.book("ship-1", "order-1").await.body;
        let troubled = turn(&client, &format!("/shipments/by-key/ship-1/{what}")).await.body;
        assert_eq!(troubled["trouble"], trouble);
        let event = receiver.events(1).await.remove(0);
        assert_eq!((&event["type"], &event["data"]["status"]), (&json!(told), &json!(trouble)));
        assert_eq!(event["data"]["tracking_number"], booked["tracking_number"]);
        let can_be_recalled = client.cancel_shipment("ship-1").await.status == 200;
        assert_eq!(can_be_recalled, what == "exception", "{what}");
        if !can_be_recalled {
            assert_eq!(turn(&client, "/shipments/by-key/ship-1/deliver").await.brief(), (200, "delivered"));
            assert_eq!(receiver.events(1).await[0]["type"], "shipment.delivered");
            assert_eq!(running.stats().shipping.delivered, 1);
        }
        let again = turn(&client, "/shipments/by-key/ship-1/lose").await;
        assert_eq!(again.brief(), (409, "not_possible"), "what has ended does not get into trouble");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_nobody_knows_is_refused() {
    let (_running, client) = perfect().await;
    for path in ["/charges/by-key/nobody/dispute", "/shipments/by-key/nobody/lose"] {
        assert_eq!(turn(&client, path).await.brief(), (404, "unknown_key"), "{path}");
    }
    client.charge("pay-1", charge_of("order-1")).await;
    assert_eq!(turn(&client, "/charges/by-key/pay-1/vanish").await.status, 404);
}
