//! Returns of orders: kept whole, ended once, paid back once, and no more of them than was sent.

use application::ports::AnyUnit;
use domain::{
    Arrival, MovementCause, Order, OrderId, OrderReturn, OrderStatus, Restock, ReturnEnd, ReturnId,
    ReturnLine, ReturnRefund, ReturnStatus,
};
use uuid::Uuid;

use super::stage::{ROAD, accepted, later, product, step, stock_up};
use super::{Home, Process};

/// A return of so many units of each line of an order.
fn awaited(number: u128, order: &Order, quantity: i64) -> OrderReturn {
    let line = |line: &domain::OrderLine| ReturnLine {
        product_id: line.product_id,
        sku: line.sku.clone(),
        quantity,
        received: 0,
        restocked: 0,
    };
    OrderReturn {
        id: ReturnId(Uuid::from_u128(number)),
        order_id: order.id(),
        status: ReturnStatus::Requested,
        reason: format!("reason \"{number}\", ünïcode"),
        actor: number.is_multiple_of(2).then(|| "eve".to_owned()),
        requested_at: later(i64::try_from(number).expect("a small number")),
        lines: order.lines().iter().map(line).collect(),
        end: None,
        refund: None,
    }
}

fn end(actor: &str, at: i64) -> ReturnEnd {
    ReturnEnd { actor: actor.to_owned(), note: "looked at it".to_owned(), at: later(at) }
}

async fn returns_of(unit: &mut AnyUnit, order: &Order) -> Vec<OrderReturn> {
    unit.returns().get(&[order.id()]).await.expect("the store is there")
}

/// In the unit that asks for them, and in every process afterwards.
pub async fn returns_come_out_oldest_first_and_end_once(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A"), product("B")];
    let orders = [accepted(&process, 1, &products).await, accepted(&process, 2, &products).await];
    let asked = [awaited(3, &orders[0], 1), awaited(1, &orders[0], 1), awaited(2, &orders[1], 2)];
    let mut unit = process.unit().await;
    unit.returns().request(&asked).await.unwrap();
    assert_eq!(returns_of(unit.as_mut(), &orders[0]).await, [asked[1].clone(), asked[0].clone()]);
    unit.commit().await.unwrap();

    let mut received = asked[0].clone();
    let arrived = [Arrival { sku: products[0].sku.clone(), received: 1, restocked: Some(0) }];
    received.receive(&arrived, Restock::All, end("ann", 10)).unwrap();
    received.refund = Some(ReturnRefund { key: "refund-1".to_owned(), minor: 700, paid_at: None });
    let mut cancelled = asked[2].clone();
    cancelled.cancel(end("bob", 11)).unwrap();
    let mut unit = process.unit().await;
    unit.returns().end(&received).await.unwrap();
    unit.returns().end(&cancelled).await.unwrap();
    assert_eq!(returns_of(unit.as_mut(), &orders[0]).await[1], received);
    unit.commit().await.unwrap();

    let mut once_more = asked[0].clone();
    once_more.receive(&[], Restock::All, end("bob", 20)).unwrap();
    let of = |order: &Order, key: &str| (order.id(), key.to_owned());
    let mut unit = process.unit().await;
    unit.returns().end(&once_more).await.unwrap();
    let strangers = [of(&orders[1], "refund-1"), of(&orders[0], "refund-2")];
    unit.returns().refunded(&strangers, later(20)).await.unwrap();
    unit.returns().refunded(&[of(&orders[0], "refund-1")], later(21)).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = process.unit().await;
    unit.returns().refunded(&[of(&orders[0], "refund-1")], later(22)).await.unwrap();
    unit.commit().await.unwrap();

    let paid = ReturnRefund { paid_at: Some(later(21)), ..received.refund.clone().expect("it is asked for") };
    let received = OrderReturn { refund: Some(paid), ..received };
    for process in [process.clone(), home.process().await] {
        let mut unit = process.unit().await;
        let ids: Vec<OrderId> = orders.iter().map(Order::id).collect();
        let all = unit.returns().get(&ids).await.unwrap();
        assert_eq!(all, [asked[1].clone(), received.clone(), cancelled.clone()]);
        drop(unit);
        let shown = process.readers.order(orders[0].id()).await.unwrap().expect("it is there").returns;
        let shown: Vec<_> =
            shown.iter().map(|it| (it.status, it.refunded_at, it.lines[0].received)).collect();
        assert_eq!(shown, [("requested", None, 0), ("received", Some(later(21)), 1)]);
    }
}

/// What is for sale again is booked as received for its order.
pub async fn more_that_came_back_than_was_sent_is_told_and_so_is_stock_that_the_ledger_does_not_have(
    home: &mut impl Home,
) {
    let process = home.process().await;
    let products = [product("A")];
    stock_up(&process, &products, 9).await;
    let order = accepted(&process, 1, &products).await;
    let all = awaited(1, &order, 2);
    let mut unit = process.unit().await;
    unit.returns().request(std::slice::from_ref(&all)).await.unwrap();
    unit.commit().await.unwrap();
    let nothing_sent = "has 2 units of a product back or awaited, of 0 that were sent; 0 are for sale again, and its ledger says 0";
    assert_eq!(told(&process).await, [nothing_sent]);

    let mut unit = process.unit().await;
    for pair in ROAD.windows(2) {
        unit.orders().update(&[step(&order, pair[0], pair[1])]).await.unwrap();
    }
    unit.commit().await.unwrap();
    assert_eq!(ROAD.last(), Some(&OrderStatus::Delivered));
    assert_eq!(told(&process).await, [""; 0]);

    let mut received = all;
    received.receive(&[], Restock::All, end("ann", 9)).unwrap();
    let mut unit = process.unit().await;
    unit.returns().end(&received).await.unwrap();
    unit.commit().await.unwrap();
    let unbooked = "has 2 units of a product back or awaited, of 2 that were sent; 2 are for sale again, and its ledger says 0";
    assert_eq!(told(&process).await, [unbooked]);

    let mut unit = process.unit().await;
    let booked = [(products[0].id, 2, MovementCause::Order(order.id()))];
    unit.inventory().update_available_stock(&booked, later(9)).await.unwrap().unwrap();
    unit.commit().await.unwrap();
    assert_eq!(told(&process).await, [""; 0]);

    let mut unit = process.unit().await;
    unit.returns().request(&[awaited(2, &order, 1)]).await.unwrap();
    unit.commit().await.unwrap();
    let too_many = "has 3 units of a product back or awaited, of 2 that were sent; 2 are for sale again, and its ledger says 2";
    assert_eq!(told(&process).await, [too_many]);
}

/// What is not as it must be with what comes back.
async fn told(process: &Process) -> Vec<String> {
    let broken = process.readers.broken_invariants(later(30), 99).await.expect("the store is there");
    let about_returns = broken.into_iter().filter(|view| view.detail.contains("back or awaited"));
    about_returns
        .map(|view| {
            assert_eq!(view.invariant, 3);
            view.detail
        })
        .collect()
}
