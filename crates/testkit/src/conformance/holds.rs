//! Holds of orders: kept whole, released once, and no order waits for one that nobody can release.

use application::order_details::OrderDetails;
use application::ports::{AnyUnit, NewOrderRow};
use application::saga::{OrderProcessingSaga, SagaState};
use domain::{CustomerId, Hold, HoldId, HoldPoint, HoldRelease, Order, OrderId, OrderStatus};
use jiff::Timestamp;
use uuid::Uuid;

use super::stage::{NOW, ROAD, accepted, create, later, order, product, saga, step, stored_saga};
use super::{Home, Process};

fn hold(number: u128, order_id: OrderId, before: HoldPoint) -> Hold {
    Hold {
        id: HoldId(Uuid::from_u128(number)),
        order_id,
        before,
        reason: format!("reason \"{number}\", ünïcode"),
        actor: number.is_multiple_of(2).then(|| "eve".to_owned()),
        placed_at: later(i64::try_from(number).expect("a small number")),
        released: None,
    }
}

fn release(actor: &str, at: Timestamp) -> HoldRelease {
    HoldRelease { actor: actor.to_owned(), note: "looked at it".to_owned(), at }
}

async fn holds_of(unit: &mut AnyUnit, order: &Order) -> Vec<Hold> {
    unit.holds().get(&[order.id()]).await.expect("the store is there")
}

/// In the unit that places them, and in every process afterwards.
pub async fn holds_come_out_oldest_first_and_whoever_releases_one_first_has_released_it(
    home: &mut impl Home,
) {
    let process = home.process().await;
    let orders = [accepted(&process, 1, &[product("A")]).await, accepted(&process, 2, &[product("A")]).await];
    let placed = [
        hold(3, orders[0].id(), HoldPoint::Shipping),
        hold(1, orders[0].id(), HoldPoint::Payment),
        hold(2, orders[1].id(), HoldPoint::Payment),
    ];
    let mut unit = process.unit().await;
    unit.holds().place(&placed).await.unwrap();
    assert_eq!(holds_of(unit.as_mut(), &orders[0]).await, [placed[1].clone(), placed[0].clone()]);
    unit.commit().await.unwrap();

    let first = release("ann", later(10));
    let mut unit = process.unit().await;
    unit.holds().release(&placed[..1], &first).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = process.unit().await;
    unit.holds().release(&placed[..1], &release("bob", later(20))).await.unwrap();
    let of_another = Hold { order_id: orders[1].id(), ..placed[0].clone() };
    unit.holds().release(&[of_another], &release("bob", later(20))).await.unwrap();
    unit.commit().await.unwrap();

    let released = Hold { released: Some(first), ..placed[0].clone() };
    for process in [process.clone(), home.process().await] {
        let mut unit = process.unit().await;
        assert_eq!(holds_of(unit.as_mut(), &orders[0]).await, [placed[1].clone(), released.clone()]);
        assert_eq!(holds_of(unit.as_mut(), &orders[1]).await, [placed[2].clone()]);
    }
    let mut unit = process.unit().await;
    let ids: Vec<OrderId> = orders.iter().map(Order::id).collect();
    let all = unit.holds().get(&ids).await.unwrap();
    assert_eq!(
        all.iter().map(|hold| hold.id).collect::<Vec<_>>(),
        [1, 3, 2].map(|it| HoldId(Uuid::from_u128(it)))
    );
    unit.holds().release(&all, &release("saga", later(30))).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = process.unit().await;
    let ended: Vec<_> =
        holds_of(unit.as_mut(), &orders[0]).await.into_iter().filter_map(|hold| hold.released).collect();
    assert_eq!(ended.iter().map(|release| release.actor.as_str()).collect::<Vec<_>>(), ["saga", "ann"]);
    drop(unit);
    let shown = process.readers.order(orders[0].id()).await.unwrap().expect("it is there").holds;
    let shown: Vec<_> = shown.iter().map(|hold| (hold.before, hold.released_by.as_deref())).collect();
    assert_eq!(shown, [("payment", Some("saga")), ("shipping", Some("ann"))]);
}

/// With the row of the saga from its first moment on.
pub async fn a_saga_knows_before_which_steps_its_order_has_holds(home: &mut impl Home) {
    let process = home.process().await;
    let order = order(1, &[product("A")]);
    let mut unit = process.unit().await;
    create(unit.as_mut(), &order).await.unwrap();
    unit.commit().await.unwrap();
    let held = accepted_with_holds(&process, 2).await;
    for (order, points) in [(&order, &[][..]), (&held, HoldPoint::ALL)] {
        let mut unit = home.process().await.unit().await;
        let saga = stored_saga(unit.as_mut(), order).await;
        assert_eq!(saga.holds, points.iter().copied().collect());
    }
    for left in [&[HoldPoint::Shipping][..], &[]] {
        let mut unit = process.unit().await;
        let mut saga = stored_saga(unit.as_mut(), &held).await;
        saga.holds = left.iter().copied().collect();
        unit.update_sagas(&[saga.clone()], later(1)).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(stored_saga(home.process().await.unit().await.as_mut(), &held).await, saga);
    }
}

