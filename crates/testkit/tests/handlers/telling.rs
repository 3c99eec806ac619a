//! What providers tell by webhook.

use application::commands::{NewsFate, NewsTaken, TakeProviderNewsCommand};
use application::consumers::{PaymentProcessedConsumer, ShippingCompletedConsumer};
use application::ports::{Mismatch, NewsKind, Provider, ProviderNews, Readers, UnmatchedFilter};
use bus::Consumer;
use domain::{Currency, Dispute, Money, OrderId, Payment, Shipment};

use super::shop::Shop;

fn news(event_id: &str, order_id: OrderId, kind: NewsKind) -> ProviderNews {
    ProviderNews::honest(event_id, order_id, kind, jiff::Timestamp::UNIX_EPOCH)
}

/// How many were new, whoever told them.
async fn tell(shop: &Shop, news: Vec<ProviderNews>) -> usize {
    take(shop, Provider::Payments, news).await.fresh()
}

async fn take(shop: &Shop, provider: Provider, news: Vec<ProviderNews>) -> NewsTaken {
    shop.run(&TakeProviderNewsCommand { provider, news }).await
}

async fn waiting(shop: &Shop, queue: &str) -> u64 {
    let overview = shop.store.overview().await.unwrap();
    overview.queues.iter().find(|(name, _)| name == queue).map_or(0, |(_, count)| *count)
}

/// An order whose payment was asked for.
async fn awaiting_payment(shop: &Shop) -> (OrderId, Money) {
    order_awaiting_payment(shop, 1).await
}

async fn order_awaiting_payment(shop: &Shop, number: u128) -> (OrderId, Money) {
    let accepted = shop.order(number, 2).await;
    let payment = Payment::request(accepted.order_id, accepted.total);
    let mut unit = shop.unit().await;
    unit.payments().insert(&[payment], shop.context.clock.now()).await.unwrap();
    unit.commit().await.unwrap();
    (accepted.order_id, accepted.total)
}

