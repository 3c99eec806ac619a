//! Units of work on a real server: what is committed is there as it was given, what is not committed never was.

mod postgres_stage;

use application::messages::correlation;
use application::ports::{
    LowOnly, OrderFilter, Readers, ReservationOutcome, SagaFilter, StatusMove, StockDemand, UnitOfWork,
};
use application::saga::{OrderProcessingSaga, SagaState};
use bus::{Admission, Store, Verdict};
use domain::{CancelReason, Cancellation, OrderStatus, Payment, ProductId, Shipment};
use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore, Retention};
use postgres_stage::*;

async fn accepted(store: &PostgresStore, number: u64) -> domain::Order {
    let order = order(number);
    let mut unit = unit(store).await;
    accept(unit.as_mut(), &order).await.unwrap();
    unit.commit().await.unwrap();
    order
}

fn step(from: OrderStatus, to: OrderStatus, order: &domain::Order) -> StatusMove {
    StatusMove { order_id: order.id(), from, to, at: NOW, cancellation: None }
}

#[tokio::test]
async fn what_is_stored_is_read_back_as_it_was() {
    let store = store().await;
    let order = accepted(&store, 1).await;
    let mut unit = unit(&store).await;
    assert_eq!(
        unit.orders().get_orders_with_items(&[order.id()]).await.unwrap(),
        std::slice::from_ref(&order)
    );
    let sagas: Vec<OrderProcessingSaga> = unit.load_sagas(&[correlation(order.id())]).await.unwrap();
    assert_eq!(sagas, [saga(&order)]);
    assert_eq!(unit.idempotency().find(&[record(&order).key]).await.unwrap(), [record(&order)]);
    assert_eq!(
        unit.orders().find_by_external_reference(&["reference-1".to_owned()]).await.unwrap(),
        [("reference-1".to_owned(), order.id())]
    );
    let due = unit.take_due_timers(NOW, 10).await.unwrap();
    assert_eq!(due, [timer(&order, "order", NOW)]);
}

