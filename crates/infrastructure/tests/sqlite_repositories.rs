//! Every repository on a real database: what goes in comes out, what does not fit is refused with the right verdict, and
//! what is not committed never was.

use std::sync::Arc;
use std::time::Duration;

use application::messages::correlation;
use application::ports::{
    AnyUnit, AuditEntry, HistoryEntry, IdempotencyRecord, LowOnly, NewOrderRow, OrderFilter, Readers,
    ReservationOutcome, SagaFilter, StatusMove, StockDemand,
};
use application::saga::{OrderProcessingSaga, PaymentStep, SagaState, StockStep};
use bus::{
    Admission, CorrelationId, DeadLetterFilter, DeadLetters, Delivery, Disposition, Envelope, MessageId,
    OutboxStore, Settlement, Store, Timer, TimerKey, Topology, Transport, Verdict,
};
use bytes::Bytes;
use domain::{
    CancelReason, Cancellation, Currency, CustomerId, Money, MovementCause, NewOrder, NewOrderLine, Order,
    OrderId, OrderStatus, Payment, Product, Quantity, Rejection, Shipment, Sku,
};
use jiff::{SignedDuration, Timestamp};
use orderwright_infrastructure::sqlite::{Retention, Routing, SqliteOptions, SqliteStore};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn later(seconds: i64) -> Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

fn store() -> SqliteStore {
    SqliteStore::in_memory(options(Routing::Store)).unwrap()
}

fn options(routing: Routing) -> SqliteOptions {
    SqliteOptions::new(Topology::default().subscribe("q", &["K"]), routing)
}

async fn unit(store: &SqliteStore) -> Box<AnyUnit> {
    store.begin().await.unwrap()
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::parse("USD").unwrap())
}

fn product(sku: &str) -> Product {
    Product::new(Sku::parse(sku).unwrap(), "A thing", usd(500), NOW)
}

fn order(number: u128, products: &[Product]) -> Order {
    let line = |product: &Product| NewOrderLine {
        product_id: product.id,
        sku: product.sku.clone(),
        quantity: Quantity::new(2).unwrap(),
        unit_price: product.price,
    };
    let new = NewOrder {
        id: OrderId(Uuid::from_u128(number)),
        customer_id: CustomerId::parse("alfki").unwrap(),
        lines: products.iter().map(line).collect(),
        ordered_at: NOW,
        external_reference: Some(format!("ref-{number}")),
    };
    Order::place(new, NOW).unwrap().0
}

/// An order and its saga.
async fn accept(store: &SqliteStore, number: u128, products: &[Product]) -> Order {
    let order = order(number, products);
    let mut unit = unit(store).await;
    let row = NewOrderRow { order: order.clone(), payment_token: Some("tok".to_owned()) };
    unit.orders().create(&[row]).await.unwrap();
    let saga = OrderProcessingSaga::start(order.id(), order.total(), NOW, later(1_800));
    unit.insert_sagas(&[saga], NOW).await.unwrap();
    unit.commit().await.unwrap();
    order
}

async fn stock_up(store: &SqliteStore, products: &[Product], units: i64) {
    let mut unit = unit(store).await;
    unit.products().upsert(products).await.unwrap();
    let changes: Vec<_> =
        products.iter().map(|product| (product.id, units, MovementCause::Import("first".into()))).collect();
    unit.inventory().update_available_stock(&changes, NOW).await.unwrap().unwrap();
    unit.commit().await.unwrap();
}

fn step(order: &Order, from: OrderStatus, to: OrderStatus) -> StatusMove {
    let cancellation = (to == OrderStatus::Cancelled).then(|| Cancellation {
        reason: CancelReason::Customer,
        actor: "customer".to_owned(),
        note: "changed my mind".to_owned(),
    });
    StatusMove { order_id: order.id(), from, to, at: later(5), cancellation }
}

