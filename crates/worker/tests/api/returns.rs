//! Returns over HTTP and on the order's page: awaited, shown, taken in with money or without, refused with the reason.

use application::ports::Scope;
use application::saga::EventKind;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, JSON, Service, order_request, places, request};
use crate::pages::{Site, html, keys, said};

const TO_THE_CUSTOMER: [EventKind; 5] = [
    EventKind::OrderValidated,
    EventKind::InventoryReserved,
    EventKind::PaymentCaptured,
    EventKind::ShipmentBooked,
    EventKind::ParcelDelivered,
];

async fn post(service: &Service, key: &str, path: &str, body: &Value) -> Answer {
    let headers = [JSON, ("idempotency-key", key)];
    service.send(request(Method::POST, path, &headers, body.to_string().into())).await
}

async fn available(service: &Service) -> i64 {
    service.get("/inventory/CHAI").await.expect(200)["available"].as_i64().expect("units")
}

#[tokio::test]
async fn goods_are_awaited_taken_in_and_paid_back_once() {
    let service = Service::start().await;
    let id = service.placed("k", 3).await;
    let path = format!("/orders/{id}");
    service.happen(&id, &TO_THE_CUSTOMER).await;
    let before = available(&service).await;
    let wish = json!({"lines": [{"sku": "CHAI", "quantity": 2}], "reason": "too small", "actor": "eve"});
    let asked = post(&service, "r", &format!("{path}/returns"), &wish).await.expect(201);
    assert_eq!(post(&service, "r", &format!("{path}/returns"), &wish).await.expect(201), asked);
    let line = json!({"sku": "CHAI", "quantity": 2, "received": 0, "restocked": 0});
    assert_eq!((&asked["status"], &asked["lines"]), (&json!("requested"), &json!([line])));
    let shown = service.get(&path).await.expect(200);
    assert_eq!(shown["returns"], json!([asked]));
    let listed = service.get("/orders").await.expect(200);
    assert_eq!(listed["items"][0]["returns"], Value::Null, "not in listings");

    let receive = format!("{path}/returns/{}/receive", asked["return_id"].as_str().expect("an id"));
    let currency = shown["total"]["currency"].clone();
    let receipt = json!({
        "lines": [{"sku": "CHAI", "received": 2, "restocked": 1}],
        "refund": {"minor": 100, "currency": currency},
        "actor": "ann",
        "note": "one is broken",
    });
    let received = post(&service, "t", &receive, &receipt).await.expect(200);
    assert_eq!(post(&service, "t", &receive, &receipt).await.expect(200), received);
    assert_eq!((&received["status"], &received["refund_minor"]), (&json!("received"), &json!(100)));
    assert_eq!((&received["ended_by"], &received["end_note"]), (&json!("ann"), &json!("one is broken")));
    assert_eq!(available(&service).await, before + 1);
    let problem =
        post(&service, "u", &receive, &json!({"actor": "bob"})).await.problem(409, "return_refused");
    assert_eq!(problem["detail"], "the return was received before");
    assert_eq!(service.get("/check").await.expect(200)["broken"], json!([]));

    let all = json!({"reason": "the rest", "actor": "eve"});
    let rest = post(&service, "v", &format!("{path}/returns"), &all).await.expect(201);
    assert_eq!(rest["lines"][0]["quantity"], 1);
    let cancel = format!("{path}/returns/{}/cancel", rest["return_id"].as_str().expect("an id"));
    let cancelled =
        post(&service, "w", &cancel, &json!({"actor": "eve", "note": "keeps it"})).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    let events = service.get("/events").await.expect(200);
    let told = |kind: &str| {
        events["items"].as_array().into_iter().flatten().filter(|event| event["type"] == kind).count()
    };
    assert_eq!((told("ReturnRequested"), told("ReturnReceived"), told("ReturnCancelled")), (2, 1, 1));
}