#[tokio::test]
async fn readers_show_an_order_its_timeline_its_saga_and_the_counts() {
    let store = store().await;
    let order = accepted(&store, 1).await;
    let view = store.order(order.id()).await.unwrap().unwrap();
    assert_eq!((view.status.as_str(), view.lines.len(), view.saga_state.as_str()), ("pending", 2, "created"));
    let timeline = store.history(order.id()).await.unwrap().unwrap();
    assert_eq!(timeline.len(), 1);
    assert_eq!(timeline[0].detail.as_deref(), Some("with a \"quote\" and ünïcode"));
    assert_eq!(store.history(order_id(9)).await.unwrap(), None);
    let saga = store.saga(order.id()).await.unwrap().unwrap();
    assert_eq!((saga.timers.len(), saga.last_event.unwrap().event.as_str()), (1, "OrderCreated"));
    assert_eq!(store.sagas(&SagaFilter::default(), 5).await.unwrap().items.len(), 1);
    let overview = store.overview().await.unwrap();
    assert!(overview.orders.contains(&("pending".to_owned(), 1)));
    assert!(overview.sagas.contains(&("created".to_owned(), 1)));
    assert_eq!(overview.timers, 1);
    assert_eq!(store.broken_invariants(NOW, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_unit_that_is_dropped_leaves_nothing_and_gives_its_connection_back_clean() {
    let options = PostgresOptions { pool_max: 1, ..options(&clock(), 1) };
    let store = PostgresStore::connect(&database(), options).await.unwrap();
    for number in 1..=3 {
        let mut dropped = unit(&store).await;
        accept(dropped.as_mut(), &order(number)).await.unwrap();
        assert_eq!(dropped.orders().get_orders_with_items(&[order_id(number)]).await.unwrap().len(), 1);
        drop(dropped);
    }
    let mut unit = unit(&store).await;
    let all: Vec<_> = (1..=3).map(order_id).collect();
    assert_eq!(unit.orders().get_orders_with_items(&all).await.unwrap(), []);
    unit.commit().await.unwrap();
    assert!(store.overview().await.unwrap().orders.iter().all(|(_, count)| *count == 0));
}

#[tokio::test]
async fn a_write_that_fails_refuses_the_commit_of_all_the_others() {
    let store = store().await;
    let first = accepted(&store, 1).await;
    let mut twice = unit(&store).await;
    let stored = async {
        accept(twice.as_mut(), &order(2)).await?;
        accept(twice.as_mut(), &first).await?;
        twice.commit().await
    };
    let fault = stored.await.unwrap_err();
    assert_eq!((fault.verdict, fault.operation), (Verdict::Conflict, "orders.create"));
    assert_eq!(store.order(order_id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn a_move_that_does_not_fit_is_a_conflict_and_one_that_fits_changes_the_counts() {
    let store = store().await;
    let order = accepted(&store, 1).await;
    let mut wrong = unit(&store).await;
    let moved = async {
        wrong.orders().update(&[step(OrderStatus::Paid, OrderStatus::Shipped, &order)]).await?;
        wrong.commit().await
    };
    assert_eq!(moved.await.unwrap_err().verdict, Verdict::Conflict);
    let mut right = unit(&store).await;
    let moves = [
        step(OrderStatus::Pending, OrderStatus::Validated, &order),
        StatusMove {
            cancellation: Some(Cancellation {
                reason: CancelReason::Customer,
                actor: "customer".to_owned(),
                note: "changed my mind".to_owned(),
            }),
            ..step(OrderStatus::Validated, OrderStatus::Cancelled, &order)
        },
    ];
    right.orders().update(&moves).await.unwrap();
    right.commit().await.unwrap();
    let view = store.order(order.id()).await.unwrap().unwrap();
    assert_eq!((view.status.as_str(), view.cancel_reason.as_deref()), ("cancelled", Some("customer")));
    let counts = store.overview().await.unwrap();
    assert!(counts.orders.contains(&("cancelled".to_owned(), 1)));
    assert!(counts.orders.contains(&("pending".to_owned(), 0)));
    assert!(counts.cancellations.contains(&("customer".to_owned(), 1)));
}

#[tokio::test]
async fn orders_are_listed_by_status_whether_they_have_ended_or_not() {
    let store = store().await;
    let (open, ended) = (accepted(&store, 1).await, accepted(&store, 2).await);
    let mut cancelling = unit(&store).await;
    cancelling.orders().update(&[step(OrderStatus::Pending, OrderStatus::Cancelled, &ended)]).await.unwrap();
    cancelling.commit().await.unwrap();
    for (status, expected) in [(OrderStatus::Pending, open.id()), (OrderStatus::Cancelled, ended.id())] {
        let mut unit = unit(&store).await;
        assert_eq!(unit.orders().get_orders_by_status(status, None, 9).await.unwrap(), [expected]);
        let filter = OrderFilter { status: Some(status), ..OrderFilter::default() };
        let page = store.orders(&filter, 9).await.unwrap();
        assert_eq!(page.items.iter().map(|view| view.order_id).collect::<Vec<_>>(), [expected.0]);
    }
    let filter = OrderFilter {
        created_from: Some(NOW),
        customer_id: Some("customer-1".to_owned()),
        ..OrderFilter::default()
    };
    let first = store.orders(&filter, 1).await.unwrap();
    assert!(first.has_more);
    let before = OrderFilter { created_before: Some(NOW), ..OrderFilter::default() };
    assert_eq!(store.orders(&before, 9).await.unwrap().items, []);
}

#[tokio::test]
async fn sagas_payments_and_shipments_change_together_with_their_counts() {
    let store = store().await;
    let order = accepted(&store, 1).await;
    let mut paying = unit(&store).await;
    let mut payment = Payment::request(order.id(), order.total());
    paying.payments().insert(&[payment.clone()], NOW).await.unwrap();
    paying.shipments().insert(&[Shipment::request(order.id())], NOW).await.unwrap();
    let mut saga = saga(&order);
    saga.state = SagaState::PaymentProcessing;
    paying.update_sagas(&[saga.clone()], NOW).await.unwrap();
    paying.commit().await.unwrap();
    let _ = payment.capture(order.total(), "charge-1").unwrap();
    let mut paid = unit(&store).await;
    assert_eq!(paid.payments().get(&[order.id()]).await.unwrap().len(), 1);
    assert_eq!(paid.shipments().get(&[order.id()]).await.unwrap(), [Shipment::request(order.id())]);
    paid.payments().update(&[payment.clone()], NOW).await.unwrap();
    assert_eq!(paid.payments().get(&[order.id()]).await.unwrap(), [payment]);
    paid.commit().await.unwrap();
    let counts = store.overview().await.unwrap();
    assert_eq!(counts.money, [("USD".to_owned(), order.total().minor, 0)]);
    assert!(counts.sagas.contains(&("payment_processing".to_owned(), 1)));
    assert!(counts.sagas.contains(&("created".to_owned(), 0)));
    let unknown = {
        let mut unit = unit(&store).await;
        saga.order_id = order_id(9);
        unit.update_sagas(&[saga], NOW).await.unwrap();
        unit.commit().await
    };
    assert_eq!(unknown.unwrap_err().verdict, Verdict::Conflict);
}

async fn reserve(store: &PostgresStore, number: u64, units: i64) -> ReservationOutcome {
    let mut unit = unit(store).await;
    let lines = (1..=2).map(|n| (ProductId::of(&sku(n)), units));
    let demand = StockDemand { order_id: order_id(number), lines: lines.collect() };
    let outcomes = unit.inventory().reserve_stock(&[demand], NOW).await.unwrap();
    unit.commit().await.unwrap();
    outcomes.into_iter().next().unwrap()
}

#[tokio::test]
async fn many_that_want_the_same_units_at_once_get_no_more_than_there_are() {
    let store = store().await;
    stock(&store, 10).await;
    let wanting = (0..20).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { reserve(&store, number, 1).await })
    });
    let mut reserved = 0;
    for outcome in wanting.collect::<Vec<_>>() {
        reserved += usize::from(outcome.await.unwrap() == ReservationOutcome::Reserved);
    }
    assert_eq!(reserved, 10);
    let level = store.inventory_of(&sku(1)).await.unwrap().unwrap();
    assert_eq!((level.available, level.reserved, level.low), (0, 10, true));
    assert_eq!(store.inventory_levels(LowOnly::Yes, None, 9).await.unwrap().items.len(), 2);
    assert_eq!(store.movements(ProductId::of(&sku(1)), None, 99).await.unwrap().len(), 11);
    assert_eq!(store.rebuild_check(9).await.unwrap(), []);
}

#[tokio::test]
async fn the_stock_of_orders_that_ship_and_orders_that_are_called_off_is_locked_at_once() {
    let store = store().await;
    stock(&store, 100).await;
    for number in 1..=8 {
        accepted(&store, number).await;
        let mut reserving = unit(&store).await;
        let demand = reserving.orders().get_demand(&[order_id(number)]).await.unwrap();
        assert_eq!(demand[0].lines.iter().map(|(_, units)| units).sum::<i64>(), 5);
        reserving.inventory().reserve_stock(&demand, NOW).await.unwrap();
        reserving.commit().await.unwrap();
    }
    let moving = (1..=4_u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let (ships, goes_back) = (order_id(number), order_id(number + 4));
            let mut unit = unit(&store).await;
            let demands = unit.orders().get_demand(&[ships, goes_back]).await.unwrap();
            let of = |id| demands.iter().filter(|demand| demand.order_id == id).cloned().collect::<Vec<_>>();
            unit.inventory().ship_reservation(&of(ships), NOW).await.unwrap();
            unit.inventory().release_reservation(&of(goes_back), NOW).await.unwrap();
            unit.commit().await
        })
    });
    for moved in moving.collect::<Vec<_>>() {
        moved.await.unwrap().unwrap();
    }
    let level = store.inventory_of(&sku(2)).await.unwrap().unwrap();
    assert_eq!((level.available, level.reserved, level.shipped), (88, 0, 12));
}

