//! Booking, following and cancelling shipments over the wire.

use orderwright_sandbox::Settings;
use serde_json::json;

use crate::client::{perfect, sandbox};

#[tokio::test]
async fn a_hundred_concurrent_twins_are_one_shipment() {
    let (running, client) = perfect().await;
    let twins: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.book("ship-1", "order-1").await.body.to_string() })
        })
        .collect();
    let mut answers = std::collections::HashSet::new();
    for twin in twins {
        answers.insert(twin.await.expect("a twin"));
    }
    assert_eq!((answers.len(), running.stats().shipping.booked), (1, 1));
}

#[tokio::test]
async fn a_booked_shipment_has_a_number_and_can_be_looked_up() {
    let (_running, client) = perfect().await;
    let booked = client.book("ship-1", "order-1").await;
    assert_eq!(booked.brief(), (201, "booked"));
    let found = client.get("/shipments/by-key/ship-1").await;
    assert_eq!(found.body["tracking_number"], booked.body["tracking_number"]);
    assert_eq!(client.get("/shipments/by-key/ship-2").await.brief(), (404, "unknown_key"));
}

#[tokio::test]
async fn a_shipment_is_cancelled_once_and_its_key_stays_closed() {
    let (running, client) = perfect().await;
    client.book("ship-1", "order-1").await;
    for key in ["ship-1", "ship-1", "never-booked", "never-booked"] {
        assert_eq!(client.cancel_shipment(key).await.brief(), (200, "cancelled"));
    }
    assert_eq!(client.get("/shipments/by-key/ship-1").await.brief(), (200, "cancelled"));
    for key in ["ship-1", "never-booked"] {
        assert_eq!(client.book(key, "order-1").await.brief(), (409, "key_closed"));
    }
    let stats = running.stats().shipping;
    assert_eq!((stats.booked, stats.cancelled, stats.tombstones), (1, 1, 1));
}

#[tokio::test]
async fn a_shipment_on_its_way_cannot_be_cancelled() {
    let (_running, client) = sandbox(Settings { delivery_delay_ms: (0, 0), ..Settings::default() }).await;
    client.book("ship-1", "order-1").await;
    while client.get("/shipments/by-key/ship-1").await.brief() != (200, "delivered") {}
    assert_eq!(client.cancel_shipment("ship-1").await.brief(), (409, "already_handed_over"));
}

#[tokio::test]
async fn an_address_that_asks_for_it_is_rejected_for_good() {
    let (running, client) = perfect().await;
    let body =
        json!({"reference": "order-1", "address": {"line1": "1 REJECT-ADDRESS"}, "parcels": [{"grams": 5}]});
    for _ in 0..2 {
        assert_eq!(
            client.post("/shipments", "ship-1", body.clone()).await.brief(),
            (422, "address_rejected")
        );
    }
    assert_eq!((running.stats().shipping.booked, running.stats().shipping.rejected), (0, 1));
}
