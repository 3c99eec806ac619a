//! Laws of receivers of webhooks that want no more: closed once, with the first reason, until somebody opens them again. And of
//! webhook endpoints: kept with their places, changed only by those who sign for it.

use std::time::Duration;

use application::ports::{
    AuditFilter, Delivery, DeliveryFilter, DeliveryState, EndpointChange, EndpointState, Progress,
    Redelivery, WEBHOOK_ENDPOINTS_MAX, WebhookEndpoint,
};
use bus::Signed;
use infrastructure::Retention;
use jiff::Timestamp;
use uuid::Uuid;

use super::stage::{NOW, later};
use super::{Home, Process};

const SHOP: &str = "https://shop.example/hooks?of='orders'";
const OTHER: &str = "https://a.example/";

/// Closed once, kept beyond the process, listed by address, opened once.
pub async fn a_receiver_that_wants_no_more_is_kept_until_it_is_opened_again(home: &mut impl Home) {
    let endpoints = home.process().await.endpoints;
    assert_eq!(endpoints.closed_endpoints().await.unwrap(), []);
    assert!(!endpoints.reopen_endpoint(SHOP, "me", later(3)).await.unwrap(), "it was never closed");
    assert!(endpoints.close_endpoint(SHOP, "410 Gone", NOW).await.unwrap());
    assert!(!endpoints.close_endpoint(SHOP, "again", later(1)).await.unwrap(), "once is enough");
    assert!(endpoints.close_endpoint(OTHER, "by hand", later(2)).await.unwrap());
    let shop = (SHOP.to_owned(), "410 Gone".to_owned(), NOW);
    let other = (OTHER.to_owned(), "by hand".to_owned(), later(2));
    let endpoints = home.process().await.endpoints;
    assert_eq!(endpoints.closed_endpoints().await.unwrap(), [other.clone(), shop]);
    assert!(endpoints.reopen_endpoint(SHOP, "me", later(3)).await.unwrap());
    assert!(!endpoints.reopen_endpoint(SHOP, "me", later(3)).await.unwrap(), "once is enough");
    assert_eq!(home.process().await.endpoints.closed_endpoints().await.unwrap(), [other]);
}

const ME: Signed<'static> = Signed { actor: "me", note: "as agreed", at: NOW };

fn endpoint(number: u128) -> WebhookEndpoint {
    WebhookEndpoint {
        id: Uuid::from_u128(number),
        url: format!("https://shop.example/{number}?of='orders'"),
        types: vec!["OrderShipped".to_owned(), "OrderDelivered".to_owned()],
        note: "the shop's \"stock\"".to_owned(),
        secret: "whsec_new".to_owned(),
        previous_secret: Some("whsec_old".to_owned()),
        rotated_at: Some(NOW),
        state: EndpointState::Active,
        trouble: String::new(),
        position: 7,
        failures: 0,
        failing_since: None,
        next_attempt_at: None,
        created_at: NOW,
        revision: 0,
    }
}

async fn add(process: &Process, endpoint: &WebhookEndpoint, by: &Signed<'_>) -> bool {
    let mut unit = process.unit().await;
    let added = unit.webhook_endpoints().add(endpoint, by).await.unwrap();
    unit.commit().await.unwrap();
    added
}

async fn change(
    process: &Process,
    id: Uuid,
    change: &EndpointChange,
    by: &Signed<'_>,
) -> Option<WebhookEndpoint> {
    let mut unit = process.unit().await;
    let changed = unit.webhook_endpoints().change(id, change, by).await.unwrap();
    unit.commit().await.unwrap();
    changed
}

async fn remove(process: &Process, id: Uuid, by: &Signed<'_>) -> bool {
    let mut unit = process.unit().await;
    let removed = unit.webhook_endpoints().remove(id, by).await.unwrap();
    unit.commit().await.unwrap();
    removed
}

async fn redeliver(process: &Process, id: Uuid, what: Redelivery, by: &Signed<'_>) -> usize {
    let mut unit = process.unit().await;
    let count = unit.webhook_endpoints().redeliver(id, what, by).await.unwrap();
    unit.commit().await.unwrap();
    count
}

fn delivery(position: i64, state: DeliveryState, at: Timestamp) -> Delivery {
    Delivery {
        position,
        order_id: Uuid::from_u128(9),
        event_type: "OrderShipped".to_owned(),
        state,
        attempts: 3,
        last_at: at,
        next_at: (state == DeliveryState::Waiting).then_some(later(60)),
        took_ms: 12,
        answer: "answered 500".to_owned(),
        revision: 0,
    }
}

