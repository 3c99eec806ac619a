//! Laws of what belongs to an order: what goes in comes out, what does not fit is refused with the right verdict, and the read
//! side shows it.

use std::time::Duration;

use application::messages::correlation;
use application::order_details::{Contact, OrderDetails};
use application::ports::{
    AuditEntry, BookedPayment, NewOrderRow, OrderFilter, OrderPlace, ReferencedOrder, SagaFilter, StockDemand,
};
use application::saga::{OrderProcessingSaga, PaymentStep, SAGA_VERSION, SagaState, StockStep};
use bus::Verdict;
use domain::{
    AMOUNT_MINOR_MAX, CancelReason, MoneyLine, MoneyLineKind, Order, OrderId, OrderLine, OrderStatus,
    Payment, Shipment,
};
use infrastructure::Retention;
use uuid::Uuid;

use super::stage::*;
use super::{Home, Process};

/// Lines, money, times and names are as they were.
pub async fn an_order_comes_out_as_it_went_in(home: &mut impl Home) {
    let process = home.process().await;
    let order = accepted(&process, 1, &[product("A"), product("B")]).await;
    let mut unit = process.unit().await;
    let asked = [order.id(), order_id(99)];
    let found = unit.orders().get_orders_with_items(&asked).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&order));
    assert_eq!(unit.orders().get_by_id(order.id()).await.unwrap().as_ref(), Some(&order));
    assert_eq!(unit.orders().get_by_id(order_id(99)).await.unwrap(), None);
    let demand = unit.orders().get_demand(&asked).await.unwrap();
    assert_eq!(demand, [StockDemand { order_id: order.id(), lines: order.merged_demand() }]);
    let wanted = ["reference-1", "reference-2"].map(str::to_owned);
    let by_reference = unit.orders().find_by_external_reference(&wanted).await.unwrap();
    let bearer = ReferencedOrder {
        reference: "reference-1".to_owned(),
        source: Some("shop".into()),
        order_id: order.id(),
    };
    assert_eq!(by_reference, [bearer]);
    assert_eq!(stored_saga(unit.as_mut(), &order).await, saga(&order));
    drop(unit);
    let view = process.readers.order(order.id()).await.unwrap().unwrap();
    assert_eq!((view.status.as_str(), view.lines.len(), view.saga_state.as_str()), ("pending", 2, "created"));
    assert_eq!(process.readers.order(order_id(99)).await.unwrap(), None);
}

/// What an order says beside who wants what is kept, replaced and shown; an order that says nothing has none.
pub async fn what_an_order_says_beside_its_lines_comes_out_as_it_went_in(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A")];
    stock_up(&process, &products, 10).await;
    let plain = accepted(&process, 1, &products).await;
    let discount = MoneyLine { kind: MoneyLineKind::Discount, amount: usd(300) };
    let order = order_with(2, &products, vec![discount]);
    let details = OrderDetails {
        contact: Some(Contact { email: Some("ann@example.org".to_owned()), ..Contact::default() }),
        tags: vec!["gift".to_owned(), "ünïcode \"quoted\"".to_owned()],
        ..OrderDetails::default()
    };
    let row = NewOrderRow {
        order: order.clone(),
        payment_token: None,
        source: None,
        details: Some(details.to_stored()),
    };
    let mut unit = process.unit().await;
    unit.orders().create(&[row]).await.unwrap();
    unit.insert_sagas(&[saga(&order)], NOW).await.unwrap();
    let of_both = unit.orders().details(&[plain.id(), order.id()]).await.unwrap();
    assert_eq!(of_both, [(order.id(), details.to_stored())], "before the commit too");
    unit.commit().await.unwrap();
    let mut unit = process.unit().await;
    let found = unit.orders().get_by_id(order.id()).await.unwrap().expect("it is there");
    assert_eq!((found.total(), found.snapshot().added_minor), (order.total(), -300));
    assert_eq!(found, order);
    unit.orders().put_details(order.id(), &details.erased().to_stored()).await.unwrap();
    unit.commit().await.unwrap();
    let view = process.readers.order(order.id()).await.unwrap().unwrap();
    assert_eq!(view.details, Some(details.erased()));
    assert_eq!(process.readers.order(plain.id()).await.unwrap().unwrap().details, None);
    let mut unit = process.unit().await;
    unit.orders().put_details(plain.id(), &details.to_stored()).await.unwrap();
    unit.commit().await.unwrap();
    let view = process.readers.order(plain.id()).await.unwrap().unwrap();
    assert_eq!(view.details.as_ref(), Some(&details), "of an order that said nothing too");
    let broken = process.readers.broken_invariants(NOW, 10).await.unwrap();
    assert!(broken.iter().all(|it| it.invariant == 1), "the money adds up: {broken:?}");
}