#[tokio::test]
async fn an_order_comes_out_as_it_went_in() {
    let store = store();
    let order = accept(&store, 1, &[product("A"), product("B")]).await;
    let mut unit = unit(&store).await;
    let missing = OrderId(Uuid::from_u128(99));
    let found = unit.orders().get_orders_with_items(&[order.id(), missing]).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&order));
    let demand = unit.orders().get_demand(&[order.id(), missing]).await.unwrap();
    assert_eq!(demand, [StockDemand { order_id: order.id(), lines: order.merged_demand() }]);
    let wanted = ["ref-1".to_owned(), "ref-2".to_owned()];
    let by_reference = unit.orders().find_by_external_reference(&wanted).await.unwrap();
    assert_eq!(by_reference, [("ref-1".to_owned(), order.id())]);
}

#[tokio::test]
async fn an_order_moves_only_from_where_it_is() {
    let store = store();
    let order = accept(&store, 1, &[product("A")]).await;
    let mut first = unit(&store).await;
    first.orders().update(&[step(&order, OrderStatus::Pending, OrderStatus::Validated)]).await.unwrap();
    first.commit().await.unwrap();
    let mut second = unit(&store).await;
    let stale = step(&order, OrderStatus::Pending, OrderStatus::Cancelled);
    let refused = second.orders().update(&[stale]).await.unwrap_err();
    assert_eq!(refused.verdict, Verdict::Conflict);
    drop(second);
    let mut third = unit(&store).await;
    third.orders().update(&[step(&order, OrderStatus::Validated, OrderStatus::Cancelled)]).await.unwrap();
    third.commit().await.unwrap();
    let view = store.order(order.id()).await.unwrap().unwrap();
    assert_eq!((view.status.as_str(), view.cancel_reason.as_deref()), ("cancelled", Some("customer")));
    assert_eq!(view.lines.len(), 1);
}

#[tokio::test]
async fn orders_of_every_status_are_found_page_by_page() {
    let store = store();
    let mut orders = Vec::new();
    for number in 1..=6 {
        orders.push(accept(&store, number, &[product("A")]).await);
    }
    let mut moving = unit(&store).await;
    let [a, b] = [&orders[0], &orders[3]];
    let cancel = [a, b].map(|order| step(order, OrderStatus::Pending, OrderStatus::Cancelled));
    moving.orders().update(&cancel).await.unwrap();
    let path = [
        OrderStatus::Pending,
        OrderStatus::Validated,
        OrderStatus::PaymentProcessing,
        OrderStatus::Paid,
        OrderStatus::Shipped,
        OrderStatus::Delivered,
    ];
    for pair in path.windows(2) {
        moving.orders().update(&[step(&orders[5], pair[0], pair[1])]).await.unwrap();
    }
    moving.commit().await.unwrap();
    let mut reading = unit(&store).await;
    let ids = |numbers: &[usize]| numbers.iter().map(|at| orders[*at].id()).collect::<Vec<_>>();
    let repository = reading.orders();
    let pending = repository.get_orders_by_status(OrderStatus::Pending, None, 2).await.unwrap();
    assert_eq!(pending, ids(&[1, 2]));
    let pending = repository.get_orders_by_status(OrderStatus::Pending, Some(pending[1]), 2).await.unwrap();
    assert_eq!(pending, ids(&[4]));
    let cancelled = repository.get_orders_by_status(OrderStatus::Cancelled, None, 9).await.unwrap();
    assert_eq!(cancelled, ids(&[0, 3]));
    let delivered = repository.get_orders_by_status(OrderStatus::Delivered, None, 9).await.unwrap();
    assert_eq!(delivered, ids(&[5]));
    drop(reading);
    for (status, count) in
        [(OrderStatus::Pending, 3), (OrderStatus::Cancelled, 2), (OrderStatus::Delivered, 1)]
    {
        let filter = OrderFilter { status: Some(status), ..OrderFilter::default() };
        let page = store.orders(&filter, 10).await.unwrap();
        assert_eq!((page.items.len(), page.has_more), (count, false), "{status}");
    }
    let customer = OrderFilter { customer_id: Some("alfki".into()), ..OrderFilter::default() };
    let page = store.orders(&customer, 4).await.unwrap();
    assert_eq!((page.items.len(), page.has_more), (4, true));
    let nobody = OrderFilter { customer_id: Some("nobody".into()), ..OrderFilter::default() };
    assert!(store.orders(&nobody, 4).await.unwrap().items.is_empty());
    let none_yet = OrderFilter { created_before: Some(NOW), ..OrderFilter::default() };
    assert!(store.orders(&none_yet, 4).await.unwrap().items.is_empty());
    let all =
        OrderFilter { created_from: Some(NOW), created_before: Some(later(1)), ..OrderFilter::default() };
    assert_eq!(store.orders(&all, 10).await.unwrap().items.len(), 6);
}

