//! What an order says beside who wants what: kept and shown, refused with the reason, hidden from those who may not see it, erased.

use application::ports::Scope;
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Service, order_request, places, request};
use crate::pages::{Site, html, keys};

fn order() -> Value {
    json!({
        "customer_id": "ALFKI",
        "lines": [{"sku": "CHAI", "quantity": 2}],
        "total": {"minor": 4_410, "currency": "USD"},
        "money_lines": [
            {"kind": "shipping", "label": "by post", "amount": {"minor": 500, "currency": "USD"}},
            {"kind": "tax", "amount": {"minor": 410, "currency": "USD"}},
            {"kind": "discount", "label": "WELCOME", "amount": {"minor": 100, "currency": "USD"}},
        ],
        "contact": {"name": "Ann Example", "email": "ann@example.org"},
        "shipping_address": {"name": "Ann Example", "lines": ["1 Road"], "city": "Cork", "country": "IE"},
        "tags": ["gift"],
        "order_note": "ring twice",
        "metadata": {"basket": "7"},
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut order = order();
    *order.pointer_mut(pointer).expect("it is there") = value;
    order
}

#[tokio::test]
async fn what_an_order_says_is_kept_and_shown_and_its_money_lines_are_in_its_total() {
    let service = Service::start().await;
    let accepted = service.order("k", &order()).await.expect(201);
    assert_eq!(accepted["total"]["minor"], 4_410);
    let path = format!("/orders/{}", accepted["order_id"].as_str().expect("an id"));
    let shown = service.get(&path).await.expect(200);
    for member in ["money_lines", "contact", "shipping_address", "tags", "order_note", "metadata"] {
        assert_eq!(shown[member], order()[member], "{member}");
    }
    let listed = service.get("/orders").await.expect(200);
    assert_eq!(listed["items"][0]["contact"], Value::Null, "not in listings");
    let plain = json!({"customer_id": "ALFKI", "lines": [{"sku": "CHAI", "quantity": 2}]});
    let plain = service.order("plain", &plain).await.expect(201);
    let shown =
        service.get(&format!("/orders/{}", plain["order_id"].as_str().expect("an id"))).await.expect(200);
    assert_eq!((&shown["tags"], &shown["total"]["minor"]), (&Value::Null, &json!(3_600)));
}

#[tokio::test]
async fn what_is_wrong_with_it_is_named_and_a_total_that_does_not_add_up_with_the_difference() {
    let service = Service::start().await;
    let problem =
        service.order("k", &with("/total/minor", json!(4_400))).await.problem(422, "validation_failed");
    let told = problem["errors"][0]["detail"].as_str().expect("a detail");
    assert!(told.contains("the lines come to 36.00 USD and the money lines add 8.10 USD"), "{told}");
    assert!(told.contains("the difference is -0.10 USD"), "{told}");
    for (pointer, value, wanted) in [
        ("/shipping_address/country", json!("Ireland"), "/shipping_address/country"),
        ("/shipping_address/lines", json!(["1", "2", "3", "4", "5", "6", "7"]), "/shipping_address/lines"),
        ("/contact/name", json!(""), "/contact/name"),
        ("/contact/email", json!("x".repeat(300)), "/contact/email"),
        ("/contact", json!({"fax": "1"}), "/contact/fax"),
        ("/money_lines/0/kind", json!("tip"), "/money_lines/0/kind"),
        ("/money_lines/0/amount/minor", json!(-1), "/money_lines/0/amount/minor"),
        ("/money_lines/0/amount/currency", json!("EUR"), "/money_lines"),
        ("/money_lines/2/amount/minor", json!(1_000_000), "/money_lines"),
        ("/tags", json!(vec!["x"; 21]), "/tags"),
        ("/metadata", json!({"x".repeat(41): "y"}), &format!("/metadata/{}", "x".repeat(41))),
        ("/order_note", json!("bell \u{7}"), "/order_note"),
    ] {
        let answer = service.order("k", &with(pointer, value.clone())).await;
        let problem = answer.problem(422, "validation_failed");
        assert_eq!(places(&problem)[0].0, wanted, "{pointer} {value}: {problem}");
    }
    assert_eq!(service.get("/orders").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn who_somebody_is_is_for_those_who_may_see_it_and_can_be_erased_for_good() {
    let (ring, texts) = keys(&[&[Scope::OrdersRead], &[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    let by = async |key: &str, mut asked: http::Request<Body>| {
        asked.headers_mut().insert("x-api-key", key.parse().expect("a header"));
        asked.headers_mut().insert("host", "localhost".parse().expect("a header"));
        site.send(asked).await
    };
    let placed = by(&texts[1], order_request("k", order().to_string())).await.expect(201);
    let path = format!("/orders/{}", placed["order_id"].as_str().expect("an id"));
    let read = async |key: &str| by(key, request(Method::GET, &path, &[], Body::empty())).await.expect(200);
    let hidden = read(&texts[0]).await;
    for secret in ["Ann", "ann@", "Road", "Cork", "ring twice"] {
        assert!(!hidden.to_string().contains(secret), "{secret}: {hidden}");
    }
    assert_eq!(hidden["contact"]["email"], "(hidden)");
    assert_eq!(read(&texts[1]).await["contact"]["email"], "ann@example.org");
    let page = async |key: &str| {
        let session = site.signed_in(key).await;
        html(&site.get(&format!("/ui{path}"), &session).await)
    };
    let shown = page(&texts[1]).await;
    assert!(shown.contains("Ann Example, 1 Road, Cork, IE") && shown.contains("WELCOME"), "{shown}");
    assert!(!page(&texts[0]).await.contains("Ann"));
    let act = async |action: &str| {
        let body = Body::from(json!({"actor": "eve", "note": "she asked for it"}).to_string());
        let to = format!("{path}/{action}");
        by(&texts[1], request(Method::POST, &to, &[crate::harness::JSON], body)).await
    };
    let problem = act("erase-contact").await.problem(409, "address_needed");
    let told = problem["detail"].as_str().expect("a detail");
    assert!(
        told.contains("the order is pending, and its carrier has to be told where the goods go"),
        "{told}"
    );
    assert!(page(&texts[1]).await.contains("Not now: the order is pending, and its carrier"));
    // The country alone stays, and the carrier is told whom to reach.
    let mut by_country = with("/shipping_address", json!({"country": "IE"}));
    by_country["order_note"] = Value::Null;
    let asked = order_request("by country", by_country.to_string());
    let placed = by(&texts[1], asked).await.expect(201);
    let to = format!("/orders/{}/erase-contact", placed["order_id"].as_str().expect("an id"));
    let body = Body::from(json!({"actor": "eve", "note": "she asked"}).to_string());
    let asked = request(Method::POST, &to, &[crate::harness::JSON], body);
    by(&texts[1], asked).await.problem(409, "address_needed");
    act("cancel").await.expect(202);
    let erase = async || act("erase-contact").await.expect(200)["erased"].clone();
    assert_eq!((erase().await, erase().await), (json!("now"), json!("before")));
    let left = read(&texts[1]).await;
    for secret in ["Ann", "ann@", "Road", "Cork", "ring twice", "basket"] {
        assert!(!left.to_string().contains(secret), "{secret}: {left}");
    }
    assert!(page(&texts[1]).await.contains("Not now: it does not say who it is for"));
    assert_eq!(left["shipping_address"], json!({"country": "IE"}), "taxes depend on it");
    assert_eq!((&left["tags"], &left["money_lines"]), (&order()["tags"], &order()["money_lines"]));
    assert_eq!(site.service.get("/check").await.expect(200)["broken"], json!([]));
}
