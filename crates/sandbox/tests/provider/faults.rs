//! Every injected fault, seen from the client, and the same again with the same seed.

use std::collections::BTreeMap;
use std::time::Duration;

use orderwright_sandbox::{FaultSettings, Faults, Settings};
use serde_json::{Value, json};

use crate::client::{Answer, Client, NoAnswer, charge_of, charge_with, payment_faults, perfect, sandbox};

const ATTEMPTS: usize = 4;

fn word(answer: &Result<Answer, NoAnswer>) -> String {
    match answer {
        Ok(answer) => format!("{} {}", answer.status, answer.brief().1),
        Err(NoAnswer) => "no answer".to_owned(),
    }
}

async fn life_of(client: Client, key: String) -> (String, Vec<String>) {
    let mut seen = Vec::new();
    for _ in 0..ATTEMPTS {
        seen.push(word(&client.try_charge(&key, charge_of(&key)).await));
    }
    (key, seen)
}

/// What every key lived through, the keys being charged at the same time in the given order.
async fn lives(settings: Settings, keys: impl Iterator<Item = usize>) -> BTreeMap<String, Vec<String>> {
    let (running, client) = sandbox(settings).await;
    let calls: Vec<_> = keys.map(|n| tokio::spawn(life_of(client.clone(), format!("pay-{n}")))).collect();
    let mut lives = BTreeMap::new();
    for call in calls {
        lives.extend([call.await.expect("a life")]);
    }
    running.stop().await;
    lives
}

fn storm() -> Settings {
    payment_faults(Faults {
        decline_permille: 100,
        server_error_permille: 150,
        throttle_permille: 150,
        hang_permille: 100,
        lose_response_permille: 150,
        other_amount_permille: 50,
        latency_ms: (0, 2),
        hang_ms: 5,
        ..Faults::default()
    })
}

#[tokio::test]
async fn the_same_seed_gives_every_key_the_same_faults_in_whatever_order_they_arrive() {
    let forwards = lives(storm(), 0..60).await;
    let backwards = lives(storm(), (0..60).rev()).await;
    assert_eq!(forwards, backwards);
    let elsewhere = lives(Settings { seed: 2, ..storm() }, 0..60).await;
    assert_ne!(forwards, elsewhere);
}

#[tokio::test]
async fn a_storm_has_every_kind_of_fault_and_every_key_gets_through_in_the_end() {
    let lives = lives(storm(), 0..60).await;
    let all: Vec<&String> = lives.values().flatten().collect();
    for kind in ["201 captured", "402 card_declined", "429 throttled", "503 server_error", "no answer"] {
        assert!(all.iter().any(|seen| *seen == kind), "{kind}");
    }
    let definite = |seen: &String| seen.starts_with("201") || seen.starts_with("402");
    assert!(lives.values().all(|life| life.iter().take(3).any(definite)));
}

#[tokio::test]
async fn a_storm_never_charges_a_key_twice() {
    let (running, client) = sandbox(storm()).await;
    for n in 0..40 {
        life_of(client.clone(), format!("pay-{n}")).await;
    }
    let stats = running.stats();
    assert!(stats.faults.responses_lost > 0 && stats.faults.hung > 0);
    assert_eq!(stats.payments.charges + stats.payments.declined, 40);
    assert_eq!((stats.payments.keys_charged_twice, stats.payments.references_charged_twice), (0, 0));
}

#[tokio::test]
async fn a_throttled_or_failed_call_did_nothing_and_says_when_to_come_back() {
    for (faults, status) in [
        (Faults { throttle_permille: 1000, ..Faults::default() }, 429),
        (Faults { server_error_permille: 1000, ..Faults::default() }, 503),
    ] {
        let (running, client) = sandbox(payment_faults(faults)).await;
        let answer = client.charge("pay-1", charge_of("order-1")).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 429);
        assert_eq!(client.charge_by_key("pay-1").await.status, 404);
        client.charge("pay-1", charge_of("order-1")).await;
        assert_eq!(client.charge("pay-1", charge_of("order-1")).await.status, 201);
        assert_eq!(running.stats().payments.charges, 1);
    }
}

#[tokio::test]
async fn a_lost_response_left_a_charge_behind_on_both_http_versions() {
    let (running, http1) = perfect().await;
    let http2 = Client::http2(&format!("http://{}", running.addr));
    for (key, client) in [("pay-1", http1), ("pay-2", http2)] {
        for _ in 0..2 {
            assert!(client.try_charge(key, charge_with(key, "tok_lose")).await.is_err());
        }
        assert_eq!(client.charge_by_key(key).await.brief(), (200, "captured"));
        assert_eq!(client.charge(key, charge_with(key, "tok_lose")).await.brief(), (201, "captured"));
    }
    assert_eq!((running.stats().payments.charges, running.stats().faults.responses_lost), (2, 4));
}