/// What was ordered stays known where units are cancelled; what is left is what is asked for, and what the order and its saga cost.
pub async fn cancelled_units_are_asked_for_no_longer(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A"), product("B")];
    let order = accepted(&process, 1, &products).await;
    let other = accepted(&process, 2, &products).await;
    let (first, second) = (order.lines()[0].clone(), order.lines()[1].clone());
    let some = order.cancel_lines(&[(first.sku.clone(), Some(1))], None, NOW).unwrap().order;
    let fewer = some.cancel_lines(&[(second.sku.clone(), None)], Some(usd(3)), NOW).unwrap().order;
    let mut unit = process.unit().await;
    unit.orders().put_lines(&some).await.unwrap();
    unit.orders().put_lines(&fewer).await.unwrap();
    let found = unit.orders().get_orders_with_items(&[order.id(), other.id()]).await.unwrap();
    assert_eq!(found, [fewer.clone(), other.clone()], "before the commit too");
    let saga = OrderProcessingSaga { total: fewer.total(), ..stored_saga(unit.as_mut(), &order).await };
    unit.update_sagas(&[saga], later(1)).await.unwrap();
    unit.commit().await.unwrap();
    let mut elsewhere = home.process().await.unit().await;
    assert_eq!(stored_saga(elsewhere.as_mut(), &order).await.total, fewer.total());
    drop(elsewhere);
    let mut unit = process.unit().await;
    let found = unit.orders().get_orders_with_items(&[order.id(), other.id()]).await.unwrap();
    assert_eq!(found, [fewer.clone(), other.clone()]);
    let demand = unit.orders().get_demand(&[order.id()]).await.unwrap();
    assert_eq!(demand, [StockDemand { order_id: order.id(), lines: fewer.merged_demand() }]);
    assert_eq!(demand[0].lines, [(first.product_id, first.remaining() - 1)]);
    assert_eq!(stored_saga(unit.as_mut(), &order).await.total, fewer.total());
    assert_eq!(stored_saga(unit.as_mut(), &other).await.total, other.total());
    drop(unit);
    let view = process.readers.order(order.id()).await.unwrap().unwrap();
    let lines: Vec<_> =
        view.lines.iter().map(|line| (i64::from(line.quantity), i64::from(line.cancelled))).collect();
    let ordered = |line: &OrderLine| i64::from(line.quantity);
    assert_eq!(lines, [(ordered(&first), 1), (ordered(&second), ordered(&second))]);
    assert_eq!(view.total, fewer.total().into());
}

/// A store moves an order as [`Order::apply`] does, each move in a unit of its own or all in the one that creates it.
pub async fn a_stored_order_moves_as_the_aggregate_does(home: &mut impl Home) {
    let process = home.process().await;
    let cancelled = [OrderStatus::Pending, OrderStatus::Validated, OrderStatus::Cancelled];
    for (number, road) in (1..).zip([ROAD.as_slice(), cancelled.as_slice()]) {
        let mut stepwise = accepted(&process, number, &[product("A")]).await;
        for pair in road.windows(2) {
            let moved = step(&stepwise, pair[0], pair[1]);
            let mut unit = process.unit().await;
            unit.orders().update(std::slice::from_ref(&moved)).await.unwrap();
            unit.commit().await.unwrap();
            stepwise.apply(&moved.change).unwrap();
        }
        let mut at_once = order(number + 10, &[product("A")]);
        let mut unit = process.unit().await;
        create(unit.as_mut(), &at_once).await.unwrap();
        for pair in road.windows(2) {
            let moved = step(&at_once, pair[0], pair[1]);
            unit.orders().update(std::slice::from_ref(&moved)).await.unwrap();
            at_once.apply(&moved.change).unwrap();
        }
        unit.commit().await.unwrap();
        let mut unit = process.unit().await;
        let stored = unit.orders().get_orders_with_items(&[stepwise.id(), at_once.id()]).await.unwrap();
        assert_eq!(stored, [stepwise, at_once]);
    }
}

