//! Sagas that need a person, and what the person may do; the books.

use application::saga::EventKind;
use serde_json::json;

use crate::harness::{Service, pairs, places};

async fn stuck(service: &Service) -> String {
    let id = service.placed("k-1", 2).await;
    let way = [
        EventKind::OrderValidated,
        EventKind::InventoryReserved,
        EventKind::PaymentStarted,
        EventKind::CancelRequested,
        EventKind::UndoFailed,
    ];
    service.happen(&id, &way).await;
    id
}

#[tokio::test]
async fn a_saga_that_needs_a_person_is_found_and_may_be_tried_again_or_closed() {
    let service = Service::start().await;
    let id = stuck(&service).await;
    let sagas = service.get("/sagas?state=needs_attention").await.expect(200);
    assert_eq!(sagas["items"][0]["order_id"], id.as_str());
    let who = json!({"actor": "eve", "note": "looked into it"});
    assert_eq!(service.post(&format!("/sagas/{id}/retry"), &who).await.expect(200)["state"], "compensating");
    service.happen(&id, &[EventKind::UndoFailed]).await;
    assert_eq!(service.post(&format!("/sagas/{id}/skip"), &who).await.expect(200)["state"], "failed");
    assert!(
        service.get("/sagas?state=needs_attention").await.expect(200)["items"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    assert_eq!(service.get("/inventory/CHAI").await.expect(200)["available"], 100);
}

#[tokio::test]
async fn a_saga_is_closed_by_force() {
    let service = Service::start().await;
    let id = stuck(&service).await;
    let who = json!({"actor": "eve", "note": "settled by hand"});
    assert_eq!(service.post(&format!("/sagas/{id}/force"), &who).await.expect(200)["state"], "failed");
    assert_eq!(service.get(&format!("/orders/{id}")).await.expect(200)["status"], "cancelled");
}

#[tokio::test]
async fn a_saga_that_needs_nobody_takes_no_operation_and_nobody_operates_without_a_name() {
    let service = Service::start().await;
    let id = service.placed("k-1", 1).await;
    let who = json!({"actor": "eve", "note": "just so"});
    for operation in ["retry", "skip", "force"] {
        let path = format!("/sagas/{id}/{operation}");
        service.post(&path, &who).await.problem(409, "operation_refused");
        let problem = service.post(&path, &json!({"actor": ""})).await.problem(422, "validation_failed");
        assert_eq!(places(&problem), pairs(&[("/note", "missing")]));
        let problem =
            service.post(&path, &json!({"actor": "", "note": ""})).await.problem(422, "validation_failed");
        assert_eq!(places(&problem), pairs(&[("/actor", "empty"), ("/note", "empty")]));
    }
    let nobody = "/sagas/00000000-0000-0000-0000-000000000000/retry";
    service.post(nobody, &who).await.problem(404, "saga_not_found");
}

#[tokio::test]
async fn the_books_are_counted_and_checked() {
    let service = Service::start().await;
    service.placed("k-1", 1).await;
    let overview = service.get("/overview").await.expect(200);
    assert_eq!(overview["orders"]["pending"], 1);
    assert_eq!(overview["sagas"]["created"], 1);
    assert_eq!(service.get("/check").await.expect(200), json!({"broken": []}));
    service.get("/check?against=provider").await.problem(501, "provider_cannot_list");
    service.get("/check?against=memory").await.problem(400, "invalid_parameter");
}

#[tokio::test]
async fn what_was_decided_about_what_has_changed_since_is_not_done() {
    let service = Service::start().await;
    let id = stuck(&service).await;
    let seen = service.get(&format!("/orders/{id}/saga")).await.expect(200)["updated_at"].clone();
    assert_eq!(service.get(&format!("/orders/{id}")).await.expect(200)["saga_moved_at"], seen);
    let retry = json!({"actor": "eve", "note": "looked into it", "seen": seen});
    let skip = json!({"actor": "ann", "note": "settled by hand", "seen": seen});
    let (retry_at, skip_at) = (format!("/sagas/{id}/retry"), format!("/sagas/{id}/skip"));
    let (eve, ann) = tokio::join!(service.post(&retry_at, &retry), service.post(&skip_at, &skip));
    let (done, late) = if eve.status == 200 { (eve, ann) } else { (ann, eve) };
    done.expect(200);
    late.problem(409, "changed_meanwhile");
    for path in ["cancel", "refunds"] {
        let body = match path {
            "cancel" => json!({"actor": "eve", "seen": seen}),
            _ => {
                json!({"actor": "eve", "reason": "x", "amount": {"minor": 1, "currency": "EUR"}, "seen": seen})
            }
        };
        service.post(&format!("/orders/{id}/{path}"), &body).await.problem(409, "changed_meanwhile");
    }
    let unread = json!({"actor": "eve", "note": "x", "seen": "yesterday"});
    let problem = service.post(&skip_at, &unread).await.problem(422, "validation_failed");
    assert_eq!(places(&problem), pairs(&[("/seen", "invalid_time")]));
}