#[tokio::test]
async fn a_hung_call_was_done_or_was_not_and_the_lookup_knows_which() {
    let settings = payment_faults(Faults { hang_ms: 20, ..Faults::default() });
    let (_running, client) = sandbox(settings).await;
    let mut ends = std::collections::BTreeSet::new();
    for n in 0..12 {
        let key = format!("pay-{n}");
        let late = client.charge(&key, charge_with(&key, "tok_hang")).await;
        let found = client.charge_by_key(&key).await;
        assert_eq!(late.status == 201, found.status == 200);
        ends.insert(late.status);
    }
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), [201, 503]);
}

#[tokio::test]
async fn a_hung_charge_happens_though_its_client_gave_up() {
    let settings = payment_faults(Faults { hang_ms: 300, ..Faults::default() });
    let (running, client) = sandbox(settings).await;
    for n in 0..8 {
        let (client, key) = (client.clone(), format!("pay-{n}"));
        let call = tokio::spawn(async move { client.try_charge(&key, charge_with(&key, "tok_hang")).await });
        while running.stats().faults.hung == n {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.is_err_and(|ended| ended.is_cancelled()));
    }
    while client.get("/stats").await.body["payments"]["charges"] == 0 {}
}

#[tokio::test]
async fn a_key_cancelled_while_its_charge_hangs_is_not_charged() {
    let settings = payment_faults(Faults { hang_ms: 200, ..Faults::default() });
    let (running, client) = sandbox(settings).await;
    let keys: Vec<String> = (0..8).map(|n| format!("pay-{n}")).collect();
    let hanging: Vec<_> = keys
        .iter()
        .map(|key| {
            let (client, key) = (client.clone(), key.clone());
            tokio::spawn(async move { client.charge(&key, charge_with(&key, "tok_hang")).await.status })
        })
        .collect();
    while running.stats().faults.hung < 8 {
        tokio::task::yield_now().await;
    }
    for key in &keys {
        assert_eq!(client.cancel_charge(key).await.brief(), (200, "voided"));
    }
    for call in hanging {
        assert!([409, 503].contains(&call.await.expect("an answer")));
    }
    assert_eq!(running.stats().payments.charges, 0);
}

#[tokio::test]
async fn a_refund_fails_for_as_long_as_its_reference_is_listed() {
    let (running, client) = perfect().await;
    let faults =
        FaultSettings { refund_fails_references: vec!["order-1".to_owned()], ..FaultSettings::default() };
    running.faults().replace(faults);
    client.charge("pay-1", charge_of("order-1")).await;
    client.charge("pay-2", charge_with("order-2", "tok_refund_fails")).await;
    for key in ["pay-1", "pay-1", "pay-1", "pay-2"] {
        assert_eq!(client.cancel_charge(key).await.brief(), (503, "refund_unavailable"));
    }
    running.faults().replace(FaultSettings::default());
    assert_eq!(client.cancel_charge("pay-1").await.brief(), (200, "refunded"));
}

#[tokio::test]
async fn refunds_have_faults_of_their_own() {
    let refunds = Faults { decline_permille: 1000, ..Faults::default() };
    let faults = FaultSettings { refunds, ..FaultSettings::default() };
    let (_running, client) = sandbox(Settings { faults, ..Settings::default() }).await;
    assert_eq!(client.charge("pay-1", charge_of("order-1")).await.brief(), (201, "captured"));
    assert_eq!(client.cancel_charge("pay-1").await.brief(), (422, "refund_refused"));
}