fn captured(amount: Money) -> NewsKind {
    NewsKind::PaymentCaptured { amount, reference: "ch-1".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn an_event_counts_once_however_often_and_in_whatever_batch_it_is_told() {
    let shop = Shop::open().await;
    let (id, total) = awaiting_payment(&shop).await;
    let event = news("evt-1", id, captured(total));
    assert_eq!(tell(&shop, vec![event.clone(), event.clone()]).await, 1);
    assert_eq!(tell(&shop, vec![event]).await, 0);
    assert_eq!(waiting(&shop, PaymentProcessedConsumer::QUEUE).await, 1);
}

#[tokio::test(start_paused = true)]
async fn another_event_that_tells_the_same_is_seen_and_is_no_news() {
    let shop = Shop::open().await;
    let (id, total) = awaiting_payment(&shop).await;
    tell(&shop, vec![news("evt-1", id, captured(total))]).await;
    assert_eq!(tell(&shop, vec![news("evt-2", id, captured(total))]).await, 1);
    assert_eq!(waiting(&shop, PaymentProcessedConsumer::QUEUE).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_decline_after_the_money_came_changes_nothing() {
    let shop = Shop::open().await;
    let (id, total) = awaiting_payment(&shop).await;
    tell(&shop, vec![news("evt-1", id, captured(total))]).await;
    let late = NewsKind::PaymentDeclined { code: "late".to_owned() };
    tell(&shop, vec![news("evt-2", id, late)]).await;
    let payment =
        shop.store.order(id).await.unwrap().and_then(|order| order.payment).expect("it has a payment");
    assert_eq!((payment.status.as_str(), payment.captured_minor), ("captured", total.minor));
    assert_eq!(waiting(&shop, PaymentProcessedConsumer::QUEUE).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_attempt_says_nothing_about_an_authorisation_and_its_end_does() {
    let lapsed = |code: &str| NewsKind::PaymentLapsed { code: code.to_owned() };
    // A gateway may word a refusal like the end of an authorisation.
    let declined = NewsKind::PaymentDeclined { code: "expired".to_owned() };
    for (kind, stands, told) in
        [(declined, "authorised", 0), (lapsed("expired"), "declined", 1), (lapsed("voided"), "declined", 1)]
    {
        let shop = Shop::open().await;
        let (id, _) = awaiting_payment(&shop).await;
        let mut unit = shop.unit().await;
        let mut payment = unit.payments().get(&[id]).await.unwrap().remove(0);
        assert!(payment.authorise("ch-1", None).expect("it was asked for").is_applied());
        unit.payments().update(&[payment], shop.context.clock.now()).await.unwrap();
        unit.commit().await.unwrap();
        tell(&shop, vec![news("evt-1", id, kind)]).await;
        let order = shop.store.order(id).await.unwrap().expect("there is such an order");
        assert_eq!(order.payment.expect("it has a payment").status, stands);
        assert_eq!(waiting(&shop, PaymentProcessedConsumer::QUEUE).await, told);
        let history = shop.store.history(id).await.unwrap().expect("there is such an order");
        let is_known =
            history.iter().any(|entry| entry.detail.as_ref().is_some_and(|it| it.contains("evt-1")));
        assert!(is_known, "{history:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn money_of_another_amount_is_not_taken_for_ours() {
    let shop = Shop::open().await;
    let (id, total) = awaiting_payment(&shop).await;
    let other = Money::new(total.minor + 1, total.currency);
    tell(&shop, vec![news("evt-1", id, captured(other))]).await;
    let (_, history) = told(&shop, id).await;
    assert!(history.contains("captured as ch-1"), "{history}");
}

/// What is unmatched, and what the order's history tells.
async fn told(shop: &Shop, id: OrderId) -> (Vec<String>, String) {
    let unmatched = shop.store.unmatched(&UnmatchedFilter::default(), 100).await.unwrap().items;
    let history = shop.store.history(id).await.unwrap().expect("there is such an order");
    let details: Vec<String> = history.into_iter().filter_map(|entry| entry.detail).collect();
    (unmatched.into_iter().map(|event| event.reason).collect(), details.join("; "))
}

/// A parcel that was asked for.
async fn awaiting_parcel(shop: &Shop, number: u128) -> OrderId {
    let (id, _) = order_awaiting_payment(shop, number).await;
    let mut unit = shop.unit().await;
    unit.shipments().insert(&[Shipment::request(id)], shop.context.clock.now()).await.unwrap();
    unit.commit().await.unwrap();
    id
}

#[tokio::test(start_paused = true)]
async fn a_delivery_goes_to_the_saga_and_a_parcel_that_is_not_ours_goes_to_the_unmatched() {
    let shop = Shop::open().await;
    let (id, other) = (awaiting_parcel(&shop, 1).await, awaiting_parcel(&shop, 2).await);
    let delivered = || NewsKind::ShipmentDelivered { tracking_number: "T-1".to_owned() };
    let foreign = ProviderNews { idempotency_key: format!("ship-{other}"), ..news("evt-1", id, delivered()) };
    let taken = take(&shop, Provider::Shipping, vec![foreign]).await;
    assert_eq!(taken, NewsTaken(vec![NewsFate::Unmatched(Mismatch::AnotherKey)]));
    assert_eq!(waiting(&shop, ShippingCompletedConsumer::QUEUE).await, 0);
    take(&shop, Provider::Shipping, vec![news("evt-2", id, delivered())]).await;
    assert_eq!(waiting(&shop, ShippingCompletedConsumer::QUEUE).await, 1);
    assert_eq!(told(&shop, id).await.0, ["another_key"]);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_provider_tells_is_in_a_history_or_unmatched_and_moves_no_money_that_is_not_the_orders() {
    let shop = Shop::open().await;
    let (id, total) = awaiting_payment(&shop).await;
    let (other, _) = order_awaiting_payment(&shop, 2).await;
    let of_another =
        ProviderNews { idempotency_key: format!("pay-{other}"), ..news("evt-1", id, captured(total)) };
    let nobodys = news("evt-2", OrderId(uuid::Uuid::from_u128(7)), captured(total));
    let unreadable = ProviderNews { reference: "R-1001".to_owned(), ..news("evt-3", id, captured(total)) };
    let parcel = NewsKind::ShipmentDelivered { tracking_number: "T-1".to_owned() };
    let unknown = NewsKind::Unknown { told: "{}".to_owned() };
    let malformed = NewsKind::Malformed { told: "{}".to_owned() };
    let events = vec![
        of_another,
        nobodys,
        unreadable,
        news("evt-4", id, parcel),
        news("evt-5", id, unknown),
        news("evt-6", id, malformed),
    ];
    let taken = take(&shop, Provider::Payments, events.clone()).await;
    assert_eq!((taken.fresh(), taken.unmatched()), (6, 6));
    assert_eq!(
        take(&shop, Provider::Payments, events).await,
        NewsTaken(vec![NewsFate::Repeat; 6]),
        "told again"
    );
    let (reasons, _) = told(&shop, id).await;
    let wanted = [
        "another_key",
        "unknown_order",
        "unreadable_reference",
        "wrong_provider",
        "unknown_kind",
        "malformed",
    ];
    assert_eq!(reasons, wanted);
    let order = shop.store.order(id).await.unwrap().expect("there is such an order");
    assert_eq!(order.payment.expect("it has a payment").captured_minor, 0);
    assert_eq!(waiting(&shop, PaymentProcessedConsumer::QUEUE).await, 0);
    assert_eq!(waiting(&shop, ShippingCompletedConsumer::QUEUE).await, 0);
}

#[tokio::test(start_paused = true)]
async fn every_move_of_money_at_the_gateway_is_in_the_books_and_in_the_history() {
    let shop = Shop::open().await;
    let (id, total) = awaiting_payment(&shop).await;
    let half = Money::new(total.minor / 2, total.currency);
    let part = NewsKind::PaymentRefunded { amount: half, total: None, reference: "ch-1".to_owned() };
    let disputed = NewsKind::PaymentDisputed { dispute: Dispute::Open, reference: None };
    let second = NewsKind::PaymentCaptured { amount: total, reference: "ch-2".to_owned() };
    let foreign = Money::new(total.minor, Currency::parse("JPY").expect("a currency"));
    let events = vec![
        news("evt-1", id, captured(total)),
        news("evt-2", id, part),
        news("evt-3", id, disputed),
        news("evt-4", id, second),
        news("evt-5", id, captured(foreign)),
    ];
    assert_eq!(take(&shop, Provider::Payments, events).await, NewsTaken(vec![NewsFate::Taken; 5]));
    let order = shop.store.order(id).await.unwrap().expect("there is such an order");
    let row = order.payment.expect("it has a payment");
    assert_eq!((row.captured_minor, row.refunded_minor), (total.minor, half.minor));
    assert_eq!(row.disputed.as_deref(), Some("open"));
    let (unmatched, history) = told(&shop, id).await;
    assert!(unmatched.is_empty(), "{unmatched:?}");
    for event in ["evt-1", "evt-2", "evt-3", "evt-4", "evt-5"] {
        assert!(history.contains(event), "{event} is not in {history}");
    }
    assert_eq!(waiting(&shop, PaymentProcessedConsumer::QUEUE).await, 5);
}