#[tokio::test]
async fn a_reference_is_borne_by_one_order_only() {
    let store = store();
    accept(&store, 1, &[product("A")]).await;
    let mut again = unit(&store).await;
    let mut twin = order(2, &[product("A")]).into_snapshot();
    twin.external_reference = Some("ref-1".to_owned());
    let row = NewOrderRow { order: Order::restore(twin).unwrap(), payment_token: None };
    assert_eq!(again.orders().create(&[row]).await.unwrap_err().verdict, Verdict::Conflict);
}

#[tokio::test]
async fn products_are_added_and_replaced_and_a_new_one_has_an_empty_stock() {
    let store = store();
    let (mut tea, salt) = (product("TEA"), product("SALT"));
    let mut adding = unit(&store).await;
    adding.products().upsert(&[tea.clone(), salt.clone()]).await.unwrap();
    adding.commit().await.unwrap();
    let _ = tea.reprice(usd(900), later(9)).unwrap();
    let mut replacing = unit(&store).await;
    replacing.products().upsert(std::slice::from_ref(&tea)).await.unwrap();
    replacing.commit().await.unwrap();
    let mut reading = unit(&store).await;
    let skus = [tea.sku.clone(), Sku::parse("PEPPER").unwrap(), salt.sku.clone()];
    assert_eq!(reading.products().get_by_skus(&skus).await.unwrap(), [tea.clone(), salt.clone()]);
    assert_eq!(reading.products().get_by_ids(&[salt.id]).await.unwrap(), std::slice::from_ref(&salt));
    let low = reading.products().get_low_stock_products(10).await.unwrap();
    assert_eq!(low.len(), 2, "nothing is there, so all is low");
    drop(reading);
    let page = store.products(None, 1).await.unwrap();
    assert_eq!((page.items[0].sku.as_str(), page.has_more), ("SALT", true));
    let page = store.products(Some(&salt.sku), 5).await.unwrap();
    assert_eq!((page.items[0].price.minor, page.has_more), (900, false));
    assert_eq!(store.inventory_levels(LowOnly::Yes, None, 5).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn stock_is_reserved_released_and_shipped_by_sets_and_the_ledger_adds_up() {
    let store = store();
    let products = [product("A"), product("B")];
    stock_up(&store, &products, 5).await;
    let demands: Vec<StockDemand> = (1..=3)
        .map(|number| StockDemand {
            order_id: OrderId(Uuid::from_u128(number)),
            lines: order(number, &products).merged_demand(),
        })
        .collect();
    let mut unit = unit(&store).await;
    let outcomes = unit.inventory().reserve_stock(&demands, later(1)).await.unwrap();
    assert!(matches!(outcomes[1], ReservationOutcome::Reserved));
    let ReservationOutcome::Short(short) = &outcomes[2] else { panic!("only four of five are whole orders") };
    assert_eq!((short.len(), short[0].available, short[0].requested), (2, 1, 2));
    unit.inventory().release_reservation(&demands[..1], later(2)).await.unwrap();
    unit.inventory().ship_reservation(&demands[1..2], later(3)).await.unwrap();
    unit.commit().await.unwrap();
    let level = store.inventory_of(&products[0].sku).await.unwrap().unwrap();
    assert_eq!((level.available, level.reserved, level.shipped, level.received), (3, 0, 2, 5));
    let ledger = store.movements(products[0].id, None, 10).await.unwrap();
    let kinds: Vec<&str> = ledger.iter().map(|movement| movement.kind.as_str()).collect();
    assert_eq!(kinds, ["shipped", "released", "reserved", "reserved", "received"]);
    assert_eq!(ledger[4].cause, "import: first");
    assert_eq!(store.movements(products[0].id, Some(ledger[1].position), 1).await.unwrap(), ledger[2..3]);
    assert!(store.rebuild_check(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_adjustment_below_zero_is_a_rejection_and_changes_nothing() {
    let store = store();
    let products = [product("A"), product("B")];
    stock_up(&store, &products, 5).await;
    let adjust = |units| MovementCause::Adjustment { reason: format!("{units} missed") };
    let mut unit = unit(&store).await;
    let changes = [(products[1].id, -5, adjust(-5)), (products[0].id, -6, adjust(-6))];
    let refused = unit.inventory().update_available_stock(&changes, NOW).await.unwrap().unwrap_err();
    assert!(matches!(refused, Rejection::InsufficientStock { available: 5, .. }));
    unit.commit().await.unwrap();
    assert_eq!(store.inventory_of(&products[1].sku).await.unwrap().unwrap().available, 5);
    assert!(store.rebuild_check(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn sagas_payments_and_shipments_come_out_as_last_written() {
    let store = store();
    let order = accept(&store, 1, &[product("A")]).await;
    let ids = [correlation(order.id())];
    let (mut payment, mut shipment) =
        (Payment::request(order.id(), order.total()), Shipment::request(order.id()));
    let mut writing = unit(&store).await;
    let mut saga = writing.load_sagas(&ids).await.unwrap().remove(0);
    saga.state = SagaState::PaymentProcessing;
    saga.payment = PaymentStep::Requested;
    saga.reason = Some(CancelReason::Timeout);
    saga.timer_generation = 7;
    writing.update_sagas(std::slice::from_ref(&saga), later(2)).await.unwrap();
    writing.payments().insert(std::slice::from_ref(&payment), NOW).await.unwrap();
    writing.shipments().insert(std::slice::from_ref(&shipment), NOW).await.unwrap();
    let _ = payment.capture(order.total(), "ch_1").unwrap();
    let _ = shipment.book("T-1", "DHL").unwrap();
    writing.payments().update(std::slice::from_ref(&payment), NOW).await.unwrap();
    writing.shipments().update(std::slice::from_ref(&shipment), NOW).await.unwrap();
    writing.commit().await.unwrap();
    // Once from memory, once from the rows.
    for store in [store.clone(), store.restarted().unwrap()] {
        let mut reading = unit(&store).await;
        assert_eq!(reading.load_sagas(&ids).await.unwrap(), [saga.clone()]);
        assert_eq!(reading.payments().get(&[order.id()]).await.unwrap(), [payment.clone()]);
        assert_eq!(reading.shipments().get(&[order.id()]).await.unwrap(), [shipment.clone()]);
    }
    let view = store.order(order.id()).await.unwrap().unwrap();
    assert_eq!(view.payment.unwrap().captured_minor, order.total().minor);
    assert_eq!(view.shipment.unwrap().tracking_number.as_deref(), Some("T-1"));
    let view = store.saga(order.id()).await.unwrap().unwrap();
    assert_eq!((view.state.as_str(), view.updated_at), ("payment_processing", later(2)));
    assert_eq!(store.overview().await.unwrap().money, [("USD".to_owned(), order.total().minor, 0)]);
}

#[tokio::test]
async fn what_a_dropped_unit_did_never_was_neither_in_rows_nor_in_memory() {
    let store = store();
    let products = [product("A")];
    stock_up(&store, &products, 5).await;
    let order = accept(&store, 1, &products).await;
    let before = store.overview().await.unwrap();
    let mut dropped = unit(&store).await;
    let mut saga = dropped.load_sagas(&[correlation(order.id())]).await.unwrap().remove(0);
    saga.state = SagaState::Failed;
    dropped.update_sagas(&[saga.clone()], NOW).await.unwrap();
    dropped.orders().update(&[step(&order, OrderStatus::Pending, OrderStatus::Cancelled)]).await.unwrap();
    dropped.payments().insert(&[Payment::request(order.id(), order.total())], NOW).await.unwrap();
    dropped.publish(vec![message(5)]).await.unwrap();
    dropped.set_timers(vec![timer(1, "order", 3)]).await.unwrap();
    drop(dropped);
    let mut reading = unit(&store).await;
    let found = reading.load_sagas(&[correlation(order.id())]).await.unwrap().remove(0);
    assert_eq!(found.state, SagaState::Created);
    assert!(reading.payments().get(&[order.id()]).await.unwrap().is_empty());
    assert!(reading.take_due_timers(later(99), 9).await.unwrap().is_empty());
    drop(reading);
    assert_eq!(store.overview().await.unwrap(), before);
}

#[tokio::test]
async fn a_final_saga_leaves_the_open_ones_and_may_come_back() {
    let store = store();
    let order = accept(&store, 1, &[product("A")]).await;
    let ids = [correlation(order.id())];
    for state in [SagaState::Failed, SagaState::Compensating, SagaState::NeedsAttention] {
        let mut moving = unit(&store).await;
        let mut saga = moving.load_sagas(&ids).await.unwrap().remove(0);
        saga.state = state;
        moving.update_sagas(&[saga], later(1)).await.unwrap();
        moving.commit().await.unwrap();
        let filter = SagaFilter { state: Some(state), ..SagaFilter::default() };
        assert_eq!(store.sagas(&filter, 5).await.unwrap().items.len(), 1, "{state}");
    }
    let moved = SagaFilter { unmoved_since: Some(later(1)), ..SagaFilter::default() };
    assert!(store.sagas(&moved, 5).await.unwrap().items.is_empty());
    let counts = store.overview().await.unwrap().sagas;
    let alive: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(alive, [("needs_attention".to_owned(), 1)]);
}

fn message(number: u128) -> Envelope {
    let id = Uuid::from_u128(number);
    let mut envelope =
        Envelope::first(MessageId(id), CorrelationId(id), "K", Bytes::from_static(b"{\"a\":1}"), NOW);
    envelope.traceparent = Some(Arc::from("00-1-2-01"));
    envelope
}

fn timer(number: u128, name: &str, due_s: i64) -> Timer {
    Timer {
        key: TimerKey { saga: CorrelationId(Uuid::from_u128(number)), name: Arc::from(name) },
        generation: 1,
        due_at: later(due_s),
        kind: Arc::from("OrderTimeoutEvent"),
        traceparent: None,
    }
}

#[tokio::test]
async fn timers_come_due_in_order_once_and_the_latest_setting_counts() {
    let store = store();
    let mut setting = unit(&store).await;
    let timers =
        vec![timer(1, "order", 30), timer(2, "order", 10), timer(3, "order", 20), timer(1, "undo", 40)];
    setting.set_timers(timers).await.unwrap();
    setting.set_timers(vec![Timer { generation: 2, ..timer(1, "order", 5) }]).await.unwrap();
    setting.cancel_timers(vec![timer(3, "order", 0).key, timer(9, "order", 0).key]).await.unwrap();
    setting.commit().await.unwrap();
    let mut taking = unit(&store).await;
    let due = taking.take_due_timers(later(39), 1).await.unwrap();
    assert_eq!((due[0].key.saga, due[0].generation), (CorrelationId(Uuid::from_u128(1)), 2));
    let due = taking.take_due_timers(later(39), 9).await.unwrap();
    assert_eq!(due, [timer(2, "order", 10)]);
    assert!(taking.take_due_timers(later(39), 9).await.unwrap().is_empty());
    assert_eq!(taking.take_due_timers(later(40), 9).await.unwrap(), [timer(1, "undo", 40)]);
}

#[tokio::test]
async fn an_id_from_outside_is_new_once_per_source() {
    let store = store();
    let ids = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
    let mut first = unit(&store).await;
    let admitted = first.admit("gateway", &ids, NOW).await.unwrap();
    assert_eq!(admitted, [Admission::New, Admission::New, Admission::Repeat]);
    drop(first);
    let mut second = unit(&store).await;
    assert_eq!(second.admit("gateway", &ids[..1], NOW).await.unwrap(), [Admission::New]);
    second.commit().await.unwrap();
    let mut third = unit(&store).await;
    assert_eq!(third.admit("gateway", &ids[..1], NOW).await.unwrap(), [Admission::Repeat]);
    assert_eq!(third.admit("carrier", &ids[..1], NOW).await.unwrap(), [Admission::New]);
}

fn record(key: &str, at: Timestamp) -> IdempotencyRecord {
    IdempotencyRecord {
        key: key.to_owned(),
        request_digest: [9; 32],
        order_id: OrderId(Uuid::from_u128(1)),
        total: usd(12),
        created_at: at,
    }
}

#[tokio::test]
async fn a_key_is_taken_once_and_swept_when_its_time_has_passed() {
    let store = store();
    let mut first = unit(&store).await;
    first.idempotency().insert(&[record("old", NOW), record("new", later(100))]).await.unwrap();
    first.admit("gateway", &["old".to_owned()], NOW).await.unwrap();
    first.commit().await.unwrap();
    let mut second = unit(&store).await;
    let refused = second.idempotency().insert(&[record("new", later(100))]).await.unwrap_err();
    assert_eq!(refused.verdict, Verdict::Conflict);
    drop(second);
    let retention = Retention { inbox: Duration::from_secs(50), idempotency: Duration::from_secs(50) };
    let swept = store.housekeeping_step(later(101), retention, 10).await.unwrap();
    assert_eq!((swept.inbox, swept.idempotency), (1, 1));
    let mut third = unit(&store).await;
    let found = third.idempotency().find(&["old".to_owned(), "new".to_owned()]).await.unwrap();
    assert_eq!(found, [record("new", later(100))]);
}

#[tokio::test]
async fn a_timeline_is_kept_in_order_and_only_of_orders_that_exist() {
    let store = store();
    let order = accept(&store, 1, &[product("A")]).await;
    let entry = |event| HistoryEntry {
        order_id: order.id(),
        at: later(1),
        event,
        status: Some(OrderStatus::Pending),
        saga_state: None,
        detail: Some("in words".to_owned()),
    };
    let mut unit = unit(&store).await;
    unit.history().append(&[entry("First"), entry("Second")]).await.unwrap();
    let audit = AuditEntry {
        at: NOW,
        actor: "me".into(),
        action: "look".into(),
        subject: "order".into(),
        note: String::new(),
    };
    unit.audit().record(&[audit]).await.unwrap();
    unit.commit().await.unwrap();
    let timeline = store.history(order.id()).await.unwrap().unwrap();
    assert_eq!(timeline.iter().map(|view| view.event.as_str()).collect::<Vec<_>>(), ["First", "Second"]);
    assert_eq!(store.history(OrderId(Uuid::nil())).await.unwrap(), None);
    assert_eq!(store.saga(order.id()).await.unwrap().unwrap().last_event, Some(timeline[1].clone()));
}

async fn received(store: &SqliteStore, count: u128) -> (Box<dyn bus::Feed>, Vec<Delivery>) {
    let mut feed = store.subscribe("q").await.unwrap();
    store.send(&(1..=count).map(message).collect::<Vec<_>>()).await.unwrap();
    let received = feed.receive(99).await.unwrap();
    (feed, received)
}

fn settlement(delivery: &Delivery, disposition: Disposition) -> Settlement {
    Settlement { delivery: delivery.clone(), disposition, at: later(1) }
}

#[tokio::test]
async fn a_delivery_is_settled_once() {
    let store = store();
    let (_feed, received) = received(&store, 2).await;
    let done = |delivery: &Delivery| settlement(delivery, Disposition::Done);
    let mut first = unit(&store).await;
    first.settle(vec![done(&received[0])]).await.unwrap();
    first.commit().await.unwrap();
    let mut second = unit(&store).await;
    let stale = second.settle(received.iter().map(done).collect()).await.unwrap_err();
    assert_eq!(stale.verdict, Verdict::Stale);
}

#[tokio::test]
async fn a_dead_letter_is_listed_found_and_redriven_with_a_fresh_count() {
    let store = store();
    let (mut feed, received) = received(&store, 2).await;
    let dead = Disposition::DeadLetter { reason: "no such product".to_owned() };
    let mut burying = unit(&store).await;
    let settled = received.iter().map(|delivery| settlement(delivery, dead.clone()));
    burying.settle(settled.collect()).await.unwrap();
    burying.commit().await.unwrap();
    let receipts: Vec<_> = received.iter().map(|delivery| delivery.receipt.clone()).collect();
    feed.acknowledge(&receipts).await.unwrap();
    let all = store.list_dead_letters(&DeadLetterFilter::default(), 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].envelope.attempt, &*all[0].queue, all[0].died_at), (1, "q", later(1)));
    for (filter, count) in [
        (DeadLetterFilter { queue: Some("q".into()), ..Default::default() }, 2),
        (DeadLetterFilter { queue: Some("other".into()), ..Default::default() }, 0),
        (DeadLetterFilter { kind: Some("K".into()), ..Default::default() }, 2),
        (DeadLetterFilter { reason_contains: Some("such".into()), ..Default::default() }, 2),
        (DeadLetterFilter { reason_contains: Some("%".into()), ..Default::default() }, 0),
        (DeadLetterFilter { message_id: Some(all[1].envelope.id), ..Default::default() }, 1),
        (DeadLetterFilter { after: Some(all[0].position), ..Default::default() }, 1),
    ] {
        assert_eq!(store.list_dead_letters(&filter, 10).await.unwrap().len(), count, "{filter:?}");
        assert_eq!(store.count_dead_letters(&filter).await.unwrap(), count as u64, "{filter:?}");
    }
    let positions: Vec<i64> = all.iter().map(|letter| letter.position).chain([999]).collect();
    assert_eq!(store.redrive(&positions, "me", later(2)).await.unwrap(), 2);
    assert_eq!(store.redrive(&positions, "me", later(2)).await.unwrap(), 0);
    let again = feed.receive(9).await.unwrap();
    let expected: Vec<Envelope> =
        received.iter().map(|delivery| Envelope::clone(&delivery.envelope)).collect();
    assert_eq!(
        again.iter().map(|delivery| Envelope::clone(&delivery.envelope)).collect::<Vec<_>>(),
        expected
    );
}

#[tokio::test]
async fn a_relay_leases_what_nobody_holds_and_removes_only_its_own() {
    let store = SqliteStore::in_memory(options(Routing::Outbox)).unwrap();
    store.send(&[message(1), message(2), message(3)]).await.unwrap();
    let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let first = store.lease(mine, NOW, later(30), 2).await.unwrap();
    assert_eq!(first.iter().map(|row| row.envelope.clone()).collect::<Vec<_>>(), [message(1), message(2)]);
    let second = store.lease(other, NOW, later(30), 9).await.unwrap();
    assert_eq!(second.len(), 1);
    let positions: Vec<i64> = first.iter().chain(&second).map(|row| row.position).collect();
    assert_eq!(store.remove(mine, &positions).await.unwrap(), 2);
    assert!(store.lease(mine, later(29), later(60), 9).await.unwrap().is_empty());
    let expired = store.lease(mine, later(30), later(60), 9).await.unwrap();
    assert_eq!(expired, second);
    assert_eq!(store.overview().await.unwrap().queues, [("outbox".to_owned(), 1)]);
}

#[tokio::test]
async fn broken_invariants_are_told_in_words() {
    let store = store();
    let products = [product("A")];
    stock_up(&store, &products, 5).await;
    let silent = accept(&store, 1, &products).await;
    let unpaid = accept(&store, 2, &products).await;
    let mut breaking = unit(&store).await;
    breaking.set_timers(vec![timer(2, "order", 9)]).await.unwrap();
    let path = [
        OrderStatus::Pending,
        OrderStatus::Validated,
        OrderStatus::PaymentProcessing,
        OrderStatus::Paid,
        OrderStatus::Shipped,
    ];
    for pair in path.windows(2) {
        breaking.orders().update(&[step(&unpaid, pair[0], pair[1])]).await.unwrap();
    }
    let mut saga = breaking.load_sagas(&[correlation(silent.id())]).await.unwrap().remove(0);
    saga.stock = StockStep::Reserved;
    breaking.update_sagas(&[saga], NOW).await.unwrap();
    breaking.commit().await.unwrap();
    let broken = store.broken_invariants(later(1), 10).await.unwrap();
    let told: Vec<(u8, &str)> = broken.iter().map(|view| (view.invariant, view.subject.as_str())).collect();
    let (silent, unpaid) = (format!("order {}", silent.id()), format!("order {}", unpaid.id()));
    let stock = format!("product {}", products[0].id);
    assert_eq!(told, [(1, silent.as_str()), (2, &unpaid), (3, &stock), (5, &unpaid)]);
    assert_eq!(store.broken_invariants(later(1), 2).await.unwrap().len(), 2);
}
