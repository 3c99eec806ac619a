//! Laws of the listing of orders: whatever is asked for together, the pages are what a sieve leaves of all orders, each once
//! and in order.

use application::ports::{
    NewOrderRow, OrderFilter, OrderPage, OrderSort, OrderView, SagaFilter, SagaPage, StatusMove,
};
use application::saga::{OrderProcessingSaga, SagaState};
use domain::{Dispute, Order, OrderChange, OrderStatus, Payment, Product, Shipment, Sku};
use jiff::Timestamp;

use super::stage::*;
use super::{Home, Process};

const SORTS: [OrderSort; 4] = [
    OrderSort::OldestFirst,
    OrderSort::NewestFirst,
    OrderSort::EarliestChangeFirst,
    OrderSort::LatestChangeFirst,
];

/// An order as it is shown, with what is not shown in a listing.
struct Known {
    view: OrderView,
    skus: Vec<String>,
}

/// Every combination of what can be asked for, in every order, a page at a time.
pub async fn the_pages_of_every_listing_are_what_a_sieve_leaves_of_all_orders(home: &mut impl Home) {
    let process = home.process().await;
    let all = many_orders(&process).await;
    for filter in filters() {
        for sort in SORTS.into_iter().filter(|sort| filter.find.is_none() || !sort.is_by_change()) {
            let filter = OrderFilter { sort, ..filter.clone() };
            let wanted: Vec<_> = sifted(&all, &filter);
            for size in [1, 4, 99] {
                assert_eq!(walked(&process, filter.clone(), size).await, wanted, "{filter:?} by {size}");
            }
        }
    }
}

/// By acceptance an order keeps its place; by change it is met again behind those that were before.
pub async fn an_order_that_changes_while_its_listing_is_read_is_not_lost(home: &mut impl Home) {
    let process = home.process().await;
    let mut orders = Vec::new();
    for number in 1..=4 {
        orders.push(accepted(&process, number, &[product("A")]).await);
    }
    let first = |sort| OrderFilter { sort, ..OrderFilter::default() };
    let by_id = process.readers.orders(&first(OrderSort::OldestFirst), 2).await.unwrap();
    let by_change = process.readers.orders(&first(OrderSort::EarliestChangeFirst), 2).await.unwrap();
    assert_eq!((ids_of(&by_id), ids_of(&by_change)), (vec![1, 2], vec![1, 2]));
    let cancelled = step(&orders[0], OrderStatus::Pending, OrderStatus::Cancelled);
    let validated = step(&orders[3], OrderStatus::Pending, OrderStatus::Validated);
    let mut unit = process.unit().await;
    unit.orders().update(&[at(cancelled, later(9)), validated]).await.unwrap();
    unit.commit().await.unwrap();
    let rest = async |page: OrderPage, sort| {
        let filter = OrderFilter { after: page.next, ..first(sort) };
        ids_of(&process.readers.orders(&filter, 9).await.unwrap())
    };
    assert_eq!(rest(by_id, OrderSort::OldestFirst).await, [3, 4]);
    assert_eq!(rest(by_change, OrderSort::EarliestChangeFirst).await, [3, 4, 1]);
    let since = OrderFilter {
        updated_from: Some(later(5)),
        sort: OrderSort::EarliestChangeFirst,
        ..OrderFilter::default()
    };
    assert_eq!(
        ids_of(&process.readers.orders(&since, 9).await.unwrap()),
        [4, 1],
        "that very moment is meant too"
    );
}

/// Money that goes back, and a dispute, change an order whatever its status: whoever asks for what has changed hears of it.
pub async fn an_order_whose_money_moves_has_changed(home: &mut impl Home) {
    let process = home.process().await;
    let orders = [accepted(&process, 1, &[product("A")]).await, accepted(&process, 2, &[product("A")]).await];
    let paid = orders.each_ref().map(|order| {
        let mut payment = Payment::request(order.id(), order.total());
        assert!(payment.capture(payment.amount, "ch").unwrap().is_applied());
        payment
    });
    let mut unit = process.unit().await;
    unit.payments().insert(&paid, NOW).await.unwrap();
    unit.commit().await.unwrap();
    let changed_at = async || process.readers.order(orders[0].id()).await.unwrap().unwrap().updated_at;
    let before = changed_at().await;
    let attempted = Payment { attempts: 3, ..paid[0].clone() };
    let mut returned = attempted.clone();
    assert!(returned.refund(usd(1)).unwrap().is_applied());
    let mut disputed = returned.clone();
    assert!(disputed.note_dispute(Dispute::Open).is_applied());
    let steps =
        [(attempted, before), (returned, later(20)), (disputed.clone(), later(30)), (disputed, later(30))];
    for (number, (payment, expected)) in (1..).zip(steps) {
        let mut unit = process.unit().await;
        unit.payments().update(&[payment], later(number * 10)).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(changed_at().await, expected, "step {number}");
    }
    let since = OrderFilter {
        updated_from: Some(later(30)),
        sort: OrderSort::EarliestChangeFirst,
        ..OrderFilter::default()
    };
    assert_eq!(ids_of(&process.readers.orders(&since, 9).await.unwrap()), [1], "the other has not changed");
}