/// Whoever decides from an old state decides again.
pub async fn an_order_moves_only_from_where_it_is(home: &mut impl Home) {
    let process = home.process().await;
    let order = accepted(&process, 1, &[product("A")]).await;
    let mut first = process.unit().await;
    first.orders().update(&[step(&order, OrderStatus::Pending, OrderStatus::Validated)]).await.unwrap();
    first.commit().await.unwrap();
    let mut second = process.unit().await;
    let moved = async {
        second.orders().update(&[step(&order, OrderStatus::Pending, OrderStatus::Cancelled)]).await?;
        second.commit().await
    };
    assert_eq!(moved.await.unwrap_err().verdict, Verdict::Conflict);
    let mut third = process.unit().await;
    third.orders().update(&[step(&order, OrderStatus::Validated, OrderStatus::Cancelled)]).await.unwrap();
    third.commit().await.unwrap();
    let view = process.readers.order(order.id()).await.unwrap().unwrap();
    assert_eq!((view.status.as_str(), view.cancel_reason.as_deref()), ("cancelled", Some("customer")));
    assert_eq!(view.lines.len(), 1);
    let counts = process.readers.overview().await.unwrap();
    assert!(
        counts.orders.contains(&("cancelled".to_owned(), 1))
            && counts.orders.contains(&("pending".to_owned(), 0))
    );
    assert!(counts.cancellations.contains(&("customer".to_owned(), 1)));
}

/// Open or ended, by status, customer and time, a page at a time.
pub async fn orders_of_every_status_are_found_page_by_page(home: &mut impl Home) {
    let process = home.process().await;
    let mut orders = Vec::new();
    for number in 1..=6 {
        orders.push(accepted(&process, number, &[product("A")]).await);
    }
    let mut moving = process.unit().await;
    let cancel = [&orders[0], &orders[3]].map(|it| step(it, OrderStatus::Pending, OrderStatus::Cancelled));
    moving.orders().update(&cancel).await.unwrap();
    for pair in ROAD.windows(2) {
        moving.orders().update(&[step(&orders[5], pair[0], pair[1])]).await.unwrap();
    }
    moving.commit().await.unwrap();
    let mut reading = process.unit().await;
    let ids = |numbers: &[usize]| numbers.iter().map(|at| orders[*at].id()).collect::<Vec<_>>();
    let found = reading.orders().get_orders_by_status(OrderStatus::Pending, None, 2).await.unwrap();
    assert_eq!(found, ids(&[1, 2]));
    for (status, after, expected) in [
        (OrderStatus::Pending, Some(found[1]), ids(&[4])),
        (OrderStatus::Cancelled, None, ids(&[0, 3])),
        (OrderStatus::Delivered, None, ids(&[5])),
    ] {
        let found = reading.orders().get_orders_by_status(status, after, 9).await.unwrap();
        assert_eq!(found, expected, "{status}");
    }
    drop(reading);
    let any = OrderFilter::default;
    for (filter, max, count) in [
        (OrderFilter { status: Some(OrderStatus::Pending), ..any() }, 9, 3),
        (OrderFilter { status: Some(OrderStatus::Cancelled), ..any() }, 9, 2),
        (OrderFilter { status: Some(OrderStatus::Delivered), ..any() }, 9, 1),
        (OrderFilter { customer_id: Some("alfki".into()), ..any() }, 4, 4),
        (OrderFilter { customer_id: Some("nobody".into()), ..any() }, 9, 0),
        (OrderFilter { created_before: Some(NOW), ..any() }, 9, 0),
        (OrderFilter { created_from: Some(NOW), created_before: Some(later(1)), ..any() }, 9, 6),
        (OrderFilter { after: Some(OrderPlace::by_id(orders[1].id())), ..any() }, 9, 4),
    ] {
        let page = process.readers.orders(&filter, max).await.unwrap();
        assert_eq!((page.items.len(), page.next.is_some()), (count, max == 4), "{filter:?}");
    }
}

