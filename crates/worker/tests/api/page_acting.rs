//! Acting from the operators' page: once however often a form is sent, on what was shown and nothing else, and a second operator is
//! told what the first has done.

use application::ports::Readers;
use application::saga::EventKind;
use axum::body::Body;
use http::Method;
use serde_json::json;

use crate::harness::request;
use crate::pages::{Site, form, hidden, html, said};

#[tokio::test]
async fn a_form_is_carried_out_once_however_often_it_is_sent() {
    let site = Site::open().await;
    let headers = [("host", "localhost"), ("origin", "http://localhost")];
    let page = html(&site.get("/ui/stock/CHAI", "").await);
    let once = hidden(&page, "once");
    for _ in 0..3 {
        let fields = form(&[("quantity", "7"), ("note", "delivery"), ("once", &once)]);
        let answer =
            site.send(request(Method::POST, "/ui/stock/CHAI/receive", &headers, Body::from(fields))).await;
        assert_eq!(said(&site, &answer, "").await, "The goods are booked as received.");
    }
    let level = site.service.get("/inventory/CHAI").await.expect(200);
    assert_eq!(level["available"], 107);
    for (quantity, note, wanted) in [
        ("many", "x", "Nothing was done: the units are no whole number."),
        ("1", "", "Nothing was done: must not be empty"),
    ] {
        let bad = Body::from(form(&[("quantity", quantity), ("note", note)]));
        let answer = site.send(request(Method::POST, "/ui/stock/CHAI/receive", &headers, bad)).await;
        assert_eq!(said(&site, &answer, "").await, wanted);
    }
}

#[tokio::test]
async fn of_two_operators_the_second_is_told_that_it_was_done() {
    let site = Site::open().await;
    let order = site.service.placed("one", 1).await;
    let to_attention = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::CancelRequested,
        EventKind::UndoFailed,
    ];
    site.service.happen(&order, &to_attention).await;
    let page = html(&site.get("/ui/attention", "").await);
    assert!(page.contains("It needs a person: ") && page.contains(&order), "{page}");
    let seen = hidden(&page, "seen");
    let headers = [("host", "localhost"), ("origin", "http://localhost")];
    let skip = async || {
        let fields = form(&[("note", "settled by hand"), ("seen", &seen)]);
        let target = format!("/ui/orders/{order}/skip");
        let answer = site.send(request(Method::POST, &target, &headers, Body::from(fields))).await;
        said(&site, &answer, "").await
    };
    assert_eq!(skip().await, "Done. The order goes on.");
    assert!(skip().await.starts_with("Nothing was done: it has changed since you saw it"));
}

#[tokio::test]
async fn cancelling_many_counts_first_and_touches_only_what_was_shown() {
    let site = Site::open().await;
    let headers = [("host", "localhost"), ("origin", "http://localhost")];
    let mut shown = Vec::new();
    for number in 0..3 {
        shown.push(site.service.placed(&format!("order {number}"), 1).await);
    }
    let ask = form(&[("which", "all")]);
    let confirm = site
        .send(request(Method::POST, "/ui/orders/confirm?status=pending", &headers, Body::from(ask)))
        .await;
    let page = html(&confirm);
    assert!(page.contains("Cancel 3 orders?") && page.contains("?status=pending"), "{page}");
    let later = site.service.placed("later", 1).await;
    let moved =
        site.service.post(&format!("/orders/{}/cancel", shown[0]), &json!({"actor": "another"})).await;
    assert_eq!(moved.status.as_u16(), 202);
    let fields =
        form(&[("orders", &hidden(&page, "orders")), ("once", &hidden(&page, "once")), ("note", "recall")]);
    let done =
        site.send(request(Method::POST, "/ui/orders/act?status=pending", &headers, Body::from(fields))).await;
    let page = html(&done);
    assert!(page.contains("2 are being cancelled") && page.contains("1 were cancelled before"), "{page}");
    let state = |id: &str| id.parse().expect("an id");
    let untouched = site.service.store.saga(state(&later)).await.expect("a store").expect("a saga");
    assert_eq!(untouched.state, "created", "it came after the count");
}

#[tokio::test]
async fn many_orders_that_need_a_person_go_on_together_and_others_are_not_touched() {
    let site = Site::open().await;
    let mut stuck = Vec::new();
    for number in 0..2 {
        let order = site.service.placed(&format!("stuck {number}"), 1).await;
        site.service
            .happen(
                &order,
                &[
                    EventKind::OrderValidated,
                    EventKind::InventoryReserved,
                    EventKind::PaymentStarted,
                    EventKind::CancelRequested,
                    EventKind::UndoFailed,
                ],
            )
            .await;
        stuck.push(order);
    }
    let fine = site.service.placed("fine", 1).await;
    let listed = html(&site.get("/ui/orders?attention=true", "").await);
    assert!(stuck.iter().all(|order| listed.contains(order.as_str())) && !listed.contains(&fine), "{listed}");
    let asked = [("which", "all"), ("what", "skip")];
    let page = html(&site.submit("/ui/orders/confirm", "", &asked).await);
    assert!(page.contains("Skip 2 orders?") && !page.contains(&fine), "{page}");
    site.service.post(&format!("/sagas/{}/skip", stuck[0]), &json!({"actor": "ann", "note": "mine"})).await;
    let fields = [
        ("what", "skip"),
        ("orders", &hidden(&page, "orders")),
        ("once", &hidden(&page, "once")),
        ("note", "settled at the gateway"),
    ];
    let page = html(&site.submit("/ui/orders/act", "", &fields).await);
    assert!(page.contains("1 go on") && page.contains("1 were left as they are"), "{page}");
    let saga = site.service.get(&format!("/orders/{fine}/saga")).await.expect(200);
    assert_eq!(saga["state"], "created");
}
