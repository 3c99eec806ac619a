//! What providers tell by webhook.

use application::commands::{NewsKind, ProviderNews, TakeProviderNewsCommand};
use application::consumers::{PaymentProcessedConsumer, ShippingCompletedConsumer};
use application::ports::Readers;
use domain::{Money, OrderId, Payment};

use super::shop::Shop;

fn news(event_id: &str, order_id: OrderId, kind: NewsKind) -> ProviderNews {
    ProviderNews { event_id: event_id.to_owned(), order_id, kind }
}

async fn tell(shop: &Shop, news: Vec<ProviderNews>) -> usize {
    shop.run(&TakeProviderNewsCommand { source: "gateway".to_owned(), news }).await
}

async fn waiting(shop: &Shop, queue: &str) -> u64 {
    let overview = shop.store.overview().await.unwrap();
    overview.queues.iter().find(|(name, _)| name == queue).map_or(0, |(_, count)| *count)
}

/// An order whose payment was asked for.
async fn awaiting_payment(shop: &Shop) -> (OrderId, Money) {
    let accepted = shop.order(1, 2).await;
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
async fn money_of_another_amount_is_not_taken_for_ours() {
    let shop = Shop::open().await;
    let (id, total) = awaiting_payment(&shop).await;
    let other = Money::new(total.minor + 1, total.currency);
    tell(&shop, vec![news("evt-1", id, captured(other))]).await;
    assert_eq!(waiting(&shop, PaymentProcessedConsumer::QUEUE).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_goes_to_the_saga_and_what_concerns_nobody_goes_nowhere() {
    let shop = Shop::open().await;
    let (id, _) = awaiting_payment(&shop).await;
    let delivered = NewsKind::ShipmentDelivered { tracking_number: "T-1".to_owned() };
    let events = vec![news("evt-1", id, delivered), news("evt-2", id, NewsKind::Other)];
    assert_eq!(tell(&shop, events).await, 2);
    assert_eq!(waiting(&shop, ShippingCompletedConsumer::QUEUE).await, 1);
    assert_eq!(waiting(&shop, PaymentProcessedConsumer::QUEUE).await, 0);
}