/// Two orders of one name would be one order twice.
pub async fn a_reference_is_borne_by_one_order_only(home: &mut impl Home) {
    let process = home.process().await;
    accepted(&process, 1, &[product("A")]).await;
    let mut twin = order(2, &[product("A")]).into_snapshot();
    twin.external_reference = Some("reference-1".to_owned());
    let twin = Order::restore(twin).unwrap();
    let mut again = process.unit().await;
    let stored = async {
        create(again.as_mut(), &twin).await?;
        again.commit().await
    };
    assert_eq!(stored.await.unwrap_err().verdict, Verdict::Conflict);
    assert_eq!(process.readers.order(twin.id()).await.unwrap(), None);
}

/// Whether a process remembers them or reads them for the first time.
pub async fn sagas_payments_and_shipments_come_out_as_last_written(home: &mut impl Home) {
    let process = home.process().await;
    let order = accepted(&process, 1, &[product("A")]).await;
    let (mut payment, mut shipment) =
        (Payment::request(order.id(), order.total()), Shipment::request(order.id()));
    let mut writing = process.unit().await;
    let mut saga = stored_saga(writing.as_mut(), &order).await;
    saga.state = SagaState::PaymentProcessing;
    saga.payment = PaymentStep::Requested;
    saga.reason = Some(CancelReason::Timeout);
    saga.timer_generation = 7;
    saga.has_address = true;
    writing.update_sagas(std::slice::from_ref(&saga), later(2)).await.unwrap();
    writing.payments().insert(std::slice::from_ref(&payment), NOW).await.unwrap();
    writing.shipments().insert(std::slice::from_ref(&shipment), NOW).await.unwrap();
    let less = order.total().checked_sub(usd(1)).unwrap();
    let _ = payment.authorise("ch_1", Some(later(9))).unwrap();
    let _ = payment.lower(less).unwrap();
    let _ = payment.capture(less, "ch_1").unwrap();
    let _ = shipment.book("T-1", "DHL").unwrap();
    writing.payments().update(std::slice::from_ref(&payment), NOW).await.unwrap();
    writing.shipments().update(std::slice::from_ref(&shipment), NOW).await.unwrap();
    writing.commit().await.unwrap();
    for process in [process.clone(), home.process().await] {
        let mut reading = process.unit().await;
        assert_eq!(stored_saga(reading.as_mut(), &order).await, saga);
        assert_eq!(reading.payments().get(&[order.id()]).await.unwrap(), std::slice::from_ref(&payment));
        assert_eq!(reading.shipments().get(&[order.id()]).await.unwrap(), std::slice::from_ref(&shipment));
    }
    let view = process.readers.order(order.id()).await.unwrap().unwrap();
    assert_eq!(view.payment.unwrap().captured_minor, less.minor);
    assert_eq!(view.shipment.unwrap().tracking_number.as_deref(), Some("T-1"));
    let view = process.readers.saga(order.id()).await.unwrap().unwrap();
    assert_eq!((view.state.as_str(), view.updated_at), ("payment_processing", later(2)));
    let counts = process.readers.overview().await.unwrap();
    assert_eq!(counts.money, [("USD".to_owned(), less.minor, 0)]);
}

/// Listings and counts follow a saga wherever it goes.
pub async fn a_final_saga_leaves_the_open_ones_and_may_come_back(home: &mut impl Home) {
    let process = home.process().await;
    let order = accepted(&process, 1, &[product("A")]).await;
    for state in [SagaState::Failed, SagaState::Compensating, SagaState::NeedsAttention] {
        let mut moving = process.unit().await;
        let mut saga = stored_saga(moving.as_mut(), &order).await;
        saga.state = state;
        moving.update_sagas(&[saga], later(1)).await.unwrap();
        moving.commit().await.unwrap();
        let filter = SagaFilter { state: Some(state), ..SagaFilter::default() };
        assert_eq!(process.readers.sagas(&filter, 5).await.unwrap().items.len(), 1, "{state}");
    }
    let moved = SagaFilter { unmoved_since: Some(later(1)), ..SagaFilter::default() };
    assert!(process.readers.sagas(&moved, 5).await.unwrap().items.is_empty());
    let counts = process.readers.overview().await.unwrap().sagas;
    let alive: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(alive, [("needs_attention".to_owned(), 1)]);
}

