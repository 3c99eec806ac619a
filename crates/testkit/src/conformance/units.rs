//! Laws of units of work: all of it or nothing, whatever step it ends at, and what is committed outlives the process.

use application::ports::{AnyUnit, Overview};
use application::saga::SagaState;
use bus::{Admission, Fault, Verdict};
use domain::{Order, OrderStatus, Payment, Product, Shipment};
use jiff::Timestamp;

use super::stage::*;
use super::{Home, Process};

/// Everything that one unit can write, a step at a time.
const STEPS: usize = 12;

async fn write(
    unit: &mut AnyUnit,
    step_number: usize,
    order: &Order,
    products: &[Product],
) -> Result<(), Fault> {
    match step_number {
        0 => unit.products().upsert(products).await,
        1 => create(unit, order).await,
        2 => unit.set_timers(vec![timer(1, "order", 30)]).await,
        3 => unit.publish(vec![message(1), of_kind("L", 2)]).await,
        4 => unit.history().append(&[entry(order, "First")]).await,
        5 => unit.idempotency().insert(&[record(order, NOW)]).await,
        6 => unit.admit("gateway", &["a".to_owned()], NOW).await.map(drop),
        7 => unit.payments().insert(&[Payment::request(order.id(), order.total())], NOW).await,
        8 => unit.shipments().insert(&[Shipment::request(order.id())], NOW).await,
        9 => {
            let received = (products[0].id, 9, domain::MovementCause::Import("first".to_owned()));
            let outcome = unit.inventory().update_available_stock(&[received], NOW).await?;
            outcome.map(drop).map_err(|rejection| Fault::give_up("stock.receive", rejection))
        }
        10 => unit.inventory().reserve_stock(&[demand(order)], NOW).await.map(drop),
        11 => unit.orders().update(&[step(order, OrderStatus::Pending, OrderStatus::Validated)]).await,
        beyond => panic!("there is no step {beyond}"),
    }
}

/// Everything that the rows tell, in one text.
async fn picture(process: &Process, order: &Order, products: &[Product]) -> String {
    let readers = &process.readers;
    let overview: Overview = readers.overview().await.unwrap();
    let view = readers.order(order.id()).await.unwrap();
    let timeline = readers.history(order.id()).await.unwrap();
    let stock = readers.inventory_of(&products[0].sku).await.unwrap();
    let ledger = readers.movements(products[0].id, None, 99).await.unwrap().len();
    let mut unit = process.unit().await;
    let keys = unit.idempotency().find(&[record(order, NOW).key]).await.unwrap();
    let timers = unit.lease_due_timers(Timestamp::MAX, 9).await.unwrap();
    let admitted = unit.admit("gateway", &["a".to_owned()], NOW).await.unwrap();
    let payments = unit.payments().get(&[order.id()]).await.unwrap();
    let shipments = unit.shipments().get(&[order.id()]).await.unwrap();
    // Dropped: looking changes nothing.
    let at_rest = (overview, view, timeline, stock, ledger);
    format!("{at_rest:#?}\n{:#?}", (keys, timers, admitted, payments, shipments))
}

/// In this process and in the next.
pub async fn a_unit_that_is_dropped_after_any_step_never_was(home: &mut impl Home) {
    let products = [product("A")];
    let order = order(1, &products);
    let process = home.process().await;
    let before = picture(&process, &order, &products).await;
    for last in 0..STEPS {
        let mut unit = process.unit().await;
        for number in 0..=last {
            write(unit.as_mut(), number, &order, &products).await.unwrap();
        }
        if last % 2 == 0 {
            // What was kept back until somebody asks is sent, and rolled back all the same.
            unit.orders().get_orders_with_items(&[order.id()]).await.unwrap();
        }
        drop(unit);
        let after = picture(&process, &order, &products).await;
        assert_eq!(after, before, "dropped after step {last}");
    }
    drop(process);
    let process = home.process().await;
    assert_eq!(picture(&process, &order, &products).await, before);
    let mut feed = process.bus.transport.subscribe("q").await.unwrap();
    nothing_comes(feed.as_mut()).await;
}

/// The commit at the latest says what is wrong, and then nothing is there.
pub async fn a_write_that_fails_takes_all_the_others_with_it(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A")];
    let first = accepted(&process, 1, &products).await;
    let second = order(2, &products);
    let mut twice = process.unit().await;
    let stored = async {
        create(twice.as_mut(), &second).await?;
        twice.publish(vec![message(1)]).await?;
        create(twice.as_mut(), &first).await?;
        twice.commit().await
    };
    let fault = stored.await.unwrap_err();
    assert_eq!((fault.verdict, fault.operation), (Verdict::Conflict, "orders.create"));
    assert_eq!(process.readers.order(second.id()).await.unwrap(), None);
    let mut feed = process.bus.transport.subscribe("q").await.unwrap();
    nothing_comes(feed.as_mut()).await;
}