/// A page looks at so many orders and no more; the next goes on behind them, and nothing is passed over.
pub async fn what_is_rare_is_found_although_no_page_looks_at_everything(home: &mut impl Home) {
    let process = home.process().await;
    let (common, rare) = ([product("COMMON")], [product("RARE")]);
    let rows: Vec<NewOrderRow> = (1..=10_050)
        .map(|number| order(number, if number == 40 || number == 10_020 { &rare } else { &common }))
        .map(|order| NewOrderRow { order, payment_token: None, source: None, details: None })
        .collect();
    let mut unit = process.unit().await;
    unit.products().upsert(&[common[0].clone(), rare[0].clone()]).await.unwrap();
    unit.orders().create(&rows).await.unwrap();
    let closed = |row: &NewOrderRow| step(&row.order, OrderStatus::Pending, OrderStatus::Cancelled);
    unit.orders().update(&rows.iter().map(closed).collect::<Vec<_>>()).await.unwrap();
    unit.commit().await.unwrap();
    for sort in SORTS {
        let filter = OrderFilter { sku: Some(rare[0].sku.clone()), sort, ..OrderFilter::default() };
        if !sort.is_by_change() {
            let by_name = OrderFilter { find: Some("RARE".to_owned()), sort, ..OrderFilter::default() };
            assert_eq!(walked(&process, by_name.clone(), 9).await, walked(&process, filter.clone(), 9).await);
            let page = process.readers.orders(&by_name, 9).await.unwrap();
            assert_eq!((page.items.len(), page.next.is_some()), (1, true), "by name, {sort:?}");
        }
        let page = process.readers.orders(&filter, 9).await.unwrap();
        assert_eq!((page.items.len(), page.next.is_some()), (1, true), "{sort:?}");
        let mut expected = vec![order_id(40), order_id(10_020)];
        if sort.is_descending() {
            expected.reverse();
        }
        assert_eq!(walked(&process, filter, 9).await, expected, "{sort:?}");
    }
}

/// A page of sagas looks at 3,000: of ten thousand it finds the first that is meant, and says where the next begins.
pub async fn a_rare_saga_is_found_although_no_page_looks_at_all_of_them(home: &mut impl Home) {
    let process = home.process().await;
    let orders: Vec<Order> = (1..=10_050).map(|number| order(number, &[product("A")])).collect();
    let row = |order: &Order| NewOrderRow {
        order: order.clone(),
        payment_token: None,
        source: None,
        details: None,
    };
    let state = |number: usize| match number {
        40 | 10_020 => SagaState::Paid,
        41 | 10_021 => SagaState::Failed,
        42 | 10_022 => SagaState::NeedsAttention,
        _ => SagaState::Created,
    };
    let started = |number: usize, order: &Order| OrderProcessingSaga { state: state(number), ..saga(order) };
    let sagas: Vec<_> = (1..).zip(&orders).map(|(number, order)| started(number, order)).collect();
    let (common, rare): (Vec<_>, Vec<_>) =
        sagas.into_iter().partition(|saga| saga.state == SagaState::Created);
    let mut unit = process.unit().await;
    unit.products().upsert(&[product("A")]).await.unwrap();
    unit.orders().create(&orders.iter().map(row).collect::<Vec<_>>()).await.unwrap();
    unit.insert_sagas(&common, later(9)).await.unwrap();
    unit.insert_sagas(&rare, NOW).await.unwrap();
    unit.commit().await.unwrap();
    let of = |state| SagaFilter { state: Some(state), ..SagaFilter::default() };
    let unmoved = SagaFilter { unmoved_since: Some(later(5)), ..SagaFilter::default() };
    for (filter, first, all) in [
        (of(SagaState::Paid), 1, vec![40, 10_020]),
        (of(SagaState::Failed), 1, vec![41, 10_021]),
        (unmoved, 3, vec![40, 41, 42, 10_020, 10_021, 10_022]),
    ] {
        let page = process.readers.sagas(&filter, 9).await.unwrap();
        assert_eq!((page.items.len(), page.next.is_some()), (first, true), "{filter:?}");
        assert_eq!(walked_sagas(&process, filter.clone(), 9).await, all, "{filter:?}");
        assert_eq!(walked_sagas(&process, filter, 1).await, all);
    }
    // An index leads straight to those that need a person.
    let page = process.readers.sagas(&of(SagaState::NeedsAttention), 9).await.unwrap();
    assert_eq!((page.items.len(), page.next), (2, None));
}