/// A change finds its saga, or nothing is stored.
pub async fn a_saga_that_is_not_there_cannot_be_changed(home: &mut impl Home) {
    let process = home.process().await;
    let mut unit = process.unit().await;
    let changed = async {
        unit.update_sagas(&[saga(&order(9, &[product("A")]))], NOW).await?;
        unit.commit().await
    };
    assert_eq!(changed.await.unwrap_err().verdict, Verdict::Conflict);
}

/// A client's key stands for one order, for as long as it is kept.
pub async fn a_key_is_taken_once_and_swept_when_its_time_has_passed(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A")];
    let (old, new) = (accepted(&process, 1, &products).await, accepted(&process, 2, &products).await);
    let (old, new) = (record(&old, NOW), record(&new, later(100)));
    let mut first = process.unit().await;
    first.idempotency().insert(&[old.clone(), new.clone()]).await.unwrap();
    first.admit("gateway", &["old".to_owned()], NOW).await.unwrap();
    first.commit().await.unwrap();
    let mut second = process.unit().await;
    let taken = async {
        second.idempotency().insert(std::slice::from_ref(&new)).await?;
        second.commit().await
    };
    assert_eq!(taken.await.unwrap_err().verdict, Verdict::Conflict);
    let kept = Retention {
        inbox: Duration::from_secs(50),
        idempotency: Duration::from_secs(50),
        events: Duration::from_secs(50),
    };
    let swept = process.sweep(later(101), kept, 10).await.unwrap();
    assert_eq!((swept.inbox, swept.idempotency), (1, 1));
    let mut third = process.unit().await;
    let found = third.idempotency().find(&[old.key, new.key.clone()]).await.unwrap();
    assert_eq!(found, [new]);
}

/// Tidying up is done in steps.
pub async fn no_more_is_swept_than_may_be(home: &mut impl Home) {
    let process = home.process().await;
    let ids: Vec<String> = (0..5).map(|number: u32| number.to_string()).collect();
    let mut seen = process.unit().await;
    seen.admit("gateway", &ids, NOW).await.unwrap();
    seen.commit().await.unwrap();
    let kept = Retention {
        inbox: Duration::from_secs(50),
        idempotency: Duration::from_secs(50),
        events: Duration::from_secs(50),
    };
    for (at, expected) in [(50, 0), (51, 3), (51, 2), (51, 0)] {
        assert_eq!(process.sweep(later(at), kept, 3).await.unwrap().inbox, expected);
    }
}

/// Clocks of several workers do not quite agree, so what came later may be older.
pub async fn what_is_past_its_time_is_swept_before_and_behind_what_is_not(home: &mut impl Home) {
    let process = home.process().await;
    for (id, at) in [("a", 0), ("b", 9), ("c", 3), ("d", 9)] {
        let mut seen = process.unit().await;
        seen.admit("gateway", &[id.to_owned()], later(at)).await.unwrap();
        seen.commit().await.unwrap();
    }
    let kept = Retention {
        inbox: Duration::from_secs(50),
        idempotency: Duration::from_secs(50),
        events: Duration::from_secs(50),
    };
    for (at, expected) in [(51, 1), (54, 1), (60, 2), (99, 0)] {
        assert_eq!(process.sweep(later(at), kept, 10).await.unwrap().inbox, expected, "after {at} s");
    }
}

/// What happened to an order, in the order in which it happened.
pub async fn a_timeline_is_kept_in_order_and_only_of_orders_that_exist(home: &mut impl Home) {
    let process = home.process().await;
    let order = accepted(&process, 1, &[product("A")]).await;
    let mut unit = process.unit().await;
    unit.history().append(&[entry(&order, "First"), entry(&order, "Second")]).await.unwrap();
    let words = |text: &str| text.to_owned();
    let audit = AuditEntry {
        at: NOW,
        actor: words("me"),
        action: words("look"),
        subject: words("order"),
        note: String::new(),
    };
    unit.audit().record(&[audit]).await.unwrap();
    unit.commit().await.unwrap();
    let timeline = process.readers.history(order.id()).await.unwrap().unwrap();
    assert_eq!(timeline.iter().map(|it| it.event.as_str()).collect::<Vec<_>>(), ["First", "Second"]);
    assert_eq!(timeline[0].detail, entry(&order, "First").detail);
    assert_eq!(process.readers.history(OrderId(Uuid::nil())).await.unwrap(), None);
    let saga = process.readers.saga(order.id()).await.unwrap().unwrap();
    assert_eq!(saga.last_event, Some(timeline[1].clone()));
}

