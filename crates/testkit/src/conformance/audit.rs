//! Laws of the log of what persons did: every entry is kept, and found by who and by what, latest first and page by page.

use application::ports::{ApiKey, AuditEntry, AuditFilter, AuditView, Scope};
use bus::Signed;

use super::stage::{NOW, later};
use super::{Home, Process};

fn entry(number: i64, actor: &str, subject: &str) -> AuditEntry {
    AuditEntry {
        at: later(number),
        actor: actor.to_owned(),
        action: format!("act {number}"),
        subject: subject.to_owned(),
        note: format!("because of 'it', {number}"),
    }
}

/// All entries of a filter, page by page.
async fn walked(process: &Process, mut filter: AuditFilter, size: usize) -> Vec<AuditView> {
    let mut found = Vec::new();
    loop {
        let page = process.readers.audit(&filter, size).await.unwrap();
        assert!(page.items.len() <= size);
        found.extend(page.items);
        if !page.has_more {
            return found;
        }
        filter.before = found.last().map(|entry| entry.position);
    }
}

fn actions(found: &[AuditView]) -> Vec<&str> {
    found.iter().map(|entry| entry.action.as_str()).collect()
}

/// Written in units of their own and together, read by who, by what, and by both.
pub async fn what_persons_did_is_found_by_who_and_by_what_latest_first(home: &mut impl Home) {
    let process = home.process().await;
    assert_eq!(process.readers.audit(&AuditFilter::default(), 9).await.unwrap().items, []);
    let entries = [entry(1, "eve", "A"), entry(2, "ann", "A"), entry(3, "eve", "B"), entry(4, "eve", "A")];
    let mut unit = process.unit().await;
    unit.audit().record(&entries[..3]).await.unwrap();
    unit.commit().await.unwrap();
    let mut unit = process.unit().await;
    unit.audit().record(&entries[3..]).await.unwrap();
    unit.commit().await.unwrap();
    let mut dropped = process.unit().await;
    dropped.audit().record(&[entry(5, "eve", "A")]).await.unwrap();
    drop(dropped);
    let text = |text: &str| Some(text.to_owned());
    let any = AuditFilter::default;
    for size in [1, 2, 9] {
        let all = walked(&process, any(), size).await;
        assert_eq!(actions(&all), ["act 4", "act 3", "act 2", "act 1"], "by {size}");
        let eves = walked(&process, AuditFilter { actor: text("eve"), ..any() }, size).await;
        assert_eq!(actions(&eves), ["act 4", "act 3", "act 1"], "by {size}");
        let of_a = walked(&process, AuditFilter { subject: text("A"), ..any() }, size).await;
        assert_eq!(actions(&of_a), ["act 4", "act 2", "act 1"], "by {size}");
        let both = AuditFilter { actor: text("eve"), subject: text("A"), ..any() };
        assert_eq!(actions(&walked(&process, both, size).await), ["act 4", "act 1"], "by {size}");
    }
    let none = process.readers.audit(&AuditFilter { actor: text("nobody"), ..any() }, 9).await.unwrap();
    assert_eq!((none.items, none.has_more), (Vec::new(), false));
    let latest = process.readers.audit(&any(), 1).await.unwrap().items.remove(0);
    let AuditView { position: _, at, actor, action, subject, note } = latest;
    assert_eq!(AuditEntry { at, actor, action, subject, note }, entries[3]);
}

/// What is done to consumers, once for each act that did something.
pub async fn what_is_done_to_consumers_is_in_the_log(home: &mut impl Home) {
    let process = home.process().await;
    let by = |actor, note, seconds| Signed { actor, note, at: later(seconds) };
    let pauses = &process.bus.pauses;
    assert!(pauses.pause_queue("payment", &by("eve", "the gateway is ill", 1)).await.unwrap());
    assert!(!pauses.pause_queue("payment", &by("ann", "me too", 2)).await.unwrap());
    assert!(pauses.resume_queue("payment", &by("ann", "it is well", 3)).await.unwrap());
    assert!(!pauses.resume_queue("payment", &by("eve", "again", 4)).await.unwrap());
    let told = walked(&process, AuditFilter::default(), 9).await;
    let told: Vec<_> = told
        .iter()
        .map(|it| (it.at, it.actor.as_str(), it.action.as_str(), it.subject.as_str(), it.note.as_str()))
        .collect();
    let expected = [
        (later(3), "ann", "queues resume", "queue payment", "it is well"),
        (later(1), "eve", "queues pause", "queue payment", "the gateway is ill"),
    ];
    assert_eq!(told, expected);
}

/// What is done to keys and receivers, in the words of the log.
pub async fn what_is_done_to_keys_and_receivers_is_in_the_log(home: &mut impl Home) {
    let process = home.process().await;
    let key = ApiKey {
        id: "k1".to_owned(),
        name: "shop".to_owned(),
        digest: [1; 32],
        scopes: [Scope::Operate].into_iter().collect(),
        created_at: NOW,
        expires_at: None,
        revoked_at: None,
    };
    process.keys.add_key(&key, "eve").await.unwrap();
    assert!(process.keys.revoke_key("k1", "ann", later(1)).await.unwrap());
    assert!(!process.keys.revoke_key("k1", "ann", later(2)).await.unwrap());
    let shop = "https://shop.example/";
    process.endpoints.close_endpoint(shop, "410 Gone", NOW).await.unwrap();
    assert!(process.endpoints.reopen_endpoint(shop, "eve", later(3)).await.unwrap());
    assert!(!process.endpoints.reopen_endpoint(shop, "eve", later(4)).await.unwrap());
    let told = walked(&process, AuditFilter::default(), 9).await;
    let told: Vec<(&str, &str, &str)> =
        told.iter().map(|it| (it.actor.as_str(), it.action.as_str(), it.subject.as_str())).collect();
    let expected = [
        ("eve", "endpoints reopen", "endpoint https://shop.example/"),
        ("ann", "keys revoke", "key k1"),
        ("eve", "keys create", "key k1"),
    ];
    assert_eq!(told, expected);
}
