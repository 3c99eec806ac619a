//! Laws of catalogue and stock: no unit is sold twice, lost or made up, and the ledger says where each went.

use application::ports::{HistoryEntry, LowOnly, ReservationOutcome, StockDemand};
use application::saga::StockStep;
use bus::Verdict;
use domain::{MovementCause, Order, Product, Rejection, ShippingFacts, Sku, UNITS_MAX};
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
    tea.shipping = ShippingFacts {
        weight_g: Some(250),
        hs_code: Some("0902.30".to_owned()),
        origin_country: Some("IN".to_owned()),
        ..ShippingFacts::default()
    };
    let mut replacing = process.unit().await;
    replacing.products().upsert(std::slice::from_ref(&tea)).await.unwrap();
    replacing.commit().await.unwrap();
    let mut reading = process.unit().await;
    let skus = [tea.sku.clone(), Sku::parse("PEPPER").unwrap(), salt.sku.clone()];
    let mut found = reading.products().get_by_skus(&skus).await.unwrap();
    found.sort_by(|one, other| other.sku.as_str().cmp(one.sku.as_str()));
    assert_eq!(found, [tea.clone(), salt.clone()]);
    assert_eq!(reading.products().get_by_ids(&[salt.id]).await.unwrap(), std::slice::from_ref(&salt));
    assert_eq!(reading.products().get_by_id(tea.id).await.unwrap(), Some(tea.clone()));
    assert_eq!(reading.products().get_by_id(product("PEPPER").id).await.unwrap(), None);
    let low = reading.products().get_low_stock_products(10).await.unwrap();
    assert_eq!(low.len(), 2, "nothing is there, so all is low");
    drop(reading);
    let page = process.readers.products(None, 1).await.unwrap();
    assert_eq!((page.items[0].sku.as_str(), page.has_more), ("SALT", true));
    let page = process.readers.products(Some(&salt.sku), 5).await.unwrap();
    assert_eq!((page.items[0].price.minor, page.has_more), (900, false));
    assert_eq!(page.items[0].shipping, tea.shipping.clone().into());
    let mut forgetting = process.unit().await;
    tea.shipping = ShippingFacts::default();
    forgetting.products().upsert(std::slice::from_ref(&tea)).await.unwrap();
    forgetting.commit().await.unwrap();
    assert_eq!(process.unit().await.products().get_by_id(tea.id).await.unwrap(), Some(tea));
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

/// A count says what there is; what was promised beyond that is short, and those that were promised last lack it.
pub async fn a_count_below_what_is_reserved_is_booked_and_the_orders_that_lack_it_are_named(
    home: &mut impl Home,
) {
    let process = home.process().await;
    let products = [product("A"), product("B")];
    stock_up(&process, &products, 7).await;
    let mut orders = Vec::new();
    for number in 1..=3 {
        let order = accepted(&process, number, &products).await;
        hold(&process, &order).await;
        orders.push(order);
    }
    assert_eq!(counted(&process, &products[0], 3).await.short(), 3);
    let level = process.readers.inventory_of(&products[0].sku).await.unwrap().unwrap();
    assert_eq!((level.available, level.reserved, level.short, level.adjusted), (0, 6, 3, -4));
    let page = process.readers.endangered_orders(products[0].id, 9).await.unwrap();
    let lacking: Vec<_> = page
        .items
        .iter()
        .map(|it| (it.order_id, it.external_reference.as_deref(), it.reserved, it.missing))
        .collect();
    let expected =
        [(orders[2].id().0, Some("reference-3"), 2, 2), (orders[1].id().0, Some("reference-2"), 2, 1)];
    assert_eq!((lacking.as_slice(), page.has_more), (&expected[..], false));
    assert!(process.readers.endangered_orders(products[0].id, 1).await.unwrap().has_more);
    assert_eq!(process.readers.endangered_orders(products[1].id, 9).await.unwrap().items, []);
    let refused = reserve(&process, demand(&order(9, &products[..1]))).await;
    assert!(matches!(refused, ReservationOutcome::Short(_)), "what is short is not sold");
    assert_eq!(process.readers.broken_invariants(later(4), 9).await.unwrap(), []);
    stock_up(&process, &products[..1], 4).await;
    let level = process.readers.inventory_of(&products[0].sku).await.unwrap().unwrap();
    assert_eq!(
        (level.available, level.short),
        (1, 0),
        "what comes in makes good what is short, and the rest is for sale"
    );
    assert_eq!(process.readers.broken_invariants(later(4), 9).await.unwrap(), []);
}

