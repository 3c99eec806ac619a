//! Webhooks as the receiver sees them: signed, batched, tried again, and disturbed on purpose.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use orderwright_sandbox::{FaultSettings, InTransitEvents, Running, Settings, WebhookFaults};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::client::{Client, charge_of, charge_with, sandbox};
use crate::receiver::{Post, Receiver};

fn settings(receiver: &Receiver, webhooks: WebhookFaults) -> Settings {
    Settings {
        webhook_url: Some(receiver.url.clone()),
        webhook_secret: "a shared secret".to_owned(),
        faults: FaultSettings { webhooks, ..FaultSettings::default() },
        delivery_delay_ms: (2, 10),
        ..Settings::default()
    }
}

async fn disturbed(webhooks: WebhookFaults) -> (Receiver, Running, Client) {
    let receiver = Receiver::answering(&[]).await;
    let (running, client) = sandbox(settings(&receiver, webhooks)).await;
    (receiver, running, client)
}

fn signed_with(post: &Post, secret: &[u8]) -> bool {
    let mut signed =
        format!("{}.{}.", post.header("webhook-id"), post.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&post.body);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
    mac.update(&signed);
    let signature = post.header("webhook-signature").strip_prefix("v1,").expect("version 1");
    mac.verify_slice(&STANDARD.decode(signature).expect("base64")).is_ok()
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["id"].as_str()).collect()
}

#[tokio::test]
async fn every_post_is_signed_with_the_shared_secret_and_no_other() {
    let (mut receiver, _running, client) = disturbed(WebhookFaults::default()).await;
    client.charge("pay-1", charge_of("order-1")).await;
    let post = receiver.post().await;
    assert!(signed_with(&post, b"a shared secret"));
    assert!(!signed_with(&post, b"another secret"));
    assert_eq!(post.path, "/webhooks/payments");
}

#[tokio::test]
async fn captures_declines_and_refunds_are_announced() {
    let (mut receiver, _running, client) = disturbed(WebhookFaults::default()).await;
    let charge = client.charge("pay-1", charge_of("order-1")).await.body;
    let captured = receiver.events(1).await.remove(0);
    assert_eq!(captured["type"], "payment.captured");
    assert!(captured["created_at"].as_i64().is_some_and(|micros| micros > 1_600_000_000_000_000));
    let expected = json!({
        "reference": "order-1", "idempotency_key": "pay-1", "charge_id": charge["id"],
        "amount_minor": 1250, "currency": "USD", "status": "captured", "refunded_minor": 0,
    });
    assert_eq!(captured["data"], expected);
    client.cancel_charge("pay-1").await;
    assert_eq!(receiver.events(1).await[0]["type"], "payment.refunded");
    client.charge("pay-2", charge_with("order-2", "tok_decline")).await;
    assert_eq!(receiver.events(1).await[0]["type"], "payment.declined");
}

#[tokio::test]
async fn a_parcel_is_announced_when_delivered_and_if_wanted_when_handed_over() {
    let mut receiver = Receiver::answering(&[]).await;
    let settings = Settings {
        in_transit_events: InTransitEvents::Sent,
        ..settings(&receiver, WebhookFaults::default())
    };
    let (running, client) = sandbox(settings).await;
    let booked = client.book("ship-1", "order-1").await.body;
    let events = receiver.events(2).await;
    let kinds: HashSet<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, HashSet::from(["shipment.in_transit", "shipment.delivered"]));
    assert!(events.iter().all(|event| event["data"]["tracking_number"] == booked["tracking_number"]));
    assert_eq!(client.get("/shipments/by-key/ship-1").await.brief(), (200, "delivered"));
    assert_eq!(running.stats().shipping.delivered, 1);
}

#[tokio::test]
async fn a_refused_post_is_tried_again_under_the_same_id_until_it_is_taken() {
    let mut receiver = Receiver::answering(&[500, 401, 503]).await;
    let (running, client) = sandbox(settings(&receiver, WebhookFaults::default())).await;
    client.charge("pay-1", charge_of("order-1")).await;
    let mut posts = Vec::new();
    for _ in 0..4 {
        posts.push(receiver.post().await);
    }
    assert!(posts.iter().all(|post| signed_with(post, b"a shared secret")));
    assert!(posts.iter().all(|post| post.header("webhook-id") == posts[0].header("webhook-id")));
    while running.stats().webhooks.waiting > 0 {
        tokio::task::yield_now().await;
    }
    let stats = running.stats().webhooks;
    assert_eq!((stats.sent, stats.posts, stats.retried_posts, stats.failed), (1, 1, 3, 0));
}

#[tokio::test]
async fn what_piles_up_while_the_receiver_is_busy_travels_in_one_batch() {
    let mut receiver = Receiver::answering(&[503, 503, 503, 503]).await;
    let (_running, client) = sandbox(settings(&receiver, WebhookFaults::default())).await;
    for n in 0..150 {
        client.charge(&format!("pay-{n}"), charge_of(&format!("order-{n}"))).await;
    }
    let (mut seen, mut largest) = (HashSet::new(), 0);
    while seen.len() < 150 {
        let events = receiver.post().await.events();
        largest = largest.max(events.len());
        seen.extend(ids(&events).into_iter().map(str::to_owned));
    }
    assert!(largest > 1 && largest <= 200, "{largest}");
}

#[tokio::test]
async fn a_duplicated_event_arrives_twice_under_one_id() {
    let (mut receiver, running, client) =
        disturbed(WebhookFaults { duplicate_permille: 1000, ..WebhookFaults::default() }).await;
    client.charge("pay-1", charge_of("order-1")).await;
    let events = receiver.events(2).await;
    assert_eq!(events[0], events[1]);
    assert_eq!(running.stats().webhooks.duplicated, 1);
}

#[tokio::test]
async fn reordered_events_all_arrive_but_not_in_order() {
    let (mut receiver, running, client) =
        disturbed(WebhookFaults { reorder_permille: 500, ..WebhookFaults::default() }).await;
    for n in 0..20 {
        client.charge(&format!("pay-{n:02}"), charge_of(&format!("order-{n:02}"))).await;
    }
    let events = receiver.events(20).await;
    let keys: Vec<&str> =
        events.iter().filter_map(|event| event["data"]["idempotency_key"].as_str()).collect();
    assert!(!keys.is_sorted());
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 20);
    assert!(running.stats().webhooks.reordered > 0);
}

#[tokio::test]
async fn a_dropped_event_is_counted_and_the_rest_arrives() {
    let (mut receiver, running, client) =
        disturbed(WebhookFaults { drop_permille: 500, ..WebhookFaults::default() }).await;
    for n in 0..20 {
        client.charge(&format!("pay-{n}"), charge_of(&format!("order-{n}"))).await;
    }
    let dropped = running.stats().webhooks.dropped as usize;
    assert!((1..20).contains(&dropped), "{dropped}");
    assert_eq!(receiver.events(20 - dropped).await.len(), 20 - dropped);
}

#[tokio::test]
async fn a_delayed_event_does_not_arrive_before_its_time() {
    let (mut receiver, _running, client) =
        disturbed(WebhookFaults { delay_ms: (80, 90), ..WebhookFaults::default() }).await;
    let started = std::time::Instant::now();
    client.charge("pay-1", charge_of("order-1")).await;
    receiver.events(1).await;
    assert!(started.elapsed().as_millis() >= 80);
}
