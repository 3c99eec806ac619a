//! Lines that are cancelled over HTTP and on the order's page, while the order waits.

use application::ports::Scope;
use application::saga::EventKind;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, JSON, Service, order_request, places, request};
use crate::pages::{Site, html, keys, said};

async fn post(service: &Service, key: &str, path: &str, body: &Value) -> Answer {
    let headers = [JSON, ("idempotency-key", key)];
    service.send(request(Method::POST, path, &headers, body.to_string().into())).await
}

/// An order for three that waits before its payment.
fn wish() -> Value {
    let hold = json!({"before": "payment", "reason": "a check"});
    json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 3}], "holds": [hold]})
}

const TO_ITS_HOLD: [EventKind; 2] = [EventKind::OrderValidated, EventKind::InventoryReserved];

async fn on_hold(service: &Service) -> (String, i64) {
    let placed = service.send(order_request("k", wish().to_string())).await.expect(201);
    let id = placed["order_id"].as_str().expect("an id").to_owned();
    service.happen(&id, &TO_ITS_HOLD).await;
    (id, placed["total"]["minor"].as_i64().expect("an amount"))
}

#[tokio::test]
async fn units_are_cancelled_once_and_the_order_shows_what_is_left() {
    let service = Service::start().await;
    let (id, total) = on_hold(&service).await;
    let (order, path) = (format!("/orders/{id}"), format!("/orders/{id}/cancel-lines"));
    let one = json!({"lines": [{"sku": "CHAI", "quantity": 1}], "actor": "eve", "note": "two will do"});
    let done = post(&service, "f", &path, &one).await.expect(200);
    assert_eq!(post(&service, "f", &path, &one).await.expect(200), done, "done once");
    assert_eq!(done["lines"], json!([{"sku": "CHAI", "quantity": 1}]));
    assert_eq!(
        (&done["amount"]["minor"], &done["total"]["minor"]),
        (&json!(total / 3), &json!(total / 3 * 2))
    );
    assert_eq!(done["refund_key"], Value::Null);
    let shown = service.get(&order).await.expect(200);
    assert_eq!((&shown["lines"][0]["quantity"], &shown["lines"][0]["cancelled"]), (&json!(3), &json!(1)));
    assert_eq!(shown["total"], done["total"]);
    let inventory = service.get("/inventory/CHAI").await.expect(200);
    assert_eq!(inventory["reserved"], 2);
    let held = service.get("/inventory/CHAI/reservations").await.expect(200);
    assert_eq!(held["items"][0]["units"], 2, "{held}");
    let events = service.get("/events").await.expect(200);
    let told =
        events["items"].as_array().into_iter().flatten().find(|event| event["type"] == "LinesCancelled");
    let detail = told.and_then(|event| event["detail"].as_str()).expect("it is told");
    assert!(detail.starts_with("1 of CHAI: ") && detail.ends_with("by eve: two will do"), "{detail}");
    assert_eq!(service.get("/check").await.expect(200)["broken"], json!([]));
}

