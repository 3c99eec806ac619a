//! What both sides have written down when it is over: our service and the provider. Read here, judged elsewhere.

use anyhow::{Context, Result};
use serde_json::Value;

use super::client::Client;

/// Entries of a provider's listing asked for at once.
const PAGE: usize = 10_000;

/// The answers of both sides, as they gave them.
#[derive(Clone, Debug)]
pub(super) struct Books {
    /// Every order that is stored.
    pub(super) orders: Vec<Value>,
    /// The service's counts.
    pub(super) overview: Value,
    /// What the service finds broken.
    pub(super) check: Value,
    /// Every charge of the gateway.
    pub(super) charges: Vec<Value>,
    /// Every parcel of the carrier.
    pub(super) shipments: Vec<Value>,
    /// The provider's counts.
    pub(super) stats: Value,
}

impl Books {
    pub(super) async fn read(service: &Client, provider: &Client) -> Result<Self> {
        Ok(Self {
            orders: all(service, "/orders?limit=200").await?,
            overview: service.get("/overview").await?,
            check: service.get("/check").await?,
            charges: listing(provider, "/charges").await?,
            shipments: listing(provider, "/shipments").await?,
            stats: provider.get("/stats").await?,
        })
    }
}

/// Every item of a listing of the service.
async fn all(service: &Client, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = service.get(&next).await?;
        items.extend(page["items"].as_array().cloned().context("a listing has items")?);
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => return Ok(items),
        }
    }
}

/// Every entry of the provider's books.
async fn listing(provider: &Client, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut after = 0;
    loop {
        let page = provider.get(&format!("{path}?after={after}&limit={PAGE}")).await?;
        items.extend(page["items"].as_array().cloned().context("a listing has items")?);
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => return Ok(items),
        }
    }
}