async fn walked_sagas(process: &Process, mut filter: SagaFilter, size: usize) -> Vec<u128> {
    let mut found = Vec::new();
    loop {
        let SagaPage { items, next } = process.readers.sagas(&filter, size).await.unwrap();
        assert!(items.len() <= size);
        found.extend(items.iter().map(|view| view.order_id.as_u128() & 0xffff));
        match next {
            Some(_) => filter.after = next,
            None => return found,
        }
    }
}

/// Orders of two customers and three products, on every part of the road, changed at moments that some of them share.
async fn many_orders(process: &Process) -> Vec<Known> {
    let products = ["A", "B", "C"].map(product);
    let mut adding = process.unit().await;
    adding.products().upsert(&products).await.unwrap();
    adding.commit().await.unwrap();
    let mut orders = Vec::new();
    for number in 1..=18_usize {
        let chosen: Vec<Product> = products.iter().skip(number % 3).take(2).cloned().collect();
        orders.push(accepted(process, number as u128, &chosen).await);
    }
    for (number, order) in orders.iter().enumerate() {
        travel(process, order, number).await;
    }
    let page = process.readers.orders(&OrderFilter::default(), 99).await.unwrap();
    let skus = |order: &Order| order.lines().iter().map(|line| line.sku.to_string()).collect();
    page.items.into_iter().zip(&orders).map(|(view, order)| Known { view, skus: skus(order) }).collect()
}

/// Some stay, some are called off, some go a part of the road or all of it.
async fn travel(process: &Process, order: &Order, number: usize) {
    let when = later(i64::try_from(number % 5).unwrap());
    let moves: Vec<StatusMove> = match number % 4 {
        0 => Vec::new(),
        1 => vec![step(order, OrderStatus::Pending, OrderStatus::Cancelled)],
        part => ROAD.windows(2).take(part * 2 - 1).map(|pair| step(order, pair[0], pair[1])).collect(),
    };
    let mut unit = process.unit().await;
    for moved in moves {
        unit.orders().update(&[at(moved, when)]).await.unwrap();
    }
    let mut shipment = Shipment::request(order.id());
    if number % 4 == 3 {
        let _ = shipment.book(&format!("TN-{}", number % 8), "post").unwrap();
    }
    unit.shipments().insert(&[shipment], when).await.unwrap();
    let mut payment = Payment::request(order.id(), order.total());
    if number % 3 == 1 {
        let _ = payment.capture(payment.amount, &format!("CH-{}", number % 6)).unwrap();
    }
    unit.payments().insert(&[payment], when).await.unwrap();
    let mut saga = stored_saga(unit.as_mut(), order).await;
    saga.state = match number % 5 {
        0 => SagaState::NeedsAttention,
        1 => SagaState::Failed,
        _ => SagaState::Created,
    };
    unit.update_sagas(&[saga], when).await.unwrap();
    unit.commit().await.unwrap();
}

/// The move at another time.
fn at(moved: StatusMove, at: Timestamp) -> StatusMove {
    StatusMove { change: OrderChange { at, ..moved.change }, ..moved }
}

