//! What an order says beside who wants what: kept and shown, refused with the reason, hidden from those who may not see it, erased.

use application::ports::Scope;
use application::saga::EventKind;
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, JSON, Service, order_request, places, request};
use crate::pages::{Site, html, keys, said};

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
        by(&texts[1], request(Method::POST, &to, &[JSON], body)).await
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
    let asked = request(Method::POST, &to, &[JSON], body);
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

async fn change(service: &Service, path: &str, body: &Value) -> Answer {
    service.send(request(Method::PATCH, path, &[JSON], body.to_string().into())).await
}

#[tokio::test]
async fn whom_an_order_is_for_and_where_it_goes_is_changed_until_its_carrier_is_asked() {
    let service = Service::start().await;
    let placed = service.order("k", &order()).await.expect(201);
    let id = placed["order_id"].as_str().expect("an id").to_owned();
    let path = format!("/orders/{id}");
    let elsewhere = json!({"lines": ["2 Strand"], "city": "Galway", "country": "IE"});
    let wish = json!({"shipping_address": elsewhere, "actor": "eve", "note": "they moved"});
    let changed = change(&service, &path, &wish).await.expect(200);
    assert_eq!(changed, json!({"order_id": id, "changed": ["shipping_address"]}));
    assert_eq!(change(&service, &path, &wish).await.expect(200)["changed"], json!([]));
    let shown = service.get(&path).await.expect(200);
    assert_eq!(shown["shipping_address"], elsewhere);
    for member in ["contact", "tags", "order_note", "metadata", "money_lines"] {
        assert_eq!(shown[member], order()[member], "{member} stays");
    }
    let wish = json!({"contact": {}, "billing_address": {"country": "FR"}, "actor": "eve"});
    let changed = change(&service, &path, &wish).await.expect(200);
    assert_eq!(changed["changed"], json!(["contact", "billing_address"]));
    assert_eq!(service.get(&path).await.expect(200)["contact"], Value::Null);
    let audit = service.get("/audit").await.expect(200);
    let actions: Vec<_> =
        audit["items"].as_array().into_iter().flatten().map(|it| it["action"].clone()).collect();
    assert_eq!(actions[..2], ["orders change: contact, billing_address", "orders change: shipping_address"]);
    let events = service.get("/events").await.expect(200);
    let told = events["items"].as_array().into_iter().flatten();
    assert_eq!(told.filter(|event| event["type"] == "OrderChanged").count(), 2, "{events}");

    let seen = json!({"contact": {"name": "Eve"}, "actor": "eve", "seen": "2020-01-01T00:00:00Z"});
    change(&service, &path, &seen).await.problem(409, "changed_meanwhile");
    service
        .happen(&id, &[EventKind::OrderValidated, EventKind::InventoryReserved, EventKind::PaymentCaptured])
        .await;
    let problem = change(&service, &path, &wish).await.problem(409, "too_late_to_change");
    let told = problem["detail"].as_str().expect("a detail");
    assert!(
        told.starts_with("the order is paid, and its carrier is being asked to book the parcel"),
        "{told}"
    );
    let nobody = "/orders/00000000-0000-7000-8000-000000000000";
    change(&service, nobody, &wish).await.problem(404, "order_not_found");
}

#[tokio::test]
async fn what_is_wrong_with_a_change_of_an_order_is_named_and_nothing_is_changed() {
    let service = Service::start().await;
    let placed = service.order("k", &order()).await.expect(201);
    let path = format!("/orders/{}", placed["order_id"].as_str().expect("an id"));
    for (wish, wanted) in [
        (json!({"shipping_address": {"country": "Ireland"}}), "/shipping_address/country"),
        (json!({"shipping_address": {"city": "Cork"}}), "/shipping_address/country"),
        (json!({"billing_address": {"country": "IE", "lines": vec!["x"; 7]}}), "/billing_address/lines"),
        (json!({"contact": {"email": "x".repeat(300)}}), "/contact/email"),
        (json!({"contact": {"email": "(hidden)"}}), "/contact"),
        (json!({"shipping_address": {"country": "IE", "lines": ["(hidden)"]}}), "/shipping_address"),
        (json!({"tags": ["x"]}), "/tags"),
        (json!({"actor": ""}), "/actor"),
    ] {
        let mut body = json!({"actor": "eve"});
        body.as_object_mut().expect("an object").extend(wish.as_object().expect("an object").clone());
        let problem = change(&service, &path, &body).await.problem(422, "validation_failed");
        assert_eq!(places(&problem)[0].0, wanted, "{wish}: {problem}");
    }
    let shown = service.get(&path).await.expect(200);
    assert_eq!(
        (&shown["contact"], &shown["shipping_address"]),
        (&order()["contact"], &order()["shipping_address"])
    );
}

#[tokio::test]
async fn an_order_is_sent_elsewhere_from_its_page() {
    let (ring, texts) = keys(&[&[Scope::Admin], &[Scope::OrdersRead, Scope::PersonalRead]]);
    let site = Site::closed(&ring).await;
    let mut asked = order_request("k", order().to_string());
    asked.headers_mut().insert("x-api-key", texts[0].parse().expect("a header"));
    asked.headers_mut().insert("host", "localhost".parse().expect("a header"));
    let placed = site.send(asked).await.expect(201);
    let path = format!("/ui/orders/{}", placed["order_id"].as_str().expect("an id"));
    let session = site.signed_in(&texts[0]).await;
    let filled = [
        ("shipping_address.lines", "Flat 3; 2 Strand"),
        ("shipping_address.country", "IE"),
        ("contact.name", " "),
        ("note", "moved"),
    ];
    let sent = site.submit(&format!("{path}/change"), &session, &filled).await;
    assert_eq!(said(&site, &sent, &session).await, "The order is changed.");
    let page = html(&site.get(&path, &session).await);
    assert!(page.contains("Flat 3, 2 Strand, IE") && !page.contains("Cork"), "{page}");
    assert!(page.contains("ann@example.org"), "an empty field changes nothing");
    let session = site.signed_in(&texts[1]).await;
    assert!(html(&site.get(&path, &session).await).contains("your key lacks the scope"));
}