/// Nobody buys again what is no longer sold.
pub async fn what_is_no_longer_sold_is_never_low(home: &mut impl Home) {
    let process = home.process().await;
    let (mut gone, kept) = (product("GONE"), product("KEPT"));
    stock_up(&process, &[gone.clone(), kept.clone()], 1).await;
    counted(&process, &gone, 0).await;
    counted(&process, &kept, 0).await;
    assert!(gone.discontinue(later(1)).is_applied());
    let mut unit = process.unit().await;
    unit.products().upsert(std::slice::from_ref(&gone)).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = process.unit().await;
    let low = unit.products().get_low_stock_products(9).await.unwrap();
    assert_eq!(low.iter().map(domain::Inventory::product_id).collect::<Vec<_>>(), [kept.id]);
    drop(unit);
    let page = process.readers.inventory_levels(LowOnly::Yes, None, 9).await.unwrap();
    assert_eq!(page.items.iter().map(|level| level.sku.as_str()).collect::<Vec<_>>(), ["KEPT"]);
    let level = |sku: Sku| async { process.readers.inventory_of(&{ sku }).await.unwrap().unwrap().low };
    assert_eq!((level(gone.sku).await, level(kept.sku).await), (false, true));
}

/// Counts, receipts, orders taken, called off and handed over, in any order: shelf and books stay the same.
pub async fn whatever_happens_to_the_stock_it_is_what_a_model_says_and_breaks_nothing(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A")];
    stock_up(&process, &products, 9).await;
    let (mut shelf, mut promised, mut held) = (9_i64, 0_i64, Vec::new());
    let mut dice = 7_u64;
    for number in 1..=60 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (act, units) = ((dice >> 33) % 6, i64::try_from((dice >> 40) % 9).unwrap());
        match act {
            0 => {
                counted(&process, &products[0], units).await;
                shelf = units;
            }
            1 => {
                stock_up(&process, &products, units + 1).await;
                shelf += units + 1;
            }
            2 | 3 => {
                let order = accepted(&process, number, &products).await;
                let fits = shelf - promised >= 2;
                assert_eq!(
                    hold(&process, &order).await == ReservationOutcome::Reserved,
                    fits,
                    "step {number}"
                );
                if fits {
                    promised += 2;
                    held.push(order);
                }
            }
            _ => {
                let Some(order) = held.pop() else { continue };
                promised -= 2;
                let step = if act == 4 { StockStep::Released } else { StockStep::Shipped };
                shelf -= if act == 4 { 0 } else { 2 };
                let_go(&process, &order, step).await;
            }
        }
        let level = process.readers.inventory_of(&products[0].sku).await.unwrap().unwrap();
        let expected = ((shelf - promised).max(0), promised, (promised - shelf).max(0));
        assert_eq!((level.available, level.reserved, level.short), expected, "step {number}");
        let broken = process.readers.broken_invariants(later(9), 99).await.unwrap();
        assert!(broken.iter().all(|it| it.invariant != 3), "step {number}: {broken:?}");
    }
}

/// Counters at their bounds are told, and what would go beyond is refused.
pub async fn the_most_that_can_be_in_stock_breaks_nothing(home: &mut impl Home) {
    let process = home.process().await;
    let products = [product("A"), product("B")];
    stock_up(&process, &products, UNITS_MAX).await;
    let mut unit = process.unit().await;
    let cause = || MovementCause::Import("more".to_owned());
    for units in [1, UNITS_MAX, i64::MAX, 1 << 62, i64::MIN] {
        let changes = [(products[0].id, units, cause())];
        let refused = unit.inventory().update_available_stock(&changes, NOW).await.unwrap();
        assert!(refused.is_err(), "{units}");
    }
    drop(unit);
    let all = StockDemand { order_id: order_id(1), lines: vec![(products[0].id, UNITS_MAX)] };
    for _ in 0..20 {
        assert_eq!(reserve(&process, all.clone()).await, ReservationOutcome::Reserved);
        let mut unit = process.unit().await;
        unit.inventory().release_reservation(std::slice::from_ref(&all), NOW).await.unwrap();
        unit.commit().await.unwrap();
    }
    let more = StockDemand { order_id: order_id(1), lines: vec![(products[0].id, i64::MAX)] };
    assert!(matches!(reserve(&process, more).await, ReservationOutcome::Short(_)));
    counted(&process, &products[0], 0).await;
    counted(&process, &products[0], UNITS_MAX).await;
    assert_eq!(process.readers.broken_invariants(later(9), 9).await.unwrap(), []);
    process.readers.overview().await.unwrap();
}