/// What the rows alone can tell.
pub async fn broken_invariants_are_told_in_words(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A")];
    stock_up(&process, &products, 5).await;
    let (silent, unpaid) = (accepted(&process, 1, &products).await, accepted(&process, 2, &products).await);
    let mut breaking = process.unit().await;
    breaking.set_timers(vec![timer(2, "order", 9)]).await.unwrap();
    for pair in ROAD[..5].windows(2) {
        breaking.orders().update(&[step(&unpaid, pair[0], pair[1])]).await.unwrap();
    }
    let mut saga = stored_saga(breaking.as_mut(), &silent).await;
    saga.stock = StockStep::Reserved;
    breaking.update_sagas(&[saga], NOW).await.unwrap();
    breaking.commit().await.unwrap();
    let broken = process.readers.broken_invariants(later(1), 10).await.unwrap();
    let told: Vec<(u8, &str)> = broken.iter().map(|view| (view.invariant, view.subject.as_str())).collect();
    let (silent, unpaid) = (format!("order {}", silent.id()), format!("order {}", unpaid.id()));
    let stock = format!("product {}", products[0].sku);
    assert_eq!(told, [(1, silent.as_str()), (2, &unpaid), (3, &stock), (5, &unpaid)]);
    assert_eq!(process.readers.broken_invariants(later(1), 2).await.unwrap().len(), 2);
}

/// Thousands of the most that an order may come to are summed up exactly as far as 64 bits go, and never fail.
pub async fn sums_of_the_most_there_may_be_are_told_and_never_fail(home: &mut impl Home) {
    let process = home.process().await;
    let most = usd(AMOUNT_MINOR_MAX);
    let paid = |number: u128| {
        let mut payment = Payment::request(order_id(number), most);
        assert!(payment.capture(most, "ch").unwrap().is_applied());
        payment
    };
    let money = async |numbers: std::ops::Range<u128>| {
        let payments: Vec<Payment> = numbers.map(paid).collect();
        let mut unit = process.unit().await;
        unit.payments().insert(&payments, NOW).await.unwrap();
        unit.commit().await.unwrap();
        process.readers.overview().await.unwrap().money
    };
    let told = |taken| vec![("USD".to_owned(), taken, 0)];
    assert_eq!(money(0..5_000).await, told(5_000 * AMOUNT_MINOR_MAX));
    assert_eq!(money(5_000..10_000).await, told(i64::MAX), "all that 64 bits can tell");
    let mut unit = process.unit().await;
    let mut returned: Vec<Payment> = (0..9_000).map(paid).collect();
    returned.iter_mut().for_each(|payment| assert!(payment.refund(most).unwrap().is_applied()));
    unit.payments().update(&returned, NOW).await.unwrap();
    unit.commit().await.unwrap();
    let money = process.readers.overview().await.unwrap().money;
    assert_eq!(money, [("USD".to_owned(), i64::MAX, 9_000 * AMOUNT_MINOR_MAX)]);
    // These rows have no histories that could tell why the money went back; nothing else is wrong with them.
    let broken = process.readers.broken_invariants(later(1), 9).await.unwrap();
    assert!(broken.iter().all(|view| view.invariant == 6), "{broken:?}");
}

