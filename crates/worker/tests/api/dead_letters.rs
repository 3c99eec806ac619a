//! Messages set aside: shown with their reason, grouped by cause, put back and archived, each with its result.

use application::consumers::OrderCreatedConsumer;
use application::ports::UnitOfWork;
use bus::{Consumer, Disposition, Settlement, Store, Transport};
use serde_json::{Value, json};

use crate::harness::{MORNING, Service, pairs, places};

/// Places an order for each of these errors and sets the message about it aside; the orders' ids.
pub(crate) async fn set_aside(service: &Service, reasons: &[&str]) -> Vec<String> {
    let queue = OrderCreatedConsumer::QUEUE;
    let mut feed = service.store.subscribe(queue).await.expect("a feed");
    let mut ids = Vec::new();
    for (number, reason) in reasons.iter().enumerate() {
        ids.push(service.placed(&format!("{reason} {number}"), 1).await);
        let delivery = feed.receive(1).await.expect("a message").remove(0);
        let mut unit: Box<dyn UnitOfWork> = service.store.begin().await.expect("a unit");
        let disposition = Disposition::DeadLetter { reason: (*reason).to_owned() };
        let at = MORNING.parse().expect("a time");
        unit.settle(vec![Settlement { delivery, disposition, at }]).await.expect("settled");
        unit.commit().await.expect("committed");
    }
    ids
}

/// How many dead letters a listing has.
async fn listed(service: &Service, query: &str) -> usize {
    let page = service.get(&format!("/dead-letters{query}")).await.expect(200);
    page["items"].as_array().expect("items").len()
}

#[tokio::test]
async fn a_message_that_was_set_aside_is_shown_with_its_reason() {
    let service = Service::start().await;
    let id = set_aside(&service, &["it makes no sense"]).await.remove(0);
    let letters = service.get("/dead-letters").await.expect(200);
    assert_eq!(letters["items"][0]["reason"], "it makes no sense");
    assert_eq!(letters["items"][0]["body"]["order_id"], id.as_str());
    assert_eq!(listed(&service, "?queue=another").await, 0);
    assert_eq!(listed(&service, "?reason_contains=no%20sense&kind=OrderCreatedEvent").await, 1);
    assert_eq!(service.get("/overview").await.expect(200)["dead_letters"], 1);
}