async fn counted(process: &Process, product: &Product, units: i64) -> domain::Inventory {
    let mut unit = process.unit().await;
    let mut stock = unit.inventory().lock(&[product.id]).await.unwrap();
    if let Some(movement) = stock[0].count(units, "stocktaking").unwrap() {
        stock[0].apply(&movement, NOW).unwrap();
        unit.products().update_inventory(&stock, &[movement], NOW).await.unwrap();
    }
    unit.commit().await.unwrap();
    stock.remove(0)
}

/// Sets stock aside for an order, and lets its saga know.
async fn hold(process: &Process, order: &Order) -> ReservationOutcome {
    let outcome = reserve(process, demand(order)).await;
    if outcome == ReservationOutcome::Reserved {
        note(process, order, StockStep::Reserved).await;
    }
    outcome
}

async fn let_go(process: &Process, order: &Order, step: StockStep) {
    let demands = [demand(order)];
    let mut unit = process.unit().await;
    match step {
        StockStep::Shipped => unit.inventory().ship_reservation(&demands, NOW).await.unwrap(),
        StockStep::None | StockStep::Reserved | StockStep::Released => {
            unit.inventory().release_reservation(&demands, NOW).await.unwrap();
        }
    }
    unit.commit().await.unwrap();
    note(process, order, step).await;
}

async fn note(process: &Process, order: &Order, step: StockStep) {
    let mut unit = process.unit().await;
    let mut saga = stored_saga(unit.as_mut(), order).await;
    saga.stock = step;
    unit.update_sagas(&[saga], NOW).await.unwrap();
    unit.set_timers(vec![timer(order.id().0.as_u128() & 0xff, "order", 900)]).await.unwrap();
    unit.commit().await.unwrap();
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

/// Oldest first, page by page, only what is held at this moment, and of this product only.
pub async fn who_holds_a_product_is_told_oldest_first(home: &mut impl Home) {
    let process = home.process().await;
    let (a, b) = (product("A"), product("B"));
    stock_up(&process, &[a.clone(), b.clone()], 100).await;
    let mut orders = Vec::new();
    for number in 1..=6_u128 {
        let lines = if number == 3 { vec![b.clone()] } else { vec![a.clone(), b.clone()] };
        orders.push(accepted(&process, number, &lines).await);
    }
    let mut unit = process.unit().await;
    let mut sagas = Vec::new();
    for order in orders.iter().take(5) {
        let mut saga = stored_saga(unit.as_mut(), order).await;
        saga.stock = if order.id() == order_id(2) { StockStep::Released } else { StockStep::Reserved };
        sagas.push(saga);
    }
    unit.update_sagas(&sagas, NOW).await.unwrap();
    unit.history()
        .append(&[HistoryEntry { at: later(7), ..entry(&orders[0], "InventoryReserved") }])
        .await
        .unwrap();
    unit.commit().await.unwrap();
    for size in [1, 2, 9] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = process.readers.reservations(a.id, after, size).await.unwrap();
            assert!(page.items.len() <= size);
            found.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let told: Vec<u128> = found.iter().map(|it| it.order_id.as_u128() & 0xffff).collect();
        assert_eq!(told, [1, 4, 5], "by {size}");
        assert!(found.iter().all(|it| it.units == 2 && it.customer_id == "alfki" && it.status == "pending"));
        assert_eq!((found[0].since, found[1].since), (later(7), NOW));
        assert_eq!(found[0].external_reference.as_deref(), Some("reference-1"));
    }
    let of_b = process.readers.reservations(b.id, None, 9).await.unwrap();
    assert_eq!(of_b.items.len(), 4, "{of_b:?}");
    let of_none = process.readers.reservations(product("C").id, None, 9).await.unwrap();
    assert_eq!((of_none.items, of_none.next), (Vec::new(), None));
}
