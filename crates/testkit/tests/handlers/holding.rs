//! Holds: placed by the caller, by a person or by a rule, and what goes on when which of them is released.

use std::sync::Arc;
use std::time::Duration;

use application::commands::{
    CancelOrderCommand, CancelReply, ChangeOrderCommand, CreateOrderCommand, CreateOrderReply,
    HoldOrderCommand, HoldOrderReply, HoldWish, OrderChanges, ReleaseHoldCommand, ReleaseHoldReply,
};
use application::consumers::OrderTimeoutConsumer;
use application::hold_rules::{HoldRules, reasons};
use application::messages::OrderTimeoutEvent;
use application::order_details::Address;
use application::ports::{HoldView, Readers, VitalSigns};
use application::saga::{EventKind, SagaState};
use bus::Consumer;
use domain::{CancelReason, Currency, HoldId, HoldPoint, OrderId};

use super::deliveries::{brought, fire, hear};
use super::shop::{Shop, request};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn wish(before: HoldPoint, reason: &str) -> HoldWish {
    HoldWish { before, reason: reason.to_owned() }
}

fn held(number: u128, holds: &[HoldWish]) -> CreateOrderCommand {
    let payment_token = Some("tok_visa".to_owned());
    CreateOrderCommand { holds: holds.to_vec(), payment_token, ..request(number) }
}

async fn create(shop: &Shop, request: CreateOrderCommand) -> OrderId {
    match shop.create(&[request]).await.pop() {
        Some(CreateOrderReply::Created(accepted)) => accepted.order_id,
        other => panic!("a sound order was not accepted: {other:?}"),
    }
}

async fn holds_of(shop: &Shop, id: OrderId) -> Vec<HoldView> {
    shop.store.order(id).await.expect("it can be read").expect("it is there").holds
}

async fn place(shop: &Shop, order_id: OrderId, before: HoldPoint) -> HoldOrderReply {
    let (reason, actor) = ("looks odd".to_owned(), "eve".to_owned());
    shop.run(&HoldOrderCommand { order_id, before, reason, actor }).await
}

async fn release(shop: &Shop, order_id: OrderId, hold_id: HoldId) -> ReleaseHoldReply {
    let (actor, note) = ("ann".to_owned(), "it is fine".to_owned());
    shop.run(&ReleaseHoldCommand { order_id, hold_id, actor, note }).await
}

async fn state(shop: &Shop, id: OrderId) -> SagaState {
    shop.saga(id).await.state
}

/// How many messages wait for the gateway and the carrier.
async fn asked(shop: &Shop) -> (u64, u64) {
    let queues = shop.store.overview().await.expect("it can be read").queues;
    let in_queue = |name: &str| queues.iter().find(|(queue, _)| queue == name).map_or(0, |(_, count)| *count);
    (in_queue("payment"), in_queue("shipping"))
}