fn filters() -> Vec<OrderFilter> {
    let any = OrderFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let kinds: Vec<OrderFilter> = vec![
        any(),
        OrderFilter { customer_id: text("alfki"), ..any() },
        OrderFilter { external_reference: text("reference-4"), ..any() },
        OrderFilter { tracking_number: text("TN-3"), ..any() },
        OrderFilter { sku: Some(Sku::parse("B").unwrap()), ..any() },
        OrderFilter { sku: Some(Sku::parse("NONE").unwrap()), ..any() },
        OrderFilter { saga_state: Some(SagaState::NeedsAttention), ..any() },
        OrderFilter { saga_state: Some(SagaState::Created), customer_id: text("alfki"), ..any() },
        OrderFilter { saga_state: Some(SagaState::Created), ..any() },
        OrderFilter { saga_state: Some(SagaState::Failed), ..any() },
        OrderFilter { saga_state: Some(SagaState::NeedsAttention), find: text("A"), ..any() },
        OrderFilter { find: Some(order_id(7).to_string()), ..any() },
        OrderFilter { find: text("reference-4"), ..any() },
        OrderFilter { find: text("alfki"), ..any() },
        OrderFilter { find: text("TN-3"), ..any() },
        OrderFilter { find: text("CH-4"), ..any() },
        OrderFilter { find: text("B"), ..any() },
        OrderFilter { find: text("none"), ..any() },
    ];
    let statuses =
        [None, Some(OrderStatus::Cancelled), Some(OrderStatus::Delivered), Some(OrderStatus::Pending)];
    let spans = [(None, None), (Some(later(2)), None), (Some(later(1)), Some(later(4)))];
    let mut filters = Vec::new();
    for kind in kinds {
        for status in statuses {
            for (updated_from, updated_before) in spans {
                let created_from = status.map(|_| NOW);
                filters.push(OrderFilter {
                    status,
                    updated_from,
                    updated_before,
                    created_from,
                    ..kind.clone()
                });
            }
        }
    }
    filters
}

/// What is left of all orders, in the order that is asked for.
fn sifted(all: &[Known], filter: &OrderFilter) -> Vec<domain::OrderId> {
    let from = |moment: Timestamp, least: Option<Timestamp>| least.is_none_or(|least| moment >= least);
    let before = |moment: Timestamp, end: Option<Timestamp>| end.is_none_or(|end| moment < end);
    let is = |wanted: &Option<String>, found: Option<&String>| wanted.is_none() || wanted.as_ref() == found;
    let mut left: Vec<&OrderView> = all
        .iter()
        .filter(|known| filter.sku.as_ref().is_none_or(|sku| known.skus.iter().any(|it| it == sku.as_str())))
        .filter(|known| filter.find.as_ref().is_none_or(|text| is_named(known, text)))
        .map(|known| &known.view)
        .filter(|view| filter.saga_state.is_none_or(|state| state.as_str() == view.saga_state))
        .filter(|view| filter.status.is_none_or(|status| status.as_str() == view.status))
        .filter(|view| is(&filter.customer_id, Some(&view.customer_id)))
        .filter(|view| is(&filter.external_reference, view.external_reference.as_ref()))
        .filter(|view| {
            let parcel = view.shipment.as_ref().and_then(|parcel| parcel.tracking_number.as_ref());
            is(&filter.tracking_number, parcel)
        })
        .filter(|view| {
            from(view.created_at, filter.created_from) && before(view.created_at, filter.created_before)
        })
        .filter(|view| {
            from(view.updated_at, filter.updated_from) && before(view.updated_at, filter.updated_before)
        })
        .collect();
    left.sort_by_key(|view| (filter.sort.is_by_change().then_some(view.updated_at), view.order_id));
    if filter.sort.is_descending() {
        left.reverse();
    }
    left.iter().map(|view| domain::OrderId(view.order_id)).collect()
}

/// Whether a text is any name of an order.
fn is_named(known: &Known, text: &str) -> bool {
    let view = &known.view;
    let charge = view.payment.as_ref().and_then(|payment| payment.provider_reference.as_deref());
    let parcel = view.shipment.as_ref().and_then(|parcel| parcel.tracking_number.as_deref());
    let names = [Some(view.customer_id.as_str()), view.external_reference.as_deref(), charge, parcel];
    names.contains(&Some(text))
        || known.skus.iter().any(|sku| sku == text)
        || view.order_id.to_string() == text
}

/// All orders of a listing, page by page.
async fn walked(process: &Process, mut filter: OrderFilter, size: usize) -> Vec<domain::OrderId> {
    let mut found = Vec::new();
    loop {
        let OrderPage { items, next } = process.readers.orders(&filter, size).await.unwrap();
        assert!(items.len() <= size);
        found.extend(items.iter().map(|view| domain::OrderId(view.order_id)));
        match next {
            Some(place) => filter.after = Some(place),
            None => return found,
        }
    }
}

/// The numbers of the orders of a page.
fn ids_of(page: &OrderPage) -> Vec<u128> {
    page.items.iter().map(|view| view.order_id.as_u128() & 0xffff).collect()
}
