//! Orders that wait for their goods: found by what they want, oldest first, and only while they wait.

use application::ports::{AnyUnit, StockDemand};
use application::saga::{OrderProcessingSaga, SagaState};
use domain::{Order, OrderId, ProductId, WhenShort};

use super::Home;
use super::stage::{NOW, accepted, demand, later, product, stock_up, stored_saga};

async fn found(
    unit: &mut AnyUnit,
    products: &[ProductId],
    after: Option<OrderId>,
    max: usize,
) -> Vec<StockDemand> {
    unit.orders().awaiting_stock(products, after, max).await.expect("the store is there")
}

/// In the unit that has them wait, and in every process afterwards.
pub async fn who_waits_is_found_by_what_it_wants_and_oldest_first(home: &mut impl Home) {
    let process = home.process().await;
    let [a, b, c] = ["A", "B", "C"].map(product);
    let both = [a.clone(), b.clone(), a.clone()];
    let orders = [
        accepted(&process, 3, &both).await,
        accepted(&process, 1, std::slice::from_ref(&b)).await,
        accepted(&process, 2, std::slice::from_ref(&a)).await,
    ];
    let passing = accepted(&process, 4, &both).await;
    let mut unit = process.unit().await;
    assert_eq!(found(unit.as_mut(), &[a.id, b.id], None, 9).await, []);
    for order in &orders {
        put(unit.as_mut(), order, SagaState::AwaitingStock).await;
    }
    put(unit.as_mut(), &passing, SagaState::InventoryReserved).await;
    let [first, second, third] = [&orders[1], &orders[2], &orders[0]].map(demand);
    assert_eq!(third.lines.iter().map(|(_, units)| units).sum::<i64>(), 6);
    let of_a = [second.clone(), third.clone()];
    assert_eq!(found(unit.as_mut(), &[a.id], None, 9).await, of_a);
    unit.commit().await.unwrap();
    for process in [process.clone(), home.process().await] {
        let mut unit = process.unit().await;
        let all = [first.clone(), second.clone(), third.clone()];
        assert_eq!(found(unit.as_mut(), &[a.id, b.id, c.id], None, 9).await, all);
        assert_eq!(found(unit.as_mut(), &[a.id, b.id], None, 2).await, all[..2]);
        assert_eq!(found(unit.as_mut(), &[a.id, b.id], Some(second.order_id), 9).await, all[2..]);
        assert_eq!(found(unit.as_mut(), &[c.id], None, 9).await, []);
        assert_eq!(found(unit.as_mut(), &[], None, 9).await, []);
    }
    let mut unit = process.unit().await;
    put(unit.as_mut(), &orders[1], SagaState::Created).await;
    put(unit.as_mut(), &orders[2], SagaState::Failed).await;
    unit.commit().await.unwrap();
    let mut unit = home.process().await.unit().await;
    assert_eq!(found(unit.as_mut(), &[a.id, b.id], None, 9).await, [third]);
}

async fn put(unit: &mut AnyUnit, order: &Order, state: SagaState) {
    let saga = OrderProcessingSaga { state, ..stored_saga(unit, order).await };
    unit.update_sagas(&[saga], later(1)).await.expect("the store is there");
}

/// With the row of the saga from its first moment on.
pub async fn a_saga_knows_whether_its_order_waits_for_its_goods(home: &mut impl Home) {
    let process = home.process().await;
    let order = super::stage::order(1, &[product("A")]);
    let saga = OrderProcessingSaga { when_short: WhenShort::Wait, ..super::stage::saga(&order) };
    let mut unit = process.unit().await;
    let row = application::ports::NewOrderRow {
        order: order.clone(),
        payment_token: None,
        source: None,
        details: None,
    };
    unit.orders().create(&[row]).await.unwrap();
    unit.insert_sagas(std::slice::from_ref(&saga), NOW).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = home.process().await.unit().await;
    assert_eq!(stored_saga(unit.as_mut(), &order).await, saga);
}

/// What is for sale, without what is set aside; what nobody knows has none.
pub async fn what_is_for_sale_is_told_of_the_products_that_exist(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A"), product("B")];
    stock_up(&process, &products, 7).await;
    let order = accepted(&process, 1, &products[..1]).await;
    let mut unit = process.unit().await;
    unit.inventory().reserve_stock(&[demand(&order)], NOW).await.unwrap();
    let ids = [products[0].id, products[1].id, product("C").id];
    let mut told = unit.inventory().available(&ids).await.unwrap();
    told.sort_unstable();
    let mut wanted = vec![(products[0].id, 5), (products[1].id, 7)];
    wanted.sort_unstable();
    assert_eq!(told, wanted);
}