#[tokio::test]
async fn messages_set_aside_for_one_cause_are_one_group_that_leads_to_them() {
    let service = Service::start().await;
    set_aside(&service, &["no rate for 'EUR' at 7", "it broke", "no rate for 'JPY' at 12"]).await;
    let groups = service.get("/dead-letters/groups").await.expect(200);
    let told = |group: &Value| (group["pattern"].clone(), group["count"].clone());
    let items = groups["items"].as_array().expect("items");
    let expected = [(json!("no rate for '…' at #"), json!(2)), (json!("it broke"), json!(1))];
    assert_eq!(items.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!((&groups["is_partial"], &groups["has_more"]), (&json!(false), &json!(false)));
    let key = items[0]["key"].as_str().expect("a key");
    let letters = service.get(&format!("/dead-letters?group={key}")).await.expect(200);
    assert_eq!(letters["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(letters["items"][1]["position"], items[0]["sample"]);
    assert_eq!(letters["items"][0]["group"], key);
    let first = service.get("/dead-letters/groups?limit=1").await.expect(200);
    assert_eq!((first["items"].as_array().map(Vec::len), &first["has_more"]), (Some(1), &json!(true)));
    let broken = service.get("/dead-letters/groups?reason_contains=broke").await.expect(200);
    assert_eq!(broken["items"], json!([items[1]]));
    for query in ["?group=7", "?group=zzzzzzzzzzzzzzzz", "/groups?cursor=x", "/groups?group=7"] {
        service.get(&format!("/dead-letters{query}")).await.problem(400, "invalid_parameter");
    }
}

/// The outcomes of a request, and how many it says were moved.
fn outcomes(done: &Value) -> (Vec<&str>, i64) {
    let items = done["items"].as_array().expect("items").iter();
    let outcomes = items.map(|item| item["outcome"].as_str().expect("an outcome"));
    (outcomes.collect(), done["moved"].as_i64().expect("a number"))
}

#[tokio::test]
async fn what_matches_is_put_back_up_to_the_bound_and_each_is_answered_for() {
    let service = Service::start().await;
    set_aside(&service, &["no rate 1", "no rate 2", "it broke", "no rate 3"]).await;
    let groups = service.get("/dead-letters/groups").await.expect(200);
    let key = groups["items"][0]["key"].clone();
    let mut wish = json!({
        "group": key, "max": 2, "per_second": 10_000, "dry_run": true, "actor": "eve", "note": "rates are there",
    });
    let dry = service.post("/dead-letters/redrive", &wish).await.expect(200);
    assert_eq!(outcomes(&dry), (vec!["left", "left"], 0));
    assert_eq!((&dry["dry_run"], &dry["has_more"]), (&json!(true), &json!(true)));
    assert_eq!(listed(&service, "").await, 4, "nothing was changed");
    assert_eq!(service.get("/audit?actor=eve").await.expect(200)["items"], json!([]));
    wish["dry_run"] = json!(false);
    let done = service.post("/dead-letters/redrive", &wish).await.expect(200);
    assert_eq!(outcomes(&done), (vec!["redriven", "redriven"], 2));
    let positions = |answer: &Value| {
        let items = answer["items"].as_array().expect("items").iter();
        items.map(|item| item["position"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(positions(&done), positions(&dry), "what was shown was done");
    assert_eq!(listed(&service, "").await, 2);
    let log = service.get("/audit?actor=eve").await.expect(200);
    assert_eq!(log["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(log["items"][0]["action"], "dead-letters redrive");
    assert_eq!(log["items"][0]["subject"], format!("dead letter {}", done["items"][1]["position"]));
    assert!(log["items"][0]["note"].as_str().is_some_and(|note| note.starts_with("rates are there (OrderC")));
    let rest = service.post("/dead-letters/redrive", &wish).await.expect(200);
    assert_eq!((outcomes(&rest), &rest["has_more"]), ((vec!["redriven"], 1), &json!(false)));
    assert_eq!(service.get("/dead-letters").await.expect(200)["items"][0]["reason"], "it broke");
}

#[tokio::test]
async fn what_is_discarded_is_kept_with_its_note_and_can_be_put_back_by_its_message() {
    let service = Service::start().await;
    set_aside(&service, &["it broke", "no rate 2"]).await;
    let wish = json!({"reason_contains": "rate", "actor": "ann", "note": "an old test"});
    let done = service.post("/dead-letters/discard", &wish).await.expect(200);
    assert_eq!(outcomes(&done), (vec!["archived"], 1));
    assert_eq!(listed(&service, "").await, 1);
    assert_eq!(
        service.get("/overview").await.expect(200)["dead_letters"],
        1,
        "nobody is told of it any more"
    );
    let kept = service.get("/dead-letters?archived=true").await.expect(200)["items"][0].clone();
    assert_eq!((&kept["archived_by"], &kept["archive_note"]), (&json!("ann"), &json!("an old test")));
    assert!(kept["archived_at"].as_str().is_some_and(|at| at.starts_with(&MORNING[..16])), "{kept}");
    assert_eq!(kept["reason"], "no rate 2");
    let again = service.post("/dead-letters/discard", &wish).await.expect(200);
    assert_eq!(outcomes(&again), (vec![], 0));
    let all = json!({"actor": "ann", "note": "all of it"});
    let done = service.post("/dead-letters/redrive", &all).await.expect(200);
    assert_eq!(outcomes(&done), (vec!["redriven"], 1), "an archived one is not meant by that");
    let one = json!({"message_id": kept["message_id"], "actor": "ann", "note": "needed after all"});
    let done = service.post("/dead-letters/redrive", &one).await.expect(200);
    assert_eq!((outcomes(&done), &done["items"][0]["position"]), ((vec!["redriven"], 1), &kept["position"]));
    assert_eq!((listed(&service, "").await, listed(&service, "?archived=true").await), (0, 0));
    let log = service.get("/audit?actor=ann").await.expect(200);
    let actions: Vec<&Value> =
        log["items"].as_array().expect("items").iter().map(|it| &it["action"]).collect();
    assert_eq!(actions, ["dead-letters redrive", "dead-letters redrive", "dead-letters discard"]);
}

#[tokio::test]
async fn a_wish_that_makes_no_sense_moves_nothing() {
    let service = Service::start().await;
    set_aside(&service, &["it broke"]).await;
    for act in ["redrive", "discard"] {
        let path = format!("/dead-letters/{act}");
        let wish = json!({"max": 1_001, "group": "7", "actor": "", "note": " "});
        let problem = service.post(&path, &wish).await.problem(422, "validation_failed");
        let expected =
            [("/group", "invalid_value"), ("/max", "out_of_range"), ("/actor", "empty"), ("/note", "empty")];
        assert_eq!(places(&problem), pairs(&expected), "{act}");
        let mistyped = json!({"reason": "broke", "actor": "eve", "note": "n"});
        service.post(&path, &mistyped).await.problem(422, "validation_failed");
    }
    let too_fast = json!({"per_second": 0, "actor": "eve", "note": "n"});
    service.post("/dead-letters/redrive", &too_fast).await.problem(422, "validation_failed");
    assert_eq!(listed(&service, "").await, 1);
}

#[tokio::test]
async fn of_two_who_move_what_both_saw_one_does_and_the_other_is_told() {
    let service = Service::start().await;
    set_aside(&service, &["it broke", "it broke", "it broke", "it broke"]).await;
    let seen = service.get("/dead-letters").await.expect(200)["items"][0]["position"].clone();
    let two = json!({"max": 2, "actor": "eve", "note": "mended", "seen": seen});
    assert_eq!(service.post("/dead-letters/redrive", &two).await.expect(200)["moved"], 2);
    for act in ["redrive", "discard"] {
        service.post(&format!("/dead-letters/{act}"), &two).await.problem(409, "changed_meanwhile");
    }
    assert_eq!(listed(&service, "").await, 2);
}
