//! Personal data, seen by keys with and without the scope for it: on every route of the document that only reads, and on
//! every page and export.

use application::consumers::OrderCreatedConsumer;
use application::ports::{Scope, UnitOfWork};
use axum::body::Body;
use bus::{Consumer, Disposition, Settlement, Store, Transport};
use http::{Method, Request};
use orderwright::http::document;
use serde_json::json;

use crate::harness::{Answer, MORNING, Service, order_request, request};
use crate::pages::{Site, keys, pages};

/// What nobody without the scope may read anywhere.
const CUSTOMER: &str = "ann@customers.example";
const TOKEN: &str = "tok_of_ann";

/// All that lets a key read, without personal data.
const READS: &[Scope] = &[Scope::OrdersRead, Scope::StockRead, Scope::Operate];
const READS_ALL: &[Scope] = &[Scope::OrdersRead, Scope::StockRead, Scope::Operate, Scope::PersonalRead];

/// An order of this customer whose first message is a dead letter; its id.
async fn troubled(service: &Service, send: impl AsyncFn(Request<Body>) -> Answer) -> String {
    let mut feed = service.store.subscribe(OrderCreatedConsumer::QUEUE).await.expect("a feed");
    let order = json!({"customer_id": CUSTOMER, "external_reference": "shop-1", "payment_token": TOKEN,
        "lines": [{"sku": "CHAI", "quantity": 1}]});
    let placed = send(order_request("one", order.to_string())).await.expect(201);
    let delivery = feed.receive(1).await.expect("a message").remove(0);
    let mut unit: Box<dyn UnitOfWork> = service.store.begin().await.expect("a unit");
    let disposition = Disposition::DeadLetter { reason: "it makes no sense".to_owned() };
    unit.settle(vec![Settlement { delivery, disposition, at: MORNING.parse().expect("a time") }])
        .await
        .expect("settled");
    unit.commit().await.expect("committed");
    placed["order_id"].as_str().expect("an id").to_owned()
}

/// Every address of the document that only reads, filled in for this order.
fn addresses(order: &str) -> Vec<String> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let reads = paths.iter().filter(|(_, methods)| methods.get("get").is_some());
    reads
        .map(|(path, _)| {
            path.replace("{order_id}", order).replace("{sku}", "CHAI").replace("{position}", "1")
        })
        .collect()
}

fn told(answer: &Answer) -> bool {
    let body = String::from_utf8_lossy(&answer.body);
    body.contains(CUSTOMER) || body.contains(TOKEN)
}

#[tokio::test]
async fn personal_data_is_shown_to_keys_of_its_scope_alone() {
    let (ring, texts) = keys(&[READS, READS_ALL, &[Scope::Admin]]);
    let site = Site::closed(&ring).await;
    let by = async |key: &str, mut asked: Request<Body>| {
        asked.headers_mut().insert("x-api-key", key.parse().expect("a header"));
        asked.headers_mut().insert("host", "localhost".parse().expect("a header"));
        site.send(asked).await
    };
    let order = troubled(&site.service, async |asked| by(&texts[2], asked).await).await;
    let mut sessions = Vec::new();
    for text in &texts {
        sessions.push(site.signed_in(text).await);
    }
    site.live.look().await.expect("a look");
    let mut shown = [0, 0, 0];
    let mut places = addresses(&order);
    places.extend(["/orders?find=shop-1".to_owned(), format!("/orders?customer_id={CUSTOMER}")]);
    for path in places {
        for (key, shown) in texts.iter().zip(&mut shown) {
            let answer = by(key, request(Method::GET, &path, &[], Body::empty())).await;
            *shown += usize::from(told(&answer));
            assert!(key != &texts[0] || !told(&answer), "{path} tells {:?}", answer.body);
        }
    }
    let things = [format!("/ui/orders/{order}"), "/ui/stock/CHAI".to_owned()];
    let files = ["/ui/orders.csv".to_owned(), "/ui/orders.ndjson".to_owned()];
    let letters = ["/ui/dead-letters?reason_contains=sense".to_owned()];
    for path in pages().chain(things).chain(files).chain(letters) {
        for (session, shown) in sessions.iter().zip(&mut shown) {
            let answer = site.get(&path, session).await;
            assert_eq!(answer.status.as_u16(), 200, "{path}");
            *shown += usize::from(told(&answer));
            assert!(session != &sessions[0] || !told(&answer), "{path} tells {:?}", answer.body);
        }
    }
    assert!(shown[0] == 0 && shown[1] >= 8 && shown[1] == shown[2], "{shown:?}");
    let page = site.get(&format!("/ui/orders/{order}"), &sessions[0]).await;
    assert!(String::from_utf8_lossy(&page.body).contains("(hidden)"));
}