#[tokio::test]
async fn twins_from_outside_are_admitted_once_whoever_brings_them() {
    let store = store().await;
    let ids: Vec<String> = ["b", "a", "b"].map(str::to_owned).into();
    let mut first = unit(&store).await;
    let admitted = first.admit("gateway", &ids, NOW).await.unwrap();
    assert_eq!(admitted, [Admission::New, Admission::New, Admission::Repeat]);
    first.commit().await.unwrap();
    let mut second = unit(&store).await;
    let again = ["c", "a"].map(str::to_owned);
    assert_eq!(second.admit("gateway", &again, NOW).await.unwrap(), [Admission::New, Admission::Repeat]);
    assert_eq!(second.admit("carrier", &again, NOW).await.unwrap(), [Admission::New, Admission::New]);
    second.commit().await.unwrap();
}

#[tokio::test]
async fn housekeeping_removes_only_what_is_past_its_time_and_no_more_than_it_may() {
    let store = store().await;
    let mut seen = unit(&store).await;
    let ids: Vec<String> = (0..5).map(|number: u32| number.to_string()).collect();
    seen.admit("gateway", &ids, NOW).await.unwrap();
    seen.commit().await.unwrap();
    accepted(&store, 1).await;
    let hour = std::time::Duration::from_secs(3_600);
    let kept = Retention { inbox: hour, idempotency: hour * 3 };
    let step = |hours| {
        let now = NOW + jiff::SignedDuration::from_hours(hours);
        store.housekeeping_step(now, kept, 3)
    };
    assert_eq!(step(1).await.unwrap().inbox, 0);
    assert_eq!(step(2).await.unwrap().inbox, 3);
    let swept = step(4).await.unwrap();
    assert_eq!((swept.inbox, swept.idempotency), (2, 1));
}

#[tokio::test]
async fn a_lock_that_is_not_given_in_time_is_a_conflict() {
    let limit = std::time::Duration::from_millis(50);
    let options = PostgresOptions { lock_limit: limit, ..options(&clock(), 1) };
    let store = PostgresStore::connect(&database(), options).await.unwrap();
    stock(&store, 1).await;
    let mut first = unit(&store).await;
    first.inventory().lock(&[ProductId::of(&sku(1))]).await.unwrap();
    let mut second: Box<dyn UnitOfWork> = store.begin().await.unwrap();
    let fault = second.inventory().lock(&[ProductId::of(&sku(1))]).await.unwrap_err();
    assert_eq!(fault.verdict, Verdict::Conflict);
}