fn progress(from: i64, to: i64, deliveries: Vec<Delivery>) -> Progress {
    Progress {
        revision: 0,
        from,
        to,
        deliveries,
        trouble: String::new(),
        failures: 0,
        failing_since: None,
        next_attempt_at: None,
        closes: false,
    }
}

/// Kept beyond the process; what persons do is in the audit log, never with a secret; no more than there may be.
pub async fn a_webhook_endpoint_comes_out_as_it_went_in_and_every_change_is_noted(home: &mut impl Home) {
    let process = home.process().await;
    assert!(add(&process, &endpoint(1), &ME).await);
    assert!(add(&process, &endpoint(2), &ME).await);
    let process = home.process().await;
    let endpoints = &process.webhook_endpoints;
    assert_eq!(endpoints.endpoints().await.unwrap(), [endpoint(1), endpoint(2)]);
    let id = endpoint(1).id;
    let wish = EndpointChange {
        state: Some(EndpointState::Paused),
        secret: Some("whsec_newest".to_owned()),
        types: Some(Vec::new()),
        position: Some(3),
        ..EndpointChange::default()
    };
    let by = Signed { at: later(5), ..ME };
    let changed = change(&process, id, &wish, &by).await.expect("it is there");
    let wanted = WebhookEndpoint {
        state: EndpointState::Paused,
        secret: "whsec_newest".to_owned(),
        previous_secret: Some("whsec_new".to_owned()),
        rotated_at: Some(later(5)),
        types: Vec::new(),
        position: 3,
        revision: 1,
        ..endpoint(1)
    };
    assert_eq!(changed, wanted);
    assert_eq!(changed.secrets(later(6)), ["whsec_newest", "whsec_new"]);
    assert_eq!(changed.secrets(later(5 + 86_400)), ["whsec_newest"], "a day later the old one is gone");
    assert_eq!(endpoints.endpoints().await.unwrap(), [wanted, endpoint(2)]);
    assert_eq!(change(&process, Uuid::from_u128(8), &wish, &by).await, None);
    assert!(remove(&process, id, &by).await);
    assert!(!remove(&process, id, &by).await, "once is enough");
    assert_eq!(endpoints.endpoints().await.unwrap(), [endpoint(2)]);
    let of_it = AuditFilter { subject: Some(format!("webhook endpoint {id}")), ..AuditFilter::default() };
    let noted = home.process().await.readers.audit(&of_it, 10).await.unwrap().items;
    let told: Vec<(&str, &str)> = noted.iter().map(|it| (it.action.as_str(), it.note.as_str())).collect();
    let [removed, changed, added] = told[..] else { panic!("{told:?}") };
    assert_eq!(
        (removed.0, changed.0, added.0),
        ("webhook-endpoints remove", "webhook-endpoints change", "webhook-endpoints add")
    );
    assert_eq!(changed.1, "as agreed (types, paused, new secret, on behind 3)");
    assert!(!format!("{told:?}").contains("whsec"));
    for number in 3..=WEBHOOK_ENDPOINTS_MAX as u128 + 1 {
        assert!(add(&process, &endpoint(number), &ME).await);
    }
    assert!(!add(&process, &endpoint(1_000), &ME).await, "there are as many as there may be");
}