#[tokio::test]
async fn what_is_wrong_with_a_return_is_named() {
    let service = Service::start().await;
    let id = service.placed("k", 2).await;
    let path = format!("/orders/{id}/returns");
    let sound = json!({"reason": "x", "actor": "eve"});
    let problem = post(&service, "a", &path, &sound).await.problem(409, "return_refused");
    assert!(problem["detail"].as_str().is_some_and(|told| told.contains("so cancel it")), "{problem}");
    service.happen(&id, &TO_THE_CUSTOMER).await;
    let line = |sku: &str, quantity: Value| json!({"lines": [{"sku": sku, "quantity": quantity}], "reason": "x", "actor": "eve"});
    for (wish, wanted) in [
        (line("CHAI", json!(0)), "/lines/0/quantity"),
        (line("", json!(1)), "/lines/0/sku"),
        (line("CHAI", json!(1.5)), "/lines/0/quantity"),
        (json!({"reason": "", "actor": "eve"}), "/reason"),
        (json!({"reason": "x", "actor": ""}), "/actor"),
        (json!({"reason": "x", "actor": "eve", "why": "y"}), "/why"),
    ] {
        let answer = post(&service, "w", &path, &wish).await;
        let code = if wanted == "/lines/0/quantity" && wish["lines"][0]["quantity"] == json!(1.5) {
            "fractional_quantity"
        } else {
            "validation_failed"
        };
        let problem = answer.problem(422, code);
        assert_eq!(places(&problem)[0].0, wanted, "{wish}: {problem}");
    }
    for (wish, wanted) in [
        (line("CHAI", json!(3)), "3 units of CHAI, where 1 to 2 can come back"),
        (line("OTHER", json!(1)), "OTHER is not part of it; it has CHAI"),
    ] {
        let problem = post(&service, wanted, &path, &wish).await.problem(409, "return_refused");
        assert_eq!(problem["detail"], wanted);
    }
    let asked = post(&service, "b", &path, &sound).await.expect(201);
    let one = format!("{path}/{}", asked["return_id"].as_str().expect("an id"));
    let receive = format!("{one}/receive");
    for (receipt, wanted) in [
        (json!({"lines": [{"sku": "CHAI", "received": 0}], "actor": "ann"}), "/lines/0/received"),
        (
            json!({"lines": [{"sku": "CHAI", "received": 1, "restocked": -1}], "actor": "ann"}),
            "/lines/0/restocked",
        ),
        (json!({"refund": {"minor": 1, "currency": "EURO"}, "actor": "ann"}), "/refund/currency"),
    ] {
        let problem = post(&service, "w", &receive, &receipt).await.problem(422, "validation_failed");
        assert_eq!(places(&problem)[0].0, wanted, "{receipt}: {problem}");
    }
    let more = json!({"lines": [{"sku": "CHAI", "received": 1, "restocked": 2}], "actor": "ann"});
    let problem = post(&service, "c", &receive, &more).await.problem(409, "return_refused");
    assert_eq!(problem["detail"], "2 units of CHAI for sale again, of 1 that arrived");
    let seen = json!({"actor": "ann", "seen": "2020-01-01T00:00:00Z"});
    post(&service, "d", &receive, &seen).await.problem(409, "changed_meanwhile");
    let nobody = "00000000-0000-7000-8000-000000000000";
    post(&service, "e", &format!("/orders/{nobody}/returns"), &sound).await.problem(404, "order_not_found");
    post(&service, "f", &format!("{path}/{nobody}/cancel"), &json!({"actor": "ann"}))
        .await
        .problem(404, "return_not_found");
}

#[tokio::test]
async fn a_person_awaits_goods_on_the_orders_page_and_takes_them_in_there() {
    let (ring, texts) = keys(&[&[Scope::Admin], &[Scope::OrdersRead]]);
    let site = Site::closed(&ring).await;
    let order = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let mut asked = order_request("k", order.to_string());
    asked.headers_mut().insert("x-api-key", texts[0].parse().expect("a header"));
    asked.headers_mut().insert("host", "localhost".parse().expect("a header"));
    let placed = site.send(asked).await.expect(201);
    let id = placed["order_id"].as_str().expect("an id").to_owned();
    let path = format!("/ui/orders/{id}");
    let session = site.signed_in(&texts[0]).await;
    assert!(html(&site.get(&path, &session).await).contains("nothing of it has left yet"));
    site.service.happen(&id, &TO_THE_CUSTOMER).await;
    let sent = site.submit(&format!("{path}/returns"), &session, &[("note", "too <small>")]).await;
    assert_eq!(said(&site, &sent, &session).await, "The goods are awaited.");
    let page = html(&site.get(&path, &session).await);
    for part in ["too &lt;small&gt;", "Take a return in", "Await a return no longer", "2 CHAI"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let choice = page.split("name=\"return\"").nth(1).expect("a return to choose");
    let one = choice.split("value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let currency = placed["total"]["currency"].as_str().expect("a currency");
    let filled = [
        ("return", one.expect("an awaited return")),
        ("restock", "yes"),
        ("amount", "0.50"),
        ("currency", currency),
        ("note", "as new"),
    ];
    let sent = site.submit(&format!("{path}/receive-return"), &session, &filled).await;
    assert_eq!(said(&site, &sent, &session).await, "The goods are taken in.");
    let page = html(&site.get(&path, &session).await);
    assert!(page.contains("2 of 2 CHAI, 2 for sale again") && page.contains("0.50"), "{page}");
    assert!(page.contains("as new") && !page.contains("Take a return in"), "{page}");
    let session = site.signed_in(&texts[1]).await;
    assert!(html(&site.get(&path, &session).await).contains("your key lacks the scope"));
}
