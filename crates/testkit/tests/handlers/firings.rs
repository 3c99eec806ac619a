//! Timers that have fired, as their consumer hears of them.

use std::sync::Arc;
use std::time::Duration;

use application::consumers::{OrderTimeoutConsumer, ShipmentTrackingConsumer};
use application::messages::OrderTimeoutEvent;
use application::saga::EventKind;
use bus::{Consumer, EffectConsumer};

use super::deliveries::{brought, fire, hear, waiting};
use super::shop::Shop;

#[tokio::test(start_paused = true)]
async fn a_firing_counts_once_however_often_a_broker_brings_it_in_one_batch_or_later() {
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    let way = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentCaptured,
        EventKind::ShipmentBooked,
    ];
    shop.happen(id, &way).await;
    tokio::time::advance(Duration::from_secs(120)).await;
    let fired = fire(&shop).await;
    let [poll] = &fired[..] else { panic!("{fired:?}") };
    let message = OrderTimeoutEvent(poll.clone());
    for marks in [1..=3, 4..=4] {
        let consumer = OrderTimeoutConsumer::new(Arc::clone(&shop.context));
        let copies = marks.map(|mark| brought(&shop, OrderTimeoutConsumer::QUEUE, mark, id.0, &message));
        hear(&shop, consumer, copies.collect()).await;
        assert_eq!(waiting(&shop, ShipmentTrackingConsumer::QUEUE).await, 1, "the carrier is asked once");
    }
}
