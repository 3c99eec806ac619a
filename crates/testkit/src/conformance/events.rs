//! Laws of the events of all orders: in one order, none missed, told by page and type, gone after their time.

use std::time::Duration;

use application::ports::{EventFilter, EventPage, EventsRead, HistoryEntry};
use domain::Order;
use infrastructure::Retention;
use tokio::task::JoinSet;

use super::stage::{NOW, accepted, entry, later, product, stock_up};
use super::{Home, Process};

/// Writers at one time, and how often each writes.
const WRITERS: u128 = 6;
const ROUNDS: usize = 25;

async fn write(process: &Process, entries: &[HistoryEntry]) {
    let mut unit = process.unit().await;
    unit.history().append(entries).await.unwrap();
    unit.commit().await.unwrap();
}

async fn orders(process: &Process, count: u128) -> Vec<Order> {
    let products = [product("TEA")];
    stock_up(process, &products, 1_000).await;
    let mut orders = Vec::new();
    for number in 0..count {
        orders.push(accepted(process, number, &products).await);
    }
    orders
}

async fn read(process: &Process, after: i64, types: &[&str], max: usize) -> EventPage {
    let filter = EventFilter { after, types: types.iter().map(|&name| name.to_owned()).collect() };
    match process.events.events(&filter, max).await.unwrap() {
        EventsRead::Page(page) => page,
        other @ (EventsRead::Swept { .. } | EventsRead::Beyond { .. }) => panic!("behind {after}: {other:?}"),
    }
}

/// All events behind a position, page by page.
async fn rest(process: &Process, mut after: i64, types: &[&str], max: usize) -> Vec<(i64, String, String)> {
    let mut told = Vec::new();
    loop {
        let page = read(process, after, types, max).await;
        assert!(page.events.len() <= max);
        assert!(page.next >= after, "it never goes back");
        let places = page.events.iter().map(|event| event.position);
        assert!(
            places.clone().is_sorted() && places.clone().all(|place| after < place && place <= page.next)
        );
        told.extend(
            page.events
                .into_iter()
                .map(|event| (event.position, event.order_id.to_string(), event.event_type)),
        );
        after = page.next;
        if !page.has_more {
            return told;
        }
    }
}

/// Whatever the size of the page; what is no event of an order, and what an order was asked and refused, is left out.
pub async fn events_are_told_in_order_page_by_page_and_by_type(home: &mut impl Home) {
    let process = home.process().await;
    let orders = orders(&process, 2).await;
    let begin = process.events.newest_event().await.unwrap();
    let refused = HistoryEntry { is_refused: true, ..entry(&orders[0], "OrderShipped") };
    // Whoever asks may begin a note as they like.
    let cancelled = HistoryEntry {
        detail: Some("refused: by the customer".to_owned()),
        ..entry(&orders[1], "OrderCancelled")
    };
    write(
        &process,
        &[
            entry(&orders[0], "OrderCreated"),
            entry(&orders[1], "OrderCreated"),
            entry(&orders[0], "PaymentCall"),
        ],
    )
    .await;
    write(&process, &[refused, entry(&orders[0], "OrderShipped")]).await;
    write(&process, &[cancelled]).await;
    let of = |index: usize, name: &str| (orders[index].id().to_string(), name.to_owned());
    let all = [of(0, "OrderCreated"), of(1, "OrderCreated"), of(0, "OrderShipped"), of(1, "OrderCancelled")];
    for max in [1, 2, 3, 50] {
        let told = rest(&process, begin, &[], max).await;
        let told: Vec<_> = told.into_iter().map(|(_, order, name)| (order, name)).collect();
        assert_eq!(told, all, "pages of {max}");
        let told = rest(&process, begin, &["OrderShipped", "OrderCancelled"], max).await;
        let told: Vec<_> = told.into_iter().map(|(_, order, name)| (order, name)).collect();
        assert_eq!(told, all[2..], "pages of {max}");
    }
    let first = read(&process, begin, &[], 1).await.events.remove(0);
    assert_eq!(first.at, later(1));
    assert_eq!(first.external_reference.as_deref(), Some("reference-0"));
    assert_eq!(first.detail.as_deref(), Some("in \"words\" and ünïcode"));
    let one = process.events.event(first.order_id, first.position).await.unwrap();
    assert_eq!(one, Some(first.clone()));
    assert_eq!(process.events.event(first.order_id, first.position + 1_000_000).await.unwrap(), None);
    let end = process.events.newest_event().await.unwrap();
    let page = read(&process, end, &[], 5).await;
    assert_eq!((page.events.len(), page.has_more), (0, false));
    let beyond = EventFilter { after: end + 1_000_000, types: Vec::new() };
    let told = process.events.events(&beyond, 5).await.unwrap();
    assert_eq!(told, EventsRead::Beyond { newest: end });
}

/// Several processes write at once, and a reader that follows them sees each event once and in the order of positions.
pub async fn no_event_is_missed_while_others_are_written(home: &mut impl Home) {
    let process = home.process().await;
    let others = [home.process().await, home.process().await];
    let orders = orders(&process, WRITERS).await;
    let begin = process.events.newest_event().await.unwrap();
    let mut writers = JoinSet::new();
    for (order, process) in orders.iter().cloned().zip(others.iter().cloned().cycle()) {
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                write(&process, &[entry(&order, "OrderCreated"), entry(&order, "OrderCreated")]).await;
            }
        });
    }
    let wanted = orders.len() * ROUNDS * 2;
    let follow = async {
        let mut told = Vec::new();
        let mut after = begin;
        while told.len() < wanted {
            let page = read(&process, after, &[], 7).await;
            told.extend(page.events.iter().map(|event| event.position));
            after = page.next;
            if page.events.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        told
    };
    let followed = tokio::time::timeout(super::SOON, follow).await.expect("every event is told at last");
    while let Some(ended) = writers.join_next().await {
        ended.expect("it has written all");
    }
    assert!(followed.is_sorted() && followed.windows(2).all(|pair| pair[0] != pair[1]));
    let afterwards: Vec<i64> =
        rest(&process, begin, &[], 50).await.into_iter().map(|(place, ..)| place).collect();
    assert_eq!(followed, afterwards);
}

/// Behind the time for which events are kept, a reader is told where it can go on, and one that begins anew begins there.
pub async fn events_past_their_time_are_gone_and_that_is_told(home: &mut impl Home) {
    let process = home.process().await;
    let orders = orders(&process, 2).await;
    write(&process, &[entry(&orders[0], "OrderCreated")]).await;
    let old = process.events.newest_event().await.unwrap();
    let fresh = HistoryEntry { at: later(500), ..entry(&orders[1], "OrderCreated") };
    write(&process, &[fresh]).await;
    let before = rest(&process, 0, &[], 50).await;
    let second = Duration::from_secs(1);
    let kept = Retention { inbox: second, idempotency: second, events: second };
    let swept = process.sweep(later(400), kept, 100).await.unwrap();
    assert_eq!(swept.events, 1, "one batch is old");
    let told = process.events.events(&EventFilter { after: 1, types: Vec::new() }, 5).await.unwrap();
    let EventsRead::Swept { up_to } = told else { panic!("{told:?}") };
    assert!(up_to <= old);
    assert_eq!(rest(&process, up_to, &[], 5).await, before[1..]);
    assert_eq!(rest(&process, 0, &[], 5).await, before[1..], "0 is the oldest that is kept");
    assert_eq!(process.readers.history(orders[0].id()).await.unwrap().unwrap().len(), 1, "timelines stay");
    assert_eq!(process.sweep(NOW, kept, 100).await.unwrap().events, 0);
}
