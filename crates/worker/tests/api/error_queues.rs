//! A broker's error queues over HTTP: shown without being taken, moved exactly as shown, logged, and told of where there is none.

use bus::AsideCause;
use bus::harness::MemoryErrorQueues;
use serde_json::{Value, json};

use crate::harness::{Service, pairs, places};

async fn shown(service: &Service) -> Vec<Value> {
    let page = service.get("/error-queues/payment_error/messages").await.expect(200);
    page["items"].as_array().expect("items").clone()
}

async fn two() -> (MemoryErrorQueues, Service) {
    let queues = MemoryErrorQueues::beside(&["payment", "shipping"]);
    queues.set_aside("payment", "{\"a\": 1}", "it makes no sense");
    queues.set_aside_as("payment", "no JSON", AsideCause::Expired, "nor does this");
    let service = Service::with_error_queues(&queues).await;
    (queues, service)
}

#[tokio::test]
async fn what_lies_there_is_listed_and_shown_and_stays() {
    let (queues, service) = two().await;
    let list = service.get("/error-queues").await.expect(200);
    let first = json!({
        "name": "payment_error", "queue": "payment", "messages": 2,
        "causes": {"expired": 1, "unreadable": 1},
        "first_reason": "it makes no sense", "last_reason": "nor does this",
    });
    let second = json!({"name": "shipping_error", "queue": "shipping", "messages": 0, "causes": {}});
    assert_eq!(list, json!({"has_broker": true, "items": [first, second]}));
    let messages = shown(&service).await;
    assert_eq!((&messages[0]["body"], &messages[1]["body"]), (&json!({"a": 1}), &json!("no JSON")));
    assert_eq!((&messages[0]["cause"], &messages[1]["cause"]), (&json!("unreadable"), &json!("expired")));
    assert_eq!(shown(&service).await, messages);
    service.get("/error-queues/payment/messages").await.problem(404, "error_queue_not_found");
    queues.be_away(true);
    for path in ["/error-queues", "/error-queues/payment_error/messages"] {
        service.get(path).await.problem(503, "broker_unavailable");
    }
}

#[tokio::test]
async fn exactly_what_was_shown_is_put_back_or_discarded_and_logged() {
    let (queues, service) = two().await;
    let messages = shown(&service).await;
    let wish = |count: usize, mark: &Value| json!({"count": count, "mark": mark, "actor": "eve", "reason": "mended"});
    for wrong in [wish(2, &messages[0]["mark"]), wish(1, &messages[1]["mark"]), wish(3, &messages[1]["mark"])]
    {
        for act in ["put-back", "discard"] {
            let answer = service.post(&format!("/error-queues/payment_error/{act}"), &wrong).await;
            answer.problem(409, "error_queue_changed");
        }
    }
    assert_eq!(service.get("/audit?actor=eve").await.expect(200)["items"], json!([]), "nothing was done");
    let one = wish(1, &messages[0]["mark"]);
    let done = service.post("/error-queues/payment_error/put-back", &one).await.expect(200);
    assert_eq!(done, json!({"name": "payment_error", "moved": 1}));
    assert_eq!(queues.returned(), [("payment".to_owned(), "{\"a\": 1}".into())]);
    service.post("/error-queues/payment_error/put-back", &one).await.problem(409, "error_queue_changed");
    let left = shown(&service).await;
    assert_eq!((left.len(), &left[0]["reason"]), (1, &json!("nor does this")));
    let rest = wish(1, &left[0]["mark"]);
    service.post("/error-queues/payment_error/discard", &rest).await.expect(200);
    assert_eq!((shown(&service).await.len(), queues.returned().len()), (0, 1));
    let log = service.get("/audit?subject=error%20queue%20payment_error").await.expect(200);
    let told: Vec<_> =
        log["items"].as_array().expect("items").iter().map(|it| (&it["action"], &it["note"])).collect();
    let note = json!("mended (1 messages: one without an id)");
    assert_eq!(told, [(&json!("error-queues discard"), &note), (&json!("error-queues put-back"), &note)]);
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_moves_nothing_and_without_a_broker_that_is_said() {
    let (_, service) = two().await;
    let wish = json!({"count": 0, "mark": uuid::Uuid::nil(), "actor": "", "reason": " "});
    let problem = service.post("/error-queues/payment_error/discard", &wish).await;
    let expected = [("/count", "out_of_range"), ("/actor", "empty"), ("/reason", "empty")];
    assert_eq!(places(&problem.problem(422, "validation_failed")), pairs(&expected));
    assert_eq!(shown(&service).await.len(), 2);
    let without = Service::start().await;
    let list = without.get("/error-queues").await.expect(200);
    assert_eq!(list, json!({"has_broker": false, "items": []}));
    without.get("/error-queues/payment_error/messages").await.problem(404, "no_broker");
    let wish = json!({"count": 1, "mark": uuid::Uuid::nil(), "actor": "eve", "reason": "why not"});
    without.post("/error-queues/payment_error/put-back", &wish).await.problem(404, "no_broker");
}
