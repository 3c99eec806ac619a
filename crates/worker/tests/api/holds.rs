//! Holds over HTTP and on the order's page: placed with the order or later, shown, released by id, refused with the reason.

use application::ports::Scope;
use application::saga::EventKind;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, JSON, Service, order_request, places, request};
use crate::pages::{Site, html, keys, said};

const TO_THE_PAYMENT: [EventKind; 2] = [EventKind::OrderValidated, EventKind::InventoryReserved];

fn order(holds: &Value) -> Value {
    json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}], "holds": holds})
}

fn id(order: &Value) -> String {
    order["order_id"].as_str().expect("an id").to_owned()
}

async fn post(service: &Service, key: &str, path: &str, body: &Value) -> Answer {
    let headers = [JSON, ("idempotency-key", key)];
    service.send(request(Method::POST, path, &headers, body.to_string().into())).await
}

#[tokio::test]
async fn an_order_is_on_hold_until_each_of_its_holds_is_released_by_its_id() {
    let service = Service::start().await;
    let wished = json!([{"before": "payment", "reason": "check the address by phone"}]);
    let id = id(&service.order("k", &order(&wished)).await.expect(201));
    let path = format!("/orders/{id}");
    let wish = json!({"before": "payment", "reason": "looks odd", "actor": "eve"});
    let placed = post(&service, "h", &format!("{path}/holds"), &wish).await.expect(201);
    assert_eq!((&placed["before"], &placed["actor"]), (&json!("payment"), &json!("eve")));
    let again = post(&service, "h", &format!("{path}/holds"), &wish).await.expect(201);
    assert_eq!(again, placed, "the same key places one hold");
    service.happen(&id, &TO_THE_PAYMENT).await;

    let shown = service.get(&path).await.expect(200);
    assert_eq!((&shown["status"], &shown["saga_state"]), (&json!("validated"), &json!("on_hold")));
    let holds = shown["holds"].as_array().expect("holds");
    let reasons: Vec<_> = holds.iter().map(|hold| hold["reason"].clone()).collect();
    assert_eq!(reasons, ["check the address by phone", "looks odd"]);
    let listed = service.get("/orders?saga_state=on_hold").await.expect(200);
    assert_eq!(listed["items"][0]["order_id"], json!(id));
    assert_eq!(listed["items"][0]["holds"], Value::Null, "not in listings");
    assert_eq!(service.get("/check").await.expect(200)["broken"], json!([]));

    let release = |hold: &Value| format!("{path}/holds/{}/release", hold["hold_id"].as_str().expect("an id"));
    let by = json!({"actor": "ann", "note": "called them"});
    let first = post(&service, "r1", &release(&holds[0]), &by).await.expect(200);
    assert_eq!(first["outcome"], "released");
    assert_eq!(post(&service, "r2", &release(&holds[0]), &by).await.expect(200)["outcome"], "already");
    assert_eq!(service.get(&path).await.expect(200)["saga_state"], "on_hold");
    post(&service, "r3", &release(&holds[1]), &json!({"actor": "ann"})).await.expect(200);
    let shown = service.get(&path).await.expect(200);
    assert_eq!(
        (&shown["saga_state"], &shown["payment"]["status"]),
        (&json!("inventory_reserved"), &json!("requested"))
    );
    assert_eq!(shown["holds"][0]["released_by"], "ann");
    assert_eq!(shown["holds"][0]["release_note"], "called them");
    let events = service.get("/events").await.expect(200);
    let told = |kind: &str| {
        events["items"].as_array().into_iter().flatten().filter(|event| event["type"] == kind).count()
    };
    assert_eq!((told("HoldPlaced"), told("HoldReleased")), (2, 2), "{events}");
    let audit = service.get("/audit").await.expect(200);
    let actions: Vec<_> =
        audit["items"].as_array().into_iter().flatten().map(|it| it["action"].clone()).collect();
    assert_eq!(
        actions[..3],
        ["orders release: before payment", "orders release: before payment", "orders hold: before payment"]
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_hold_is_named_and_too_late_is_refused_with_the_reason() {
    let service = Service::start().await;
    for (holds, wanted) in [
        (json!([{"before": "delivery", "reason": "x"}]), "/holds/0/before"),
        (json!([{"before": "payment", "reason": ""}]), "/holds/0/reason"),
        (json!([{"before": "payment"}]), "/holds/0/reason"),
        (json!([{"before": "payment", "reason": "x", "by": "me"}]), "/holds/0/by"),
        (json!("payment"), "/holds"),
        (Value::Array(vec![json!({"before": "payment", "reason": "x"}); 11]), "/holds"),
    ] {
        let problem = service.order("k", &order(&holds)).await.problem(422, "validation_failed");
        assert_eq!(places(&problem)[0].0, wanted, "{holds}: {problem}");
    }
    let placed = service.order("k", &order(&json!([]))).await.expect(201);
    let path = format!("/orders/{}/holds", id(&placed));
    for (wish, wanted) in [
        (json!({"before": "delivery", "reason": "x", "actor": "eve"}), "/before"),
        (json!({"before": "payment", "reason": "", "actor": "eve"}), "/reason"),
        (json!({"before": "payment", "reason": "x".repeat(256), "actor": "eve"}), "/reason"),
        (json!({"before": "payment", "reason": "x", "actor": ""}), "/actor"),
        (json!({"before": "payment", "reason": "x"}), "/actor"),
    ] {
        let problem = post(&service, "w", &path, &wish).await.problem(422, "validation_failed");
        assert_eq!(places(&problem)[0].0, wanted, "{wish}: {problem}");
    }
    let wish = |before: &str| json!({"before": before, "reason": "x", "actor": "eve"});
    let seen = json!({"before": "payment", "reason": "x", "actor": "eve", "seen": "2020-01-01T00:00:00Z"});
    post(&service, "s", &path, &seen).await.problem(409, "changed_meanwhile");
    service.happen(&id(&placed), &TO_THE_PAYMENT).await;
    let problem = post(&service, "l", &path, &wish("payment")).await.problem(409, "hold_refused");
    assert!(
        problem["detail"].as_str().is_some_and(|told| told.starts_with("its payment was asked for")),
        "{problem}"
    );
    service.happen(&id(&placed), &[EventKind::PaymentCaptured]).await;
    let problem = post(&service, "m", &path, &wish("shipping")).await.problem(409, "hold_refused");
    assert!(problem["detail"].as_str().is_some_and(|told| told.contains("cancel the order")), "{problem}");
    let nobody = "00000000-0000-7000-8000-000000000000";
    post(&service, "n", &format!("/orders/{nobody}/holds"), &wish("payment"))
        .await
        .problem(404, "order_not_found");
    let release = format!("{path}/{nobody}/release");
    post(&service, "o", &release, &json!({"actor": "ann"})).await.problem(404, "hold_not_found");
    let problem = post(&service, "p", &format!("{path}/7/release"), &json!({"actor": "ann"})).await;
    assert_eq!(places(&problem.problem(400, "invalid_parameter"))[0].0, "hold_id");
}

#[tokio::test]
async fn an_order_with_other_holds_is_another_order() {
    let service = Service::start().await;
    let hold = json!([{"before": "payment", "reason": "x"}]);
    service.order("k", &order(&hold)).await.expect(201);
    service.order("k", &order(&hold)).await.expect(201);
    service.order("k", &order(&json!([]))).await.problem(422, "idempotency_key_reused");
}

#[tokio::test]
async fn who_repeats_an_order_under_its_reference_hears_if_it_never_had_the_hold_that_is_wanted() {
    let service = Service::start().await;
    let hold = json!([{"before": "payment", "reason": "x"}]);
    let named = |reference: &str, holds: &Value| {
        let mut order = order(holds);
        order["external_reference"] = json!(reference);
        order
    };
    service.order("1", &named("PO-7", &json!([]))).await.expect(201);
    let answer = service.order("2", &named("PO-7", &hold)).await;
    let problem = answer.problem(422, "external_reference_reused");
    assert_eq!(places(&problem)[0].0, "/holds/0", "{problem}");
    let first = service.order("3", &named("PO-8", &hold)).await.expect(201);
    assert_eq!(service.order("4", &named("PO-8", &hold)).await.expect(201), first);
    assert_eq!(service.order("5", &named("PO-8", &json!([]))).await.expect(201), first, "it has more");
}

#[tokio::test]
async fn a_person_puts_an_order_on_hold_from_its_page_and_releases_it_there() {
    let (ring, texts) = keys(&[&[Scope::Admin], &[Scope::OrdersRead]]);
    let site = Site::closed(&ring).await;
    let mut asked = order_request("k", order(&json!([])).to_string());
    asked.headers_mut().insert("x-api-key", texts[0].parse().expect("a header"));
    asked.headers_mut().insert("host", "localhost".parse().expect("a header"));
    let id = id(&site.send(asked).await.expect(201));
    let path = format!("/ui/orders/{id}");
    let session = site.signed_in(&texts[0]).await;
    let filled = [("before", "payment"), ("note", "looks <odd>")];
    let sent = site.submit(&format!("{path}/holds"), &session, &filled).await;
    assert_eq!(said(&site, &sent, &session).await, "The order is on hold, or will be once it comes there.");
    site.service.happen(&id, &TO_THE_PAYMENT).await;
    let page = html(&site.get(&path, &session).await);
    for part in ["its holds to be released", "looks &lt;odd&gt;", "Release a hold", ">on hold<"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let choice = page.split("name=\"hold\"").nth(1).expect("a hold to choose");
    let hold = choice.split("value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let filled = [("hold", hold.expect("an open hold")), ("note", "it is fine")];
    let sent = site.submit(&format!("{path}/release"), &session, &filled).await;
    assert_eq!(said(&site, &sent, &session).await, "The hold is released.");
    let page = html(&site.get(&path, &session).await);
    assert!(page.contains("it is fine") && !page.contains("Release a hold"), "{page}");
    let session = site.signed_in(&texts[1]).await;
    assert!(html(&site.get(&path, &session).await).contains("your key lacks the scope"));
}
