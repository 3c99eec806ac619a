//! Laws of catalogue and stock: no unit is sold twice, lost or made up, and the ledger says where each went.

use application::ports::{LowOnly, ReservationOutcome, StockDemand};
use bus::Verdict;
use domain::{MovementCause, Rejection, Sku};
use tokio::task::JoinSet;

use super::stage::*;
use super::{Home, Process};

/// Adding is replacing; nothing is in stock by being in the catalogue.
pub async fn products_are_added_and_replaced_and_a_new_one_has_an_empty_stock(home: &mut impl Home) {
    let process = home.process().await;
    let (mut tea, salt) = (product("TEA"), product("SALT"));
    let mut adding = process.unit().await;
    adding.products().upsert(&[tea.clone(), salt.clone()]).await.unwrap();
    adding.commit().await.unwrap();
    let _ = tea.reprice(usd(900), later(9)).unwrap();
    let mut replacing = process.unit().await;
    replacing.products().upsert(std::slice::from_ref(&tea)).await.unwrap();
    replacing.commit().await.unwrap();
    let mut reading = process.unit().await;
    let skus = [tea.sku.clone(), Sku::parse("PEPPER").unwrap(), salt.sku.clone()];
    let mut found = reading.products().get_by_skus(&skus).await.unwrap();
    found.sort_by(|one, other| other.sku.as_str().cmp(one.sku.as_str()));
    assert_eq!(found, [tea.clone(), salt.clone()]);
    assert_eq!(reading.products().get_by_ids(&[salt.id]).await.unwrap(), std::slice::from_ref(&salt));
    assert_eq!(reading.products().get_by_id(tea.id).await.unwrap(), Some(tea));
    assert_eq!(reading.products().get_by_id(product("PEPPER").id).await.unwrap(), None);
    let low = reading.products().get_low_stock_products(10).await.unwrap();
    assert_eq!(low.len(), 2, "nothing is there, so all is low");
    drop(reading);
    let page = process.readers.products(None, 1).await.unwrap();
    assert_eq!((page.items[0].sku.as_str(), page.has_more), ("SALT", true));
    let page = process.readers.products(Some(&salt.sku), 5).await.unwrap();
    assert_eq!((page.items[0].price.minor, page.has_more), (900, false));
    assert_eq!(process.readers.inventory_levels(LowOnly::Yes, None, 5).await.unwrap().items.len(), 2);
}

/// By sets, each order wholly or not at all.
pub async fn stock_is_reserved_released_and_shipped_by_sets_and_the_ledger_adds_up(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A"), product("B")];
    stock_up(&process, &products, 5).await;
    let demands: Vec<StockDemand> = (1..=3).map(|number| demand(&order(number, &products))).collect();
    let mut unit = process.unit().await;
    let outcomes = unit.inventory().reserve_stock(&demands, later(1)).await.unwrap();
    assert!(matches!(outcomes[..2], [ReservationOutcome::Reserved, ReservationOutcome::Reserved]));
    let ReservationOutcome::Short(short) = &outcomes[2] else { panic!("only four of five are whole orders") };
    assert_eq!((short.len(), short[0].available, short[0].requested), (2, 1, 2));
    unit.inventory().release_reservation(&demands[..1], later(2)).await.unwrap();
    unit.inventory().ship_reservation(&demands[1..2], later(3)).await.unwrap();
    unit.commit().await.unwrap();
    let level = process.readers.inventory_of(&products[0].sku).await.unwrap().unwrap();
    assert_eq!((level.available, level.reserved, level.shipped, level.received), (3, 0, 2, 5));
    let ledger = process.readers.movements(products[0].id, None, 10).await.unwrap();
    let kinds: Vec<&str> = ledger.iter().map(|movement| movement.kind.as_str()).collect();
    assert_eq!(kinds, ["shipped", "released", "reserved", "reserved", "received"]);
    assert_eq!(ledger[4].cause, "import: first");
    let page = process.readers.movements(products[0].id, Some(ledger[1].position), 1).await.unwrap();
    assert_eq!(page, ledger[2..3]);
    assert_eq!(process.readers.broken_invariants(later(4), 9).await.unwrap(), []);
}

/// All or none.
pub async fn an_adjustment_below_zero_is_a_rejection_and_changes_nothing(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A"), product("B")];
    stock_up(&process, &products, 5).await;
    let adjust = |units| MovementCause::Adjustment { reason: format!("{units} missed") };
    let mut unit = process.unit().await;
    let changes = [(products[1].id, -5, adjust(-5)), (products[0].id, -6, adjust(-6))];
    let refused = unit.inventory().update_available_stock(&changes, NOW).await.unwrap().unwrap_err();
    assert!(matches!(refused, Rejection::InsufficientStock { available: 5, .. }));
    unit.commit().await.unwrap();
    for product in &products {
        assert_eq!(process.readers.inventory_of(&product.sku).await.unwrap().unwrap().available, 5);
    }
}

/// A flash sale: twenty want what ten can have.
pub async fn many_that_want_the_same_units_at_once_get_no_more_than_there_are(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A"), product("B")];
    stock_up(&process, &products, 20).await;
    let mut wanting = JoinSet::new();
    for number in 0..20 {
        let (process, demand) = (process.clone(), demand(&order(number, &products)));
        wanting.spawn(async move { reserve(&process, demand).await });
    }
    let outcomes = wanting.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == ReservationOutcome::Reserved).count(), 10);
    for product in &products {
        let level = process.readers.inventory_of(&product.sku).await.unwrap().unwrap();
        assert_eq!((level.available, level.reserved, level.low), (0, 20, true));
        assert_eq!(process.readers.movements(product.id, None, 99).await.unwrap().len(), 11);
    }
}

/// Decides again as long as somebody else was quicker.
async fn reserve(process: &Process, demand: StockDemand) -> ReservationOutcome {
    loop {
        let mut unit = process.unit().await;
        let reserved = async {
            let outcomes = unit.inventory().reserve_stock(std::slice::from_ref(&demand), NOW).await?;
            unit.commit().await.map(|()| outcomes)
        };
        match reserved.await {
            Ok(outcomes) => return outcomes.into_iter().next().unwrap(),
            Err(fault) => assert_eq!(fault.verdict, Verdict::Conflict, "{fault}"),
        }
    }
}