/// Two workers that send the same events note them once, and a place that a person has chosen meanwhile holds.
pub async fn progress_counts_only_from_where_an_endpoint_stands(home: &mut impl Home) {
    let process = home.process().await;
    let endpoints = &process.webhook_endpoints;
    let id = endpoint(1).id;
    assert!(add(&process, &endpoint(1), &ME).await);
    let sent = progress(
        7,
        9,
        vec![delivery(8, DeliveryState::Delivered, NOW), delivery(9, DeliveryState::Failed, NOW)],
    );
    assert!(endpoints.note_progress(id, &sent).await.unwrap());
    assert!(!endpoints.note_progress(id, &sent).await.unwrap(), "another worker was first");
    assert!(!endpoints.note_progress(Uuid::from_u128(8), &sent).await.unwrap(), "it is not there");
    let away = Progress {
        trouble: "answered 503".to_owned(),
        failures: 2,
        failing_since: Some(later(1)),
        next_attempt_at: Some(later(2)),
        closes: true,
        ..progress(9, 9, Vec::new())
    };
    assert!(endpoints.note_progress(id, &away).await.unwrap());
    let found = endpoints.endpoints().await.unwrap().remove(0);
    let wanted = WebhookEndpoint {
        position: 9,
        trouble: "answered 503".to_owned(),
        failures: 2,
        failing_since: Some(later(1)),
        next_attempt_at: Some(later(2)),
        state: EndpointState::Closed,
        ..endpoint(1)
    };
    assert_eq!(found, wanted);
    let again = EndpointChange { state: Some(EndpointState::Active), ..EndpointChange::default() };
    let opened = change(&process, id, &again, &ME).await.expect("it is there");
    assert_eq!(opened, WebhookEndpoint { position: 9, revision: 1, ..endpoint(1) }, "it is tried at once");
    let late = Progress { closes: true, ..progress(9, 12, Vec::new()) };
    assert!(!endpoints.note_progress(id, &late).await.unwrap(), "a person has changed it since");
    let all = endpoints.deliveries(id, DeliveryFilter::default(), 10).await.unwrap();
    assert_eq!(
        all.items,
        [delivery(9, DeliveryState::Failed, NOW), delivery(8, DeliveryState::Delivered, NOW)]
    );
    let first = endpoints.deliveries(id, DeliveryFilter::default(), 1).await.unwrap();
    assert!(first.has_more && first.items.len() == 1);
    let rest = DeliveryFilter { before: Some(9), ..DeliveryFilter::default() };
    assert_eq!(endpoints.deliveries(id, rest, 10).await.unwrap().items.len(), 1);
    let failed = DeliveryFilter { state: Some(DeliveryState::Failed), before: None };
    assert_eq!(endpoints.deliveries(id, failed, 10).await.unwrap().items[0].position, 9);
}

/// What waits comes when it is due; what failed, or is asked for once more, waits from now; what is past its time is forgotten.
pub async fn a_delivery_waits_for_its_time_and_is_sent_again_when_asked_for(home: &mut impl Home) {
    let process = home.process().await;
    let endpoints = &process.webhook_endpoints;
    let id = endpoint(1).id;
    assert!(add(&process, &endpoint(1), &ME).await);
    let states =
        [DeliveryState::Delivered, DeliveryState::Waiting, DeliveryState::Failed, DeliveryState::Failed];
    let deliveries = (8..).zip(states).map(|(position, state)| delivery(position, state, later(1))).collect();
    assert!(endpoints.note_progress(id, &progress(7, 11, deliveries)).await.unwrap());
    let due = async |at| {
        let due = endpoints.due_deliveries(id, at, 10).await.unwrap();
        let mut places: Vec<i64> = due.iter().map(|it| it.position).collect();
        places.sort_unstable();
        places
    };
    assert!(due(later(59)).await.is_empty());
    assert_eq!(due(later(60)).await, [9]);
    assert_eq!(redeliver(&process, id, Redelivery::One(8), &ME).await, 1);
    assert_eq!(redeliver(&process, id, Redelivery::One(99), &ME).await, 0);
    assert_eq!(due(NOW).await, [8]);
    assert_eq!(redeliver(&process, id, Redelivery::Failed(1), &ME).await, 1);
    assert_eq!(due(NOW).await, [8, 10], "the oldest first");
    assert_eq!(redeliver(&process, id, Redelivery::Failed(10), &ME).await, 1);
    assert_eq!(redeliver(&process, id, Redelivery::Failed(10), &ME).await, 0);
    let sent =
        vec![delivery(8, DeliveryState::Delivered, later(2)), delivery(10, DeliveryState::Failed, later(2))];
    let sent = progress(11, 11, sent);
    assert!(!endpoints.note_progress(id, &sent).await.unwrap(), "it was begun before they were asked for");
    let revision = endpoints.endpoints().await.unwrap()[0].revision;
    assert!(endpoints.note_progress(id, &Progress { revision, ..sent }).await.unwrap());
    let second = Duration::from_secs(1);
    let kept = Retention { inbox: second, idempotency: second, events: second };
    process.sweep(later(100), kept, 100).await.unwrap();
    let left = endpoints.deliveries(id, DeliveryFilter::default(), 10).await.unwrap().items;
    let left: Vec<i64> = left.iter().map(|it| it.position).collect();
    assert_eq!(left, [11, 9], "those that wait are kept");
}