/// A client that got no answer asks again, and is told.
pub async fn what_was_committed_is_there_for_the_next_process_and_cannot_be_done_again(home: &mut impl Home) {
    let products = [product("A")];
    let order = order(1, &products);
    let process = home.process().await;
    let mut unit = process.unit().await;
    for number in 0..STEPS {
        write(unit.as_mut(), number, &order, &products).await.unwrap();
    }
    unit.commit().await.unwrap();
    let done = picture(&process, &order, &products).await;
    drop(process);
    let process = home.process().await;
    assert_eq!(picture(&process, &order, &products).await, done);
    for number in [1, 5, 11] {
        let mut again = process.unit().await;
        let stored = async {
            write(again.as_mut(), number, &order, &products).await?;
            again.commit().await
        };
        assert_eq!(stored.await.unwrap_err().verdict, Verdict::Conflict, "step {number}");
    }
    let mut again = process.unit().await;
    assert_eq!(again.admit("gateway", &["a".to_owned()], NOW).await.unwrap(), [Admission::Repeat]);
    drop(again);
    assert_eq!(picture(&process, &order, &products).await, done);
    let mut feed = process.bus.transport.subscribe("q").await.unwrap();
    assert_eq!(envelopes(&receive(feed.as_mut(), 1).await), [message(1)]);
}

/// Whether a store writes every change or keeps them back until the end of the unit: the end is what counts.
pub async fn what_changes_several_times_in_one_unit_is_stored_as_it_is_in_the_end(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A")];
    stock_up(&process, &products, 10).await;
    let (kept, called_off) = (order(1, &products), order(2, &products));
    let mut unit = process.unit().await;
    create(unit.as_mut(), &kept).await.unwrap();
    create(unit.as_mut(), &called_off).await.unwrap();
    unit.set_timers(vec![timer(1, "order", 30), timer(1, "payment", 20), timer(2, "order", 30)])
        .await
        .unwrap();
    unit.orders().update(&[step(&kept, OrderStatus::Pending, OrderStatus::Validated)]).await.unwrap();
    let moves = [
        step(&kept, OrderStatus::Validated, OrderStatus::PaymentProcessing),
        step(&called_off, OrderStatus::Pending, OrderStatus::Cancelled),
    ];
    unit.orders().update(&moves).await.unwrap();
    let mut changed = stored_saga(unit.as_mut(), &kept).await;
    assert_eq!(changed, saga(&kept));
    for state in [SagaState::InventoryReserved, SagaState::PaymentProcessing] {
        changed.state = state;
        changed.timer_generation += 1;
        unit.update_sagas(std::slice::from_ref(&changed), later(2)).await.unwrap();
    }
    unit.cancel_timers(vec![timer(1, "payment", 20).key]).await.unwrap();
    unit.set_timers(vec![timer(1, "order", 40)]).await.unwrap();
    assert_eq!(stored_saga(unit.as_mut(), &kept).await, changed);
    assert_eq!(unit.orders().get_demand(&[kept.id()]).await.unwrap(), [demand(&kept)]);
    unit.commit().await.unwrap();

    let counted = process.readers.overview().await.unwrap().orders;
    let counted: Vec<_> = counted.into_iter().filter(|(_, count)| *count > 0).map(|(name, _)| name).collect();
    assert_eq!(counted, ["payment_processing", "cancelled"]);
    let mut unit = process.unit().await;
    assert_eq!(stored_saga(unit.as_mut(), &kept).await, changed);
    let stored = unit.orders().get_orders_with_items(&[kept.id(), called_off.id()]).await.unwrap();
    let statuses: Vec<OrderStatus> = stored.iter().map(Order::status).collect();
    assert_eq!(statuses, [OrderStatus::PaymentProcessing, OrderStatus::Cancelled]);
    let timers = unit.lease_due_timers(Timestamp::MAX, 9).await.unwrap();
    assert_eq!(timers, [timer(2, "order", 30), timer(1, "order", 40)]);
}

/// Before anything has happened.
pub async fn an_empty_store_has_an_overview_and_breaks_nothing(home: &mut impl Home) {
    let process = home.process().await;
    let overview = process.readers.overview().await.unwrap();
    assert_eq!(overview.orders.iter().map(|(_, count)| count).sum::<u64>(), 0);
    assert_eq!(overview.orders.len(), OrderStatus::ALL.len());
    assert_eq!(process.readers.broken_invariants(NOW, 10).await.unwrap(), []);
}