#[tokio::test(start_paused = true)]
async fn an_order_waits_before_each_step_until_its_last_hold_there_is_released() {
    let shop = Shop::open().await;
    let both = [
        wish(HoldPoint::Payment, "first"),
        wish(HoldPoint::Payment, "second"),
        wish(HoldPoint::Shipping, "third"),
    ];
    let id = create(&shop, held(1, &both)).await;
    let placed = holds_of(&shop, id).await;
    assert_eq!(
        placed.iter().map(|hold| hold.reason.as_str()).collect::<Vec<_>>(),
        ["first", "second", "third"]
    );
    assert!(placed.iter().all(|hold| hold.actor.as_deref() == Some("API")), "{placed:?}");
    let hold = |place: usize| HoldId(placed[place].hold_id);
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
    assert_eq!(state(&shop, id).await, SagaState::OnHold);
    assert_eq!(shop.store.broken_invariants(shop.context.clock.now(), 9).await.unwrap(), []);

    let one_left = ReleaseHoldReply::Released { state: SagaState::OnHold, left: 1 };
    assert_eq!(release(&shop, id, hold(1)).await, one_left);
    assert!(matches!(release(&shop, id, hold(1)).await, ReleaseHoldReply::Before(by) if by.actor == "ann"));
    assert_eq!(asked(&shop).await, (0, 0), "nobody is charged");
    let paying = ReleaseHoldReply::Released { state: SagaState::InventoryReserved, left: 0 };
    assert_eq!(release(&shop, id, hold(0)).await, paying);
    assert_eq!(asked(&shop).await, (1, 0));

    shop.happen(id, &[EventKind::PaymentCaptured]).await;
    assert_eq!(state(&shop, id).await, SagaState::OnHold);
    assert_eq!(asked(&shop).await, (1, 0), "no parcel is booked");
    let booking = ReleaseHoldReply::Released { state: SagaState::Paid, left: 0 };
    assert_eq!(release(&shop, id, hold(2)).await, booking);
    assert_eq!(asked(&shop).await, (1, 1));
    let timeline = shop.store.history(id).await.expect("it can be read").expect("it is there");
    let told = |event: &str| timeline.iter().filter(|entry| entry.event == event).count();
    assert_eq!((told("HoldPlaced"), told("HoldReleased")), (3, 3), "{timeline:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_placed_until_its_step_is_asked_for_and_afterwards_it_is_refused_with_the_reason() {
    let shop = Shop::open().await;
    let id = create(&shop, held(1, &[])).await;
    assert!(matches!(place(&shop, id, HoldPoint::Payment).await, HoldOrderReply::Placed(_)));
    let HoldOrderReply::Placed(shipping) = place(&shop, id, HoldPoint::Shipping).await else {
        panic!("it is not too late")
    };
    let payment = HoldId(holds_of(&shop, id).await[0].hold_id);
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
    release(&shop, id, payment).await;
    let too_late = place(&shop, id, HoldPoint::Payment).await;
    assert!(
        matches!(&too_late, HoldOrderReply::Refused(why) if why.contains("its payment was asked for")),
        "{too_late:?}"
    );
    shop.happen(id, &[EventKind::PaymentCaptured]).await;
    release(&shop, id, shipping.id).await;
    let too_late = place(&shop, id, HoldPoint::Shipping).await;
    assert!(
        matches!(&too_late, HoldOrderReply::Refused(why) if why.contains("its carrier was asked")),
        "{too_late:?}"
    );
    let nobody = OrderId(uuid::Uuid::max());
    assert_eq!(place(&shop, nobody, HoldPoint::Payment).await, HoldOrderReply::NotFound);
    assert_eq!(release(&shop, nobody, payment).await, ReleaseHoldReply::NotFound);
    assert_eq!(release(&shop, id, HoldId(uuid::Uuid::max())).await, ReleaseHoldReply::NoSuchHold);
}

#[tokio::test(start_paused = true)]
async fn an_order_on_hold_can_be_cancelled_and_a_release_afterwards_starts_nothing() {
    let shop = Shop::open().await;
    let id = create(&shop, held(1, &[wish(HoldPoint::Payment, "odd")])).await;
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
    let (reason, actor, note) = (CancelReason::Customer, "ann".to_owned(), String::new());
    let cancelled = shop.run(&CancelOrderCommand { order_id: id, reason, actor, note }).await;
    assert_eq!(cancelled, CancelReply::Accepted);
    assert_eq!(state(&shop, id).await, SagaState::Failed);
    let hold = HoldId(holds_of(&shop, id).await[0].hold_id);
    let before = release(&shop, id, hold).await;
    assert!(matches!(&before, ReleaseHoldReply::Before(by) if by.actor == "saga"), "{before:?}");
    assert!(shop.saga(id).await.holds.is_empty(), "they end with the order");
    assert_eq!(shop.store.broken_invariants(shop.context.clock.now(), 9).await.unwrap(), []);
    assert_eq!(asked(&shop).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn rules_put_orders_on_hold_and_one_without_an_address_goes_on_when_it_gets_one() {
    let euro = Currency::parse("EUR").expect("a currency");
    let shop = Shop::open_with(HoldRules {
        large_order_from: [(euro, 2_600)].into_iter().collect(),
        large_order: Some(HoldPoint::Payment),
        new_customer: Some(HoldPoint::Shipping),
        address_missing: Some(HoldPoint::Shipping),
    })
    .await;
    // Two of the first product and one of the second come to 26.00.
    let id = create(&shop, request(1)).await;
    let placed = holds_of(&shop, id).await;
    assert!(placed.iter().all(|hold| hold.actor.is_none()), "a rule is nobody: {placed:?}");
    let told: Vec<_> = placed.iter().map(|hold| (hold.before, hold.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("payment", reasons::LARGE_ORDER),
            ("shipping", reasons::NEW_CUSTOMER),
            ("shipping", reasons::ADDRESS_MISSING)
        ]
    );
    let address =
        Address { lines: vec!["1 Road".to_owned()], country: "IE".to_owned(), ..Address::default() };
    let changes = OrderChanges { shipping_address: Some(address), ..OrderChanges::default() };
    let (actor, note) = ("ann".to_owned(), String::new());
    shop.run(&ChangeOrderCommand { order_id: id, changes, actor, note }).await;
    let open: Vec<_> =
        holds_of(&shop, id).await.into_iter().filter(|hold| hold.released_at.is_none()).collect();
    assert_eq!(
        open.iter().map(|hold| hold.reason.as_str()).collect::<Vec<_>>(),
        [reasons::LARGE_ORDER, reasons::NEW_CUSTOMER]
    );
    for hold in open {
        release(&shop, id, HoldId(hold.hold_id)).await;
    }
    assert!(shop.saga(id).await.holds.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_on_hold_is_late_only_when_its_new_limit_is_over() {
    let shop = Shop::open().await;
    let id = create(&shop, held(1, &[wish(HoldPoint::Payment, "odd")])).await;
    shop.happen(id, &[EventKind::OrderValidated, EventKind::InventoryReserved]).await;
    let long_after = shop.context.clock.now() + DAY;
    let overdue = async |at| shop.store.vitals(at).await.expect("it can be read").overdue_sagas;
    assert_eq!(overdue(long_after).await, 0, "nobody is late with what nobody may do");
    tokio::time::advance(DAY).await;
    release(&shop, id, HoldId(holds_of(&shop, id).await[0].hold_id)).await;
    assert_eq!(state(&shop, id).await, SagaState::InventoryReserved);
    assert_eq!(overdue(long_after).await, 0, "its limit begins anew");
    assert_eq!(overdue(long_after + DAY).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_limit_is_over_is_late_until_that_is_handled() {
    let shop = Shop::open().await;
    create(&shop, held(1, &[])).await;
    tokio::time::advance(DAY).await;
    assert_eq!(fire(&shop).await.len(), 1);
    let overdue = shop.store.vitals(shop.context.clock.now()).await.expect("it can be read").overdue_sagas;
    assert_eq!(overdue, 1, "its timer fires again later, and that is no new limit");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_over_before_the_order_was_on_hold_does_not_end_it_afterwards() {
    for (holds, stands) in
        [(&[][..], SagaState::Failed), (&[wish(HoldPoint::Shipping, "odd")], SagaState::Paid)]
    {
        let shop = Shop::open().await;
        let id = create(&shop, held(1, holds)).await;
        let way = [EventKind::OrderValidated, EventKind::InventoryReserved];
        shop.happen(id, &way).await;
        tokio::time::advance(DAY).await;
        let fired = fire(&shop).await.remove(0);
        if !holds.is_empty() {
            shop.happen(id, &[EventKind::PaymentCaptured]).await;
            release(&shop, id, HoldId(holds_of(&shop, id).await[0].hold_id)).await;
        }
        let message = OrderTimeoutEvent(fired);
        let consumer = OrderTimeoutConsumer::new(Arc::clone(&shop.context));
        let delivery = brought(&shop, OrderTimeoutConsumer::QUEUE, 1, id.0, &message);
        hear(&shop, consumer, vec![delivery]).await;
        let saga = shop.saga(id).await;
        let is_ended = matches!(saga.state, SagaState::Failed | SagaState::Compensating);
        assert_eq!(is_ended, stands == SagaState::Failed, "{saga:?}");
    }
}
