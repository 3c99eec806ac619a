//! Orders that wait for their goods: who goes on once some arrive, and who does not.

use std::sync::Arc;
use std::time::Duration;

use application::commands::{
    AdjustStockCommand, CancelOrderCommand, CancelReply, CreateOrderCommand, CreateOrderReply, StockChange,
    StockReply,
};
use application::consumers::{BackorderConsumer, InventoryReservationConsumer, OrderTimeoutConsumer};
use application::messages::{Demand, InventoryReservationRequested, OrderTimeoutEvent, StockArrived};
use application::ports::Readers;
use application::saga::{EventKind, SagaState};
use bus::{Consumer, Transport};
use domain::{CancelReason, OrderId, OrderStatus, ProductId, WhenShort};
use orderwright_testkit::simulation::{line, sku};

use super::deliveries::{brought, fire, hear, waiting};
use super::shop::{Shop, request};

/// An order for so many of product 1, of which there are three, that waits if they are short.
async fn patient(shop: &Shop, number: u128, units: u32) -> OrderId {
    let wish = CreateOrderCommand {
        lines: vec![line(sku(1), units)],
        when_short: Some(WhenShort::Wait),
        ..request(number)
    };
    let id = match shop.create(&[wish]).await.pop() {
        Some(CreateOrderReply::Created(accepted)) => accepted.order_id,
        other => panic!("a sound order was not accepted: {other:?}"),
    };
    shop.happen(id, &[EventKind::OrderValidated]).await;
    reserve(shop, id, units).await;
    id
}

/// Brings the request for its stock.
async fn reserve(shop: &Shop, id: OrderId, units: u32) {
    let lines = vec![Demand { product_id: ProductId::of(&sku(1)).0, quantity: i64::from(units) }];
    let message = InventoryReservationRequested { order_id: id.0, lines };
    let delivery = brought(shop, InventoryReservationConsumer::QUEUE, 1, id.0, &message);
    hear(shop, InventoryReservationConsumer::new(Arc::clone(&shop.context)), vec![delivery]).await;
}

async fn book(shop: &Shop, change: StockChange) {
    let (reason, actor) = ("delivery".to_owned(), "ann".to_owned());
    let reply = shop.run(&AdjustStockCommand { sku: sku(1), change, reason, actor }).await;
    assert!(matches!(reply, StockReply::Done { .. }), "{reply:?}");
}

/// Brings the news that some of product 1 are there.
async fn tell(shop: &Shop) {
    let product = ProductId::of(&sku(1)).0;
    let news = StockArrived { product_ids: vec![product] };
    let delivery = brought(shop, BackorderConsumer::QUEUE, 1, product, &news);
    hear(shop, BackorderConsumer::new(Arc::clone(&shop.context)), vec![delivery]).await;
}

async fn states(shop: &Shop, ids: &[OrderId]) -> Vec<SagaState> {
    let mut states = Vec::new();
    for id in ids {
        states.push(shop.saga(*id).await.state);
    }
    states
}