/// For holding the books against the gateway's: the payments of some orders, and page by page all whose money was taken.
pub async fn payments_are_told_with_where_their_sagas_stand(home: &mut impl Home) {
    let process = home.process().await;
    let mut wanted = Vec::new();
    for (number, state) in
        [(1, SagaState::Completed), (2, SagaState::PaymentProcessing), (3, SagaState::Paid)]
    {
        let order = accepted(&process, number, &[product("A")]).await;
        let mut payment = Payment::request(order.id(), order.total());
        if number != 2 {
            assert!(payment.capture(payment.amount, "ch").unwrap().is_applied());
            assert!(payment.refund(usd(1)).unwrap().is_applied());
        }
        let mut unit = process.unit().await;
        let saga = OrderProcessingSaga { state, ..stored_saga(unit.as_mut(), &order).await };
        unit.update_sagas(&[saga], NOW).await.unwrap();
        unit.payments().insert(std::slice::from_ref(&payment), NOW).await.unwrap();
        unit.commit().await.unwrap();
        wanted.push(BookedPayment { payment, state });
    }
    let ids = [order_id(3), order_id(99), order_id(1), order_id(2)];
    let mut found = process.readers.booked_payments(&ids).await.unwrap();
    found.sort_by_key(|booked| booked.payment.order_id);
    assert_eq!(found, wanted);
    assert_eq!(process.readers.booked_payments(&[]).await.unwrap(), []);
    let mut states = process.readers.saga_states(&ids).await.unwrap();
    states.sort_by_key(|(id, _)| *id);
    let expected: Vec<_> = wanted.iter().map(|booked| (booked.payment.order_id, booked.state)).collect();
    assert_eq!(states, expected, "an order that is not there has no saga");
    assert_eq!(process.readers.saga_states(&[]).await.unwrap(), []);
    let first = process.readers.captured_payments(None, 1).await.unwrap();
    assert_eq!((&first.items[..], first.has_more), (&wanted[..1], true));
    let rest = process.readers.captured_payments(Some(order_id(1)), 1).await.unwrap();
    assert_eq!((&rest.items[..], rest.has_more), (&wanted[2..], false), "nothing was taken for the second");
}

/// A worker takes its hands off a saga whose definition it does not know, whatever the state is called there: it came later, or
/// it never was released, and no migration leads here.
pub async fn a_saga_of_a_definition_that_is_not_known_is_left_alone(home: &mut impl Home) {
    let process = home.process().await;
    let of_version = |number, version| {
        let order = order(number, &[product("A")]);
        (OrderProcessingSaga { version, ..saga(&order) }, order)
    };
    let (newer, unreleased) = (of_version(1, SAGA_VERSION + 1), of_version(2, 0));
    let known = of_version(3, SAGA_VERSION);
    store_sagas(&process, &[&newer, &unreleased, &known]).await;
    drop(process);
    let process = home.process().await;
    for (strange, order) in [newer, unreleased] {
        let ids = [correlation(order.id()), correlation(known.1.id())];
        let left = process.unit().await.load_sagas(&ids).await.unwrap_err();
        assert_eq!(left.verdict, Verdict::LeaveToOthers, "version {}: {left}", strange.version);
    }
    assert_eq!(stored_saga(process.unit().await.as_mut(), &known.1).await, known.0);
}

/// What a migration has made of a saga stays, whether it goes on or ends with that step: a worker that does not know the new
/// definition leaves it alone from then on.
pub async fn a_saga_is_kept_under_the_version_that_it_was_left_with(home: &mut impl Home) {
    let process = home.process().await;
    for (number, state) in [(1, SagaState::InventoryReserved), (2, SagaState::Completed)] {
        let order = order(number, &[product("A")]);
        let saga = saga(&order);
        store_sagas(&process, &[&(saga.clone(), order.clone())]).await;
        let mut unit = process.unit().await;
        assert_eq!(stored_saga(unit.as_mut(), &order).await, saga);
        let migrated = OrderProcessingSaga { version: SAGA_VERSION + 1, state, ..saga };
        unit.update_sagas(&[migrated], NOW).await.unwrap();
        unit.commit().await.unwrap();
        let next = home.process().await;
        let left = next.unit().await.load_sagas(&[correlation(order.id())]).await.unwrap_err();
        assert_eq!(left.verdict, Verdict::LeaveToOthers, "{state:?}: {left}");
    }
}

async fn store_sagas(process: &Process, sagas: &[&(OrderProcessingSaga, Order)]) {
    let mut unit = process.unit().await;
    for (saga, order) in sagas {
        let row = NewOrderRow { order: order.clone(), payment_token: None, source: None, details: None };
        unit.orders().create(&[row]).await.unwrap();
        unit.insert_sagas(std::slice::from_ref(saga), NOW).await.unwrap();
    }
    unit.commit().await.unwrap();
}
