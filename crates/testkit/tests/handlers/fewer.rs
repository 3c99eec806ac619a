//! Lines that are cancelled while their order waits: what becomes of stock and money, and when it is refused.

use application::commands::{
    CancelLinesCommand, CancelLinesReply, CancelOrderCommand, CancelReply, CreateOrderCommand,
    CreateOrderReply, HoldOrderCommand, HoldOrderReply, LinesCancelled,
};
use application::consumers::BackorderConsumer;
use application::ports::Readers;
use application::saga::{EventKind, SagaState};
use bus::Consumer;
use domain::{CancelReason, Currency, HoldPoint, Money, OrderId, PaymentStatus, Sku, WhenShort};
use orderwright_testkit::simulation::{line, sku};

use super::deliveries::waiting;
use super::shop::{Shop, request};

/// Ten of product 0 and one of product 1, of which there are three.
fn wish(number: u128) -> CreateOrderCommand {
    CreateOrderCommand { lines: vec![line(sku(0), 10), line(sku(1), 1)], ..request(number) }
}

async fn create(shop: &Shop, wish: CreateOrderCommand) -> OrderId {
    match shop.create(&[wish]).await.pop() {
        Some(CreateOrderReply::Created(accepted)) => accepted.order_id,
        other => panic!("a sound order was not accepted: {other:?}"),
    }
}

async fn hold(shop: &Shop, order_id: OrderId, before: HoldPoint) {
    let command =
        HoldOrderCommand { order_id, before, reason: "a check".to_owned(), actor: "ann".to_owned() };
    assert!(matches!(shop.run(&command).await, HoldOrderReply::Placed(_)));
}

async fn fewer(shop: &Shop, order_id: OrderId, lines: &[(Sku, Option<i64>)]) -> CancelLinesReply {
    let (actor, note) = ("eve".to_owned(), "not needed".to_owned());
    shop.run(&CancelLinesCommand { order_id, lines: lines.to_vec(), amount: None, actor, note }).await
}

async fn cancelled(shop: &Shop, order_id: OrderId, lines: &[(Sku, Option<i64>)]) -> LinesCancelled {
    match fewer(shop, order_id, lines).await {
        CancelLinesReply::Cancelled(it) => *it,
        other @ (CancelLinesReply::Refused(_) | CancelLinesReply::NotFound) => {
            panic!("they can be cancelled: {other:?}")
        }
    }
}

async fn refused(shop: &Shop, order_id: OrderId, lines: &[(Sku, Option<i64>)]) -> String {
    match fewer(shop, order_id, lines).await {
        CancelLinesReply::Refused(why) => why,
        other @ (CancelLinesReply::Cancelled(_) | CancelLinesReply::NotFound) => {
            panic!("they cannot be cancelled: {other:?}")
        }
    }
}

async fn is_sound(shop: &Shop) {
    let broken = shop.store.broken_invariants(shop.context.clock.now(), 9).await.expect("it can be read");
    assert_eq!(broken, []);
}

/// The price of one of product 0, in minor units.
async fn price(shop: &Shop, id: OrderId) -> i64 {
    shop.store.order(id).await.unwrap().unwrap().lines[0].unit_price.minor
}

#[tokio::test(start_paused = true)]
async fn before_its_payment_an_order_just_costs_less_and_its_stock_is_for_sale_again() {
    let shop = Shop::open().await;
    let id = create(&shop, wish(1)).await;
    hold(&shop, id, HoldPoint::Payment).await;
    let why = refused(&shop, id, &[(sku(0), Some(1))]).await;
    assert!(why.contains("put it on hold before its shipping"), "{why}");
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
    let (before, one) = (shop.stock(0).await, price(&shop, id).await);
    let it = cancelled(&shop, id, &[(sku(0), Some(4))]).await;
    assert_eq!((it.amount.minor, it.refund_key), (4 * one, None));
    let after = shop.stock(0).await;
    assert_eq!((after.available - before.available, before.reserved - after.reserved), (4, 4));
    let saga = shop.saga(id).await;
    assert_eq!((saga.state, saga.total), (SagaState::OnHold, it.total));
    let order = shop.store.order(id).await.unwrap().unwrap();
    assert_eq!((order.lines[0].quantity, order.lines[0].cancelled, order.total), (10, 4, it.total.into()));
    is_sound(&shop).await;

    let all = refused(&shop, id, &[(sku(0), None), (sku(1), None)]).await;
    assert!(all.contains("cancel the order instead"), "{all}");
    let more = refused(&shop, id, &[(sku(0), Some(7))]).await;
    assert_eq!(more, "7 units of P-0, of which 6 are left to cancel");
    let rest = cancelled(&shop, id, &[(sku(0), None)]).await;
    assert_eq!(rest.lines[0].units, 6);
    assert_eq!(shop.stock(0).await.reserved, 0);
    let told = shop.store.history(id).await.unwrap().unwrap();
    assert_eq!(told.iter().filter(|entry| entry.event == "LinesCancelled").count(), 2);
    is_sound(&shop).await;
    assert_eq!(fewer(&shop, OrderId(uuid::Uuid::from_u128(99)), &[]).await, CancelLinesReply::NotFound);
}

