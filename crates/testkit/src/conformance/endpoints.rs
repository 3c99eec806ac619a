//! Laws of receivers of webhooks that want no more: closed once, with the first reason, until somebody opens them again.

use super::Home;
use super::stage::{NOW, later};

const SHOP: &str = "https://shop.example/hooks?of='orders'";
const OTHER: &str = "https://a.example/";

/// Closed once, kept beyond the process, listed by address, opened once.
pub async fn a_receiver_that_wants_no_more_is_kept_until_it_is_opened_again(home: &mut impl Home) {
    let endpoints = home.process().await.endpoints;
    assert_eq!(endpoints.closed_endpoints().await.unwrap(), []);
    assert!(!endpoints.reopen_endpoint(SHOP, "me", later(3)).await.unwrap(), "it was never closed");
    assert!(endpoints.close_endpoint(SHOP, "410 Gone", NOW).await.unwrap());
    assert!(!endpoints.close_endpoint(SHOP, "again", later(1)).await.unwrap(), "once is enough");
    assert!(endpoints.close_endpoint(OTHER, "by hand", later(2)).await.unwrap());
    let shop = (SHOP.to_owned(), "410 Gone".to_owned(), NOW);
    let other = (OTHER.to_owned(), "by hand".to_owned(), later(2));
    let endpoints = home.process().await.endpoints;
    assert_eq!(endpoints.closed_endpoints().await.unwrap(), [other.clone(), shop]);
    assert!(endpoints.reopen_endpoint(SHOP, "me", later(3)).await.unwrap());
    assert!(!endpoints.reopen_endpoint(SHOP, "me", later(3)).await.unwrap(), "once is enough");
    assert_eq!(home.process().await.endpoints.closed_endpoints().await.unwrap(), [other]);
}