#[tokio::test]
async fn an_answer_with_another_amount_belongs_to_a_call_that_was_done_and_the_next_is_right() {
    let (running, client) = perfect().await;
    let others = json!({"other_amount_permille": 1000});
    let faults = json!({"payments": others, "refunds": others, "fault_repeat_max": 1});
    assert_eq!(client.put("/faults", faults).await.status, 200);
    let sums = |answer: &Answer| {
        ["amount_minor", "captured_minor", "refunded_minor"].map(|name| answer.body[name].as_i64())
    };
    let charge = || client.charge("pay-1", charge_of("order-1"));
    let (wrong, right) = (charge().await, charge().await);
    assert_eq!((wrong.brief(), right.brief()), ((201, "captured"), (201, "captured")));
    assert_eq!(sums(&wrong), [Some(1249), Some(1249), Some(0)]);
    assert_eq!(sums(&right), [Some(1250), Some(1250), Some(0)]);
    let (wrong, right) = (client.charge_by_key("pay-1").await, client.charge_by_key("pay-1").await);
    assert_eq!((sums(&wrong)[1], sums(&right)[1]), (Some(1249), Some(1250)));
    let (wrong, right) = (client.cancel_charge("pay-1").await, client.cancel_charge("pay-1").await);
    assert_eq!((sums(&wrong)[2], sums(&right)[2]), (Some(1249), Some(1250)));
    let stats = running.stats();
    assert_eq!((stats.faults.other_amounts, stats.payments.charges), (3, 1));
    let money = &stats.payments.money["USD"];
    assert_eq!((money.captured_minor, money.refunded_minor), (1250, 1250), "the books are right");
    assert_eq!(client.charge_by_key("pay-2").await.status, 404, "what names no amount stays as it is");
}

#[tokio::test]
async fn shipping_has_the_same_faults() {
    for (faults, expected) in [
        (json!({"throttle_permille": 1000}), "429 throttled"),
        (json!({"server_error_permille": 1000}), "503 server_error"),
        (json!({"lose_response_permille": 1000}), "no answer"),
        (json!({"decline_permille": 1000}), "422 address_rejected"),
    ] {
        let (_running, client) = perfect().await;
        assert_eq!(client.put("/faults", json!({ "shipping": faults })).await.status, 200);
        let body = json!({"reference": "order-1"}).to_string();
        let seen = client.send(http::Method::POST, "/shipments", Some("ship-1"), body).await;
        assert_eq!(word(&seen), expected);
    }
}

#[tokio::test]
async fn every_call_takes_the_latency_it_is_told_to() {
    let (_running, client) =
        sandbox(payment_faults(Faults { latency_ms: (30, 40), ..Faults::default() })).await;
    let started = std::time::Instant::now();
    client.charge("pay-1", charge_of("order-1")).await;
    client.charge_by_key("pay-1").await;
    assert!(started.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_paused_provider_hangs_or_is_down_and_the_other_side_goes_on() {
    let (running, client) = perfect().await;
    client.post("/pause", "-", json!({"payments": "down"})).await;
    assert_eq!(client.charge("pay-1", charge_of("order-1")).await.brief(), (503, "down"));
    assert_eq!(client.book("ship-1", "order-1").await.status, 201);
    client.post("/pause", "-", json!({"payments": "hang"})).await;
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.charge("pay-1", charge_of("order-1")).await })
    };
    let mut waiting = std::pin::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting.as_mut()).await.is_err());
    assert_eq!(running.stats().payments.charges, 0);
    client.post("/pause", "-", json!({"payments": "up"})).await;
    assert_eq!(waiting.await.expect("an answer").brief(), (201, "captured"));
}

#[tokio::test]
async fn a_misspelt_fault_is_refused_and_changes_nothing() {
    let (_running, client) = perfect().await;
    let before: Value = client.get("/faults").await.body;
    assert_eq!(client.put("/faults", json!({"payments": {"hang_permill": 1}})).await.status, 400);
    assert_eq!(client.get("/faults").await.body, before);
}

#[tokio::test]
async fn a_rate_set_at_run_time_turns_away_what_is_beyond_it_questions_too_and_does_nothing() {
    for retry_after_s in [0_u32, 3] {
        let (running, client) = perfect().await;
        let faults = json!({"payments": {"rate_per_second": 2, "rate_retry_after_s": retry_after_s}});
        assert!(client.put("/faults", faults).await.status < 300);
        let mut statuses = Vec::new();
        for n in 0..4 {
            let answer = client.charge(&format!("pay-{n}"), charge_of(&format!("order-{n}"))).await;
            let named =
                answer.headers.get("retry-after").map(|value| value.to_str().expect("a number").to_owned());
            let told = (answer.status == 429 && retry_after_s > 0).then(|| retry_after_s.to_string());
            assert_eq!(named, told, "{}", answer.status);
            statuses.push(answer.status);
        }
        assert_eq!(statuses[..2], [201, 201], "a second's worth at once");
        assert!(statuses.contains(&429), "{statuses:?}");
        let charged = statuses.iter().filter(|status| **status == 201).count() as u64;
        assert_eq!(running.stats().payments.charges, charged);
        assert_eq!(running.stats().faults.throttled, 4 - charged);
        assert_eq!(client.charge_by_key("pay-0").await.status, 429, "a question is a call like any other");
        assert_eq!(client.book("ship-1", "order-1").await.status, 201, "another endpoint has its own rate");
    }
}
