//! Catalogue, stock and reservations.

use std::sync::Arc;

use application::commands::{
    AdjustStockCommand, ReservationVerdict, ReserveInventoryCommand, StockChange, StockReply,
    reserve_inventory,
};
use application::messages::Demand;
use application::ports::Readers;
use domain::{OrderId, ProductId, Rejection};
use orderwright_testkit::simulation::sku;
use tokio::task::JoinSet;

use super::shop::{Shop, catalogue};

fn change(number: u64, change: StockChange) -> AdjustStockCommand {
    AdjustStockCommand { sku: sku(number), change, reason: "count".to_owned(), actor: "warehouse".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn importing_the_same_catalogue_again_leaves_the_stock_alone() {
    let shop = Shop::open().await;
    shop.run(&change(0, StockChange::Receive(5))).await;
    assert_eq!(shop.run(&catalogue()).await, 0);
    assert_eq!(shop.stock(0).await.available, 15);
}

#[tokio::test(start_paused = true)]
async fn goods_received_and_counts_corrected_add_up() {
    let shop = Shop::open().await;
    let StockReply::Done { inventory, .. } = shop.run(&change(0, StockChange::Receive(5))).await else {
        panic!()
    };
    assert_eq!(inventory.available(), 15);
    shop.run(&change(0, StockChange::Adjust(-15))).await;
    let stock = shop.stock(0).await;
    assert_eq!((stock.available, stock.received, stock.adjusted), (0, 15, -15));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_counted_below_zero_and_nothing_comes_of_nothing() {
    let shop = Shop::open().await;
    for refused in
        [StockChange::Adjust(-11), StockChange::Adjust(0), StockChange::Receive(0), StockChange::Receive(-1)]
    {
        let reply = shop.run(&change(0, refused)).await;
        assert!(
            matches!(
                reply,
                StockReply::Rejected(Rejection::InsufficientStock { .. } | Rejection::InvalidMovement { .. })
            ),
            "{reply:?}"
        );
    }
    assert_eq!(shop.stock(0).await.available, 10);
}

#[tokio::test(start_paused = true)]
async fn a_product_that_nobody_knows_has_no_stock() {
    let shop = Shop::open().await;
    assert_eq!(shop.run(&change(7, StockChange::Receive(1))).await, StockReply::UnknownSku);
}

/// Lets the shop set stock aside for these orders: units of products 0 and 1.
async fn reserve(shop: &Shop, wanted: &[(OrderId, i64, i64)]) -> Vec<ReservationVerdict> {
    let demand = |number, quantity| Demand { product_id: ProductId::of(&sku(number)).0, quantity };
    let command = |&(order_id, zero, one): &(OrderId, i64, i64)| {
        let lines = [demand(0, zero), demand(1, one)].into_iter().filter(|line| line.quantity > 0).collect();
        ReserveInventoryCommand { order_id, lines }
    };
    let commands: Vec<_> = wanted.iter().map(command).collect();
    let mut unit = shop.unit().await;
    let verdicts = reserve_inventory(unit.as_mut(), &commands, shop.context.clock.now()).await.unwrap();
    unit.commit().await.unwrap();
    verdicts
}

#[tokio::test(start_paused = true)]
async fn an_order_gets_all_its_lines_or_none_and_the_next_gets_what_is_left() {
    let shop = Shop::open().await;
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(shop.order(number, 1).await.order_id);
    }
    let verdicts = reserve(&shop, &[(ids[0], 6, 3), (ids[1], 1, 1), (ids[2], 4, 0)]).await;
    let short = "P-1: requested 1, available 0".to_owned();
    assert_eq!(
        verdicts,
        [ReservationVerdict::Reserved, ReservationVerdict::Short(short), ReservationVerdict::Reserved]
    );
    let (zero, one) = (shop.stock(0).await, shop.stock(1).await);
    assert_eq!((zero.available, zero.reserved, one.available, one.reserved), (0, 10, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_twice_in_a_batch_reserves_once() {
    let shop = Shop::open().await;
    let id = shop.order(1, 4).await.order_id;
    let verdicts = reserve(&shop, &[(id, 4, 0), (id, 4, 0)]).await;
    assert_eq!(verdicts, [ReservationVerdict::Reserved, ReservationVerdict::NotWanted]);
    assert_eq!(shop.stock(0).await.reserved, 4);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_nobody_knows_wants_nothing() {
    let shop = Shop::open().await;
    let verdicts = reserve(&shop, &[(OrderId(uuid::Uuid::max()), 1, 1)]).await;
    assert_eq!(verdicts, [ReservationVerdict::Unknown]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_buyers_at_once_a_stock_of_a_hundred_serves_exactly_a_hundred() {
    let shop = Arc::new(Shop::open().await);
    shop.run(&change(0, StockChange::Receive(90))).await;
    let mut buyers = JoinSet::new();
    for number in 1..=1_000 {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move {
            let id = shop.order(number, 1).await.order_id;
            reserve(&shop, &[(id, 1, 0)]).await.pop().unwrap()
        });
    }
    let verdicts = buyers.join_all().await;
    let sold = verdicts.iter().filter(|verdict| **verdict == ReservationVerdict::Reserved).count();
    let told = ReservationVerdict::Short("P-0: requested 1, available 0".to_owned());
    let losers = verdicts.iter().filter(|verdict| **verdict == told).count();
    assert_eq!((sold, losers), (100, 900));
    let stock = shop.stock(0).await;
    assert_eq!((stock.available, stock.reserved), (0, 100));
    let ledger = shop.store.movements(ProductId(stock.product_id), None, 200).await.unwrap();
    assert_eq!(ledger.len(), 102, "what came with the catalogue, what was received, and one for each sale");
}