#[tokio::test(start_paused = true)]
async fn less_is_captured_of_what_is_authorised_and_what_was_captured_is_asked_back() {
    let shop = Shop::open().await;
    let id = create(&shop, wish(1)).await;
    hold(&shop, id, HoldPoint::Shipping).await;
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentCaptured])
        .await;
    let taken = shop.store.order(id).await.unwrap().unwrap().total.minor;
    let it = cancelled(&shop, id, &[(sku(0), Some(3))]).await;
    assert!(it.refund_key.as_ref().is_some_and(|key| key.starts_with("refund-")), "{it:?}");
    assert_eq!(it.total.minor, taken - it.amount.minor);
    assert_eq!(waiting(&shop, "payment-refund").await, 1);
    let mut unit = shop.unit().await;
    let payment = unit.payments().get(&[id]).await.unwrap().pop().expect("it was paid");
    assert_eq!((payment.amount.minor, payment.captured_minor), (taken, taken), "as it was asked for");
    assert_eq!(payment.notes.asked_back_minor(), it.amount.minor);
    drop(unit);
    let (actor, note) = ("eve".to_owned(), String::new());
    let amount = Some(Money::new(it.total.minor, Currency::parse("EUR").unwrap()));
    let all = CancelLinesCommand { order_id: id, lines: vec![(sku(1), None)], amount, actor, note };
    let CancelLinesReply::Refused(why) = shop.run(&all).await else { panic!("nothing would be left to pay") };
    assert!(why.contains("cancel the order instead"), "{why}");
    is_sound(&shop).await;
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_is_lowered_and_never_raised() {
    let shop = Shop::open().await;
    let id = create(&shop, wish(1)).await;
    hold(&shop, id, HoldPoint::Shipping).await;
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentAuthorised])
        .await;
    let mut unit = shop.unit().await;
    let mut payment = unit.payments().get(&[id]).await.unwrap().pop().expect("it was asked for");
    assert!(payment.authorise("ch_1", None).expect("it is asked for").is_applied());
    unit.payments().update(std::slice::from_ref(&payment), shop.context.clock.now()).await.unwrap();
    unit.commit().await.unwrap();
    let it = cancelled(&shop, id, &[(sku(0), Some(3))]).await;
    assert_eq!(it.refund_key, None);
    let mut unit = shop.unit().await;
    let lowered = unit.payments().get(&[id]).await.unwrap().pop().expect("it was asked for");
    assert_eq!((lowered.status, lowered.amount), (PaymentStatus::Authorised, it.total));
    assert!(lowered.amount.minor < payment.amount.minor);
    drop(unit);
    is_sound(&shop).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_waits_for_goods_goes_on_once_it_wants_no_more_than_there_are() {
    let shop = Shop::open().await;
    let lines = vec![line(sku(0), 1), line(sku(1), 5)];
    let id =
        create(&shop, CreateOrderCommand { lines, when_short: Some(WhenShort::Wait), ..request(1) }).await;
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryShort]).await;
    assert_eq!(shop.saga(id).await.state, SagaState::AwaitingStock);
    let before = (shop.stock(0).await, shop.stock(1).await);
    assert_eq!(waiting(&shop, BackorderConsumer::QUEUE).await, 0);
    cancelled(&shop, id, &[(sku(1), Some(2))]).await;
    assert_eq!((shop.stock(0).await, shop.stock(1).await), before, "it has reserved nothing");
    assert_eq!(waiting(&shop, BackorderConsumer::QUEUE).await, 1, "three of them are there");
    is_sound(&shop).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_called_off_or_was_sent_has_no_lines_to_cancel() {
    let shop = Shop::open().await;
    let id = create(&shop, wish(1)).await;
    hold(&shop, id, HoldPoint::Payment).await;
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
    cancelled(&shop, id, &[(sku(0), Some(9))]).await;
    let (actor, note) = ("eve".to_owned(), String::new());
    let command = CancelOrderCommand { order_id: id, reason: CancelReason::Customer, actor, note };
    assert!(matches!(shop.run(&command).await, CancelReply::Accepted));
    assert_eq!((shop.stock(0).await.reserved, shop.stock(1).await.reserved), (0, 0), "each unit once");
    assert!(refused(&shop, id, &[(sku(1), None)]).await.contains("nothing of it is changed any more"));
    is_sound(&shop).await;

    let sent = create(&shop, wish(2)).await;
    shop.happen(
        sent,
        &[
            EventKind::OrderValidated,
            EventKind::InventoryReserved,
            EventKind::PaymentCaptured,
            EventKind::ShipmentBooked,
        ],
    )
    .await;
    assert!(refused(&shop, sent, &[(sku(1), None)]).await.contains("its parcel is booked"));
}