async fn accepted_with_holds(process: &Process, number: u128) -> Order {
    let order = order(number, &[product("A")]);
    let mut unit = process.unit().await;
    let row = NewOrderRow { order: order.clone(), payment_token: None, source: None, details: None };
    unit.orders().create(&[row]).await.unwrap();
    let saga = OrderProcessingSaga { holds: HoldPoint::ALL.iter().copied().collect(), ..saga(&order) };
    unit.insert_sagas(&[saga], NOW).await.unwrap();
    unit.commit().await.unwrap();
    order
}

/// An order that is created with holds has them from its first moment on, and so do its details and lines.
pub async fn what_belongs_to_an_order_is_stored_in_the_unit_that_creates_it(home: &mut impl Home) {
    let process = home.process().await;
    let order = order(1, &[product("A")]);
    let mut unit = process.unit().await;
    create(unit.as_mut(), &order).await.unwrap();
    let placed = hold(1, order.id(), HoldPoint::Payment);
    unit.holds().place(std::slice::from_ref(&placed)).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = home.process().await.unit().await;
    assert_eq!(holds_of(unit.as_mut(), &order).await, [placed]);
    drop(unit);

    let order = super::stage::order(2, &[product("A")]);
    let fewer = order.cancel_lines(&[(order.lines()[0].sku.clone(), Some(1))], None, NOW).unwrap().order;
    let details = OrderDetails { tags: vec!["gift".to_owned()], ..OrderDetails::default() }.to_stored();
    let mut unit = process.unit().await;
    create(unit.as_mut(), &order).await.unwrap();
    unit.orders().put_lines(&fewer).await.unwrap();
    unit.orders().put_details(order.id(), &details).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = home.process().await.unit().await;
    assert_eq!(unit.orders().get_by_id(order.id()).await.unwrap(), Some(fewer));
    assert_eq!(unit.orders().details(&[order.id()]).await.unwrap(), [(order.id(), details)]);
}

/// It has no timer, so a hold must be there that a person can release, and the saga must know of it.
pub async fn an_order_on_hold_without_a_hold_is_silent(home: &mut impl Home) {
    let process = home.process().await;
    let order = accepted(&process, 1, &[product("A")]).await;
    let placed = hold(1, order.id(), HoldPoint::Payment);
    let mut unit = process.unit().await;
    let holds = [HoldPoint::Payment].into_iter().collect();
    let saga =
        OrderProcessingSaga { state: SagaState::OnHold, holds, ..stored_saga(unit.as_mut(), &order).await };
    unit.update_sagas(std::slice::from_ref(&saga), NOW).await.unwrap();
    unit.holds().place(std::slice::from_ref(&placed)).await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(process.readers.broken_invariants(later(1), 10).await.unwrap(), []);
    let mut unit = process.unit().await;
    unit.holds().release(std::slice::from_ref(&placed), &release("ann", later(2))).await.unwrap();
    unit.commit().await.unwrap();
    let broken = process.readers.broken_invariants(later(1), 10).await.unwrap();
    let told: Vec<_> = broken.iter().map(|view| (view.invariant, view.detail.as_str())).collect();
    let silent = "is on_hold, and neither a timer nor a hold will ever move it";
    let differs = "is on_hold, and its saga knows of other holds than there are";
    assert_eq!(told, [(1, silent), (1, differs)]);
    let mut unit = process.unit().await;
    unit.holds().place(&[hold(2, order.id(), HoldPoint::Shipping)]).await.unwrap();
    unit.commit().await.unwrap();
    let broken = process.readers.broken_invariants(later(1), 10).await.unwrap();
    assert_eq!(broken.iter().map(|view| view.detail.as_str()).collect::<Vec<_>>(), [differs], "{broken:?}");
}

/// Only a delivered order makes a customer known.
pub async fn customers_to_whom_something_was_delivered_are_told_apart(home: &mut impl Home) {
    let process = home.process().await;
    let order = accepted(&process, 1, &[product("A")]).await;
    let customers = ["alfki", "anatr"].map(|name| CustomerId::parse(name).expect("a name"));
    let known = async || {
        let mut unit = process.unit().await;
        unit.orders().delivered_to(&customers).await.unwrap()
    };
    assert_eq!(known().await, []);
    let mut unit = process.unit().await;
    for pair in ROAD.windows(2).take_while(|pair| pair[0] != OrderStatus::Delivered) {
        unit.orders().update(&[step(&order, pair[0], pair[1])]).await.unwrap();
    }
    unit.commit().await.unwrap();
    assert_eq!(known().await, customers[..1]);
}
