//! The books on both sides: ours from the store, the gateway's from the sandbox. The sandbox forgets when it stops, so its
//! last word is kept in a file beside the database, for the next run to compare with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use application::ports::{InventoryView, LowOnly, Overview, Readers};
use domain::Sku;
use sandbox::Stats;
use serde::{Deserialize, Serialize};

const FILE: &str = "gateway-books.json";

/// Products read at once.
const PAGE: usize = 500;

/// Minor units taken and given back, by currency.
pub(super) type Money = BTreeMap<String, (i64, i64)>;

/// What the gateway and the carrier say at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GatewayBooks {
    pub(super) money: Money,
    pub(super) references_charged_twice: u64,
    pub(super) keys_charged_twice: u64,
    pub(super) references_shipped_twice: u64,
    /// What was done to us, by name.
    pub(super) faults: BTreeMap<String, u64>,
}

impl GatewayBooks {
    pub(super) fn of(stats: &Stats) -> Self {
        let Stats { payments, shipping, faults, webhooks } = stats;
        let money = payments.money.iter();
        let faults = [
            ("calls answered 503", faults.server_errors),
            ("calls answered 429", faults.throttled),
            ("calls that hung", faults.hung),
            ("calls done, answer lost", faults.responses_lost),
            ("charges declined", payments.declined),
            ("bookings refused", shipping.rejected),
            ("webhook events sent twice", webhooks.duplicated),
            ("webhook events out of order", webhooks.reordered),
            ("webhook events never sent", webhooks.dropped),
        ];
        Self {
            money: money
                .map(|(code, tally)| (code.clone(), (tally.captured_minor, tally.refunded_minor)))
                .collect(),
            references_charged_twice: payments.references_charged_twice,
            keys_charged_twice: payments.keys_charged_twice,
            references_shipped_twice: shipping.references_shipped_twice,
            faults: faults.map(|(name, count)| (name.to_owned(), count)).into(),
        }
    }

    /// The last word of the run before, if one came to its end here.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>> {
        let place = file(folder);
        match std::fs::read(&place) {
            Ok(text) => {
                let books = serde_json::from_slice(&text);
                Ok(Some(books.with_context(|| format!("{} is not what a demo wrote", place.display()))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", place.display())),
        }
    }

    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let place = file(folder);
        let text = serde_json::to_vec_pretty(self)?;
        std::fs::write(&place, text).with_context(|| format!("cannot write {}", place.display()))
    }
}

/// The file that is kept.
pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Our side.
pub(super) struct OurBooks {
    pub(super) overview: Overview,
    pub(super) stock: Vec<InventoryView>,
}

impl OurBooks {
    pub(super) async fn read(readers: &dyn Readers) -> Result<Self> {
        let overview = readers.overview().await?;
        let mut stock: Vec<InventoryView> = Vec::new();
        loop {
            let after = stock.last().map(|level| Sku::parse(&level.sku)).transpose()?;
            let page = readers.inventory_levels(LowOnly::No, after.as_ref(), PAGE).await?;
            stock.extend(page.items);
            if !page.has_more {
                return Ok(Self { overview, stock });
            }
        }
    }

    pub(super) fn money(&self) -> Money {
        let money = self.overview.money.iter();
        money.map(|(code, captured, refunded)| (code.clone(), (*captured, *refunded))).collect()
    }

    /// Everything that counts, as one text: the same books are the same text.
    pub(super) fn as_text(&self) -> Result<String> {
        let overview = &self.overview;
        let stock: Vec<_> = self
            .stock
            .iter()
            .map(|level| {
                (&level.sku, level.available, level.reserved, level.shipped, level.received, level.adjusted)
            })
            .collect();
        Ok(serde_json::to_string(&(
            &overview.orders,
            &overview.cancellations,
            &overview.sagas,
            &overview.money,
            overview.dead_letters,
            stock,
        ))?)
    }
}
