//! Laws of the keys that let callers in: what was made is there, what was revoked stays revoked, nothing is told twice.

use application::ports::{ApiKey, Scope};
use bus::Verdict;
use jiff::Timestamp;

use super::Home;
use super::stage::{NOW, later};

fn key(id: &str, created_at: Timestamp) -> ApiKey {
    ApiKey {
        id: id.to_owned(),
        name: format!("{id} of the shop, 'quoted'"),
        digest: [created_at.as_second().to_be_bytes()[7]; 32],
        scopes: [Scope::OrdersRead, Scope::Operate].into_iter().collect(),
        created_at,
        expires_at: (id == "b").then(|| later(1_000)),
        revoked_at: None,
    }
}

/// Made once, revoked once, listed always.
pub async fn a_key_is_kept_until_it_is_revoked_and_is_told_ever_after(home: &mut impl Home) {
    let process = home.process().await;
    let keys = &process.keys;
    assert_eq!(keys.keys(9).await.unwrap(), []);
    let (first, second) = (key("b", NOW), key("a", later(1)));
    for made in [&second, &first] {
        keys.add_key(made, "a test").await.unwrap();
    }
    assert_eq!(keys.keys(9).await.unwrap(), [first.clone(), second.clone()], "the oldest first");
    assert_eq!(keys.keys(1).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(keys.add_key(&first, "a test").await.unwrap_err().verdict, Verdict::GiveUp);
    assert!(keys.revoke_key("b", "a test", later(5)).await.unwrap());
    assert!(!keys.revoke_key("b", "a test", later(6)).await.unwrap(), "once is enough");
    assert!(!keys.revoke_key("c", "a test", later(6)).await.unwrap(), "there is none");
    let revoked = ApiKey { revoked_at: Some(later(5)), ..first };
    let process = home.process().await;
    assert_eq!(process.keys.keys(9).await.unwrap(), [revoked, second]);
}