async fn is_sound(shop: &Shop) {
    let broken = shop.store.broken_invariants(shop.context.clock.now(), 9).await.expect("it can be read");
    assert_eq!(broken, []);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_for_whom_there_is_enough_goes_on_and_nobody_waits_behind_one_who_wants_more() {
    let shop = Shop::open().await;
    let taken = patient(&shop, 1, 3).await;
    let (many, two, one, last) = (
        patient(&shop, 2, 9).await,
        patient(&shop, 3, 2).await,
        patient(&shop, 4, 1).await,
        patient(&shop, 5, 1).await,
    );
    use SagaState::{AwaitingStock, Created, InventoryReserved};
    assert_eq!(
        states(&shop, &[taken, many, two, one, last]).await,
        [InventoryReserved, AwaitingStock, AwaitingStock, AwaitingStock, AwaitingStock]
    );
    assert_eq!(shop.saga(many).await.order, OrderStatus::Validated);
    is_sound(&shop).await;
    assert_eq!(waiting(&shop, BackorderConsumer::QUEUE).await, 0);

    book(&shop, StockChange::Receive(3)).await;
    assert_eq!(waiting(&shop, BackorderConsumer::QUEUE).await, 1, "those who wait are told");
    let mut feed = shop.store.subscribe(InventoryReservationConsumer::QUEUE).await.expect("it is there");
    feed.receive(9).await.expect("what was asked for before");
    tell(&shop).await;
    let after = states(&shop, &[many, two, one, last]).await;
    assert_eq!(after, [AwaitingStock, Created, Created, AwaitingStock], "and two and one are three");
    let asked = feed.receive(9).await.expect("what they ask for now");
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0].envelope.id, asked[1].envelope.id, "one would count as a repeat of the other");
    hear(&shop, InventoryReservationConsumer::new(Arc::clone(&shop.context)), asked).await;
    assert_eq!(states(&shop, &[two, one]).await, [InventoryReserved; 2]);
    let stock = shop.stock(1).await;
    assert_eq!((stock.available, stock.reserved), (0, 6));
    is_sound(&shop).await;

    book(&shop, StockChange::Adjust(10)).await;
    tell(&shop).await;
    assert_eq!(states(&shop, &[many, last]).await, [Created; 2]);
    let told: Vec<String> =
        shop.store.history(many).await.unwrap().unwrap().into_iter().map(|entry| entry.event).collect();
    assert!(told.ends_with(&["InventoryShort".to_owned(), "StockArrived".to_owned()]), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn goods_that_somebody_was_faster_to_take_leave_it_waiting_and_nothing_is_told_where_nobody_waits() {
    let shop = Shop::open().await;
    book(&shop, StockChange::Receive(1)).await;
    assert_eq!(waiting(&shop, BackorderConsumer::QUEUE).await, 0, "nobody waits");
    let id = patient(&shop, 1, 5).await;
    book(&shop, StockChange::Receive(1)).await;
    tell(&shop).await;
    assert_eq!(states(&shop, &[id]).await, [SagaState::Created]);
    book(&shop, StockChange::Adjust(-1)).await;
    reserve(&shop, id, 5).await;
    assert_eq!(states(&shop, &[id]).await, [SagaState::AwaitingStock], "it waits on");
    is_sound(&shop).await;
    tell(&shop).await;
    assert_eq!(states(&shop, &[id]).await, [SagaState::AwaitingStock], "there is not enough");
    assert_eq!(waiting(&shop, BackorderConsumer::QUEUE).await, 1, "but for the news of the receipt itself");
}

#[tokio::test(start_paused = true)]
async fn what_a_cancelled_order_gives_back_goes_to_who_waits() {
    let shop = Shop::open().await;
    let first = patient(&shop, 1, 2).await;
    let second = patient(&shop, 2, 2).await;
    let cancel = |order_id| CancelOrderCommand {
        order_id,
        reason: CancelReason::Customer,
        actor: "eve".to_owned(),
        note: String::new(),
    };
    assert_eq!(
        states(&shop, &[first, second]).await,
        [SagaState::InventoryReserved, SagaState::AwaitingStock]
    );
    assert_eq!(shop.run(&cancel(first)).await, CancelReply::Accepted);
    shop.happen(first, &[EventKind::PaymentVoided]).await;
    assert_eq!(states(&shop, &[first]).await, [SagaState::Failed]);
    assert_eq!(waiting(&shop, BackorderConsumer::QUEUE).await, 1, "who waits is told");
    tell(&shop).await;
    assert_eq!(states(&shop, &[second]).await, [SagaState::Created]);

    let third = patient(&shop, 3, 9).await;
    assert_eq!(shop.run(&cancel(third)).await, CancelReply::Accepted, "its customer need not wait");
    assert_eq!(states(&shop, &[third]).await, [SagaState::Failed]);
    is_sound(&shop).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_waits_as_long_as_it_may_and_its_own_limit_does_not_end_it() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let shop = Shop::open().await;
    let id = patient(&shop, 1, 9).await;
    tokio::time::advance(20 * DAY).await;
    assert!(fire(&shop).await.is_empty(), "no limit runs but the one for its goods");
    tokio::time::advance(11 * DAY).await;
    let fired = fire(&shop).await;
    assert_eq!(fired.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["stock"]);
    let deliveries = fired
        .into_iter()
        .map(|it| brought(&shop, OrderTimeoutConsumer::QUEUE, 1, id.0, &OrderTimeoutEvent(it)));
    hear(&shop, OrderTimeoutConsumer::new(Arc::clone(&shop.context)), deliveries.collect()).await;
    assert_eq!(states(&shop, &[id]).await, [SagaState::Failed]);
    assert_eq!(shop.saga(id).await.reason, Some(CancelReason::OutOfStock));
    is_sound(&shop).await;
}