#[tokio::test]
async fn what_is_wrong_with_fewer_units_is_named() {
    let service = Service::start().await;
    let (id, total) = on_hold(&service).await;
    let path = format!("/orders/{id}/cancel-lines");
    let line =
        |sku: &str, quantity: Value| json!({"lines": [{"sku": sku, "quantity": quantity}], "actor": "eve"});
    for (wish, wanted) in [
        (json!({"lines": [], "actor": "eve"}), "/lines"),
        (json!({"actor": "eve"}), "/lines"),
        (line("CHAI", json!(0)), "/lines/0/quantity"),
        (line("", json!(1)), "/lines/0/sku"),
        (json!({"lines": [{"sku": "CHAI"}], "actor": ""}), "/actor"),
        (
            json!({"lines": [{"sku": "CHAI"}], "actor": "eve", "amount": {"minor": 1, "currency": "X"}}),
            "/amount/currency",
        ),
    ] {
        let problem = post(&service, "w", &path, &wish).await.problem(422, "validation_failed");
        assert_eq!(places(&problem)[0].0, wanted, "{wish}: {problem}");
    }
    let amount = |minor: i64, currency: &str| json!({"lines": [{"sku": "CHAI", "quantity": 1}], "actor": "eve", "amount": {"minor": minor, "currency": currency}});
    for (wish, wanted) in [
        (line("CHAI", json!(4)), "4 units of CHAI, of which 3 are left to cancel"),
        (line("OTHER", json!(1)), "OTHER is not part of the order; it has CHAI"),
        (line("CHAI", json!(3)), "cancel the order instead"),
        (amount(total + 1, "USD"), "say how much less"),
        (amount(-1, "USD"), "say how much less"),
        (amount(1, "EUR"), "EUR"),
    ] {
        let problem = post(&service, wanted, &path, &wish).await.problem(409, "lines_refused");
        assert!(problem["detail"].as_str().is_some_and(|told| told.contains(wanted)), "{wish}: {problem}");
    }
    let seen =
        json!({"lines": [{"sku": "CHAI", "quantity": 1}], "actor": "eve", "seen": "2020-01-01T00:00:00Z"});
    post(&service, "d", &path, &seen).await.problem(409, "changed_meanwhile");
    let nobody = "00000000-0000-7000-8000-000000000000";
    let one = line("CHAI", json!(1));
    post(&service, "e", &format!("/orders/{nobody}/cancel-lines"), &one)
        .await
        .problem(404, "order_not_found");
    let running = service.placed("r", 2).await;
    let path = format!("/orders/{running}/cancel-lines");
    let problem = post(&service, "g", &path, &one).await.problem(409, "lines_refused");
    assert!(
        problem["detail"].as_str().is_some_and(|told| told.contains("put it on hold before its shipping")),
        "{problem}"
    );
    assert_eq!(
        service.get(&format!("/orders/{id}")).await.expect(200)["total"]["minor"],
        total,
        "nothing is half done"
    );
}

#[tokio::test]
async fn an_order_of_which_units_were_cancelled_is_still_known_by_its_reference() {
    let service = Service::start().await;
    let mut order = wish();
    order["external_reference"] = json!("W-1");
    let placed = service.send(order_request("k", order.to_string())).await.expect(201);
    let id = placed["order_id"].as_str().expect("an id").to_owned();
    service.happen(&id, &TO_ITS_HOLD).await;
    let one = json!({"lines": [{"sku": "CHAI", "quantity": 1}], "actor": "eve"});
    post(&service, "f", &format!("/orders/{id}/cancel-lines"), &one).await.expect(200);
    order["total"] = placed["total"].clone();
    let again = service.send(order_request("again", order.to_string())).await.expect(201);
    assert_eq!(again["order_id"], placed["order_id"], "what its shop said of it is as it was");
}

#[tokio::test]
async fn a_person_cancels_units_on_the_orders_page() {
    let (ring, texts) = keys(&[&[Scope::Admin], &[Scope::OrdersRead]]);
    let site = Site::closed(&ring).await;
    let mut asked = order_request("k", wish().to_string());
    asked.headers_mut().insert("x-api-key", texts[0].parse().expect("a header"));
    asked.headers_mut().insert("host", "localhost".parse().expect("a header"));
    let placed = site.send(asked).await.expect(201);
    let id = placed["order_id"].as_str().expect("an id").to_owned();
    let path = format!("/ui/orders/{id}");
    let session = site.signed_in(&texts[0]).await;
    assert!(html(&site.get(&path, &session).await).contains("put it on hold before its shipping"));
    site.service.happen(&id, &TO_ITS_HOLD).await;
    let filled = [("sku", "CHAI"), ("units", "2"), ("amount", ""), ("note", "one <will> do")];
    let sent = site.submit(&format!("{path}/cancel-lines"), &session, &filled).await;
    assert_eq!(said(&site, &sent, &session).await, "The units are cancelled.");
    let page = html(&site.get(&path, &session).await);
    for part in ["one &lt;will&gt; do", "CHAI (1)", "Cancel units"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let filled = [("sku", "CHAI"), ("units", "two"), ("amount", ""), ("note", "none")];
    let sent = site.submit(&format!("{path}/cancel-lines"), &session, &filled).await;
    let told = said(&site, &sent, &session).await;
    assert!(told.starts_with("Nothing was done") && told.contains("a whole number of units"), "{told}");
    let session = site.signed_in(&texts[1]).await;
    assert!(html(&site.get(&path, &session).await).contains("your key lacks the scope"));
}
