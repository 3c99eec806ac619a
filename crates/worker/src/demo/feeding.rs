//! Feeds the Northwind catalogue and its orders to the service, wave by wave, and buys again what ran low after each. A wave
//! is looked at before the next purchase, so that some orders come too early and find the shelf empty.

use std::time::Duration;

use anyhow::Result;
use application::ports::Readers;
use domain::Availability;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::northwind::Northwind;
use super::staff::{hold_of, is_patient};
use crate::import::{ApiClient, Invoice, OrderAnswer, OrderBody, ProductBody, Standing};

/// Orders in one wave.
const WAVE: usize = 25;

/// Requests under way at once.
const AT_ONCE_MAX: usize = 32;

/// Numbers of orders whose payment hangs end so.
const HANGING: &str = "50";

/// Units bought again of a product that ran low.
const PURCHASE: i64 = 160;

/// Products still bought are low at this many or fewer, however little the catalogue thinks of them.
const REORDER_LEVEL_MIN: i64 = 40;

/// Pause between two looks at a wave, and looks at most.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS_MAX: u32 = 1_000;

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fed {
    /// Products that were new.
    pub(super) products_new: u64,
    /// Orders that were new.
    pub(super) orders_new: u64,
    /// Orders that were there before.
    pub(super) orders_replayed: u64,
    /// Orders that the service would not have.
    pub(super) orders_refused: u64,
    /// Why, of the first of them.
    pub(super) first_refusal: Option<String>,
    /// Purchases.
    pub(super) purchases: u64,
}

/// What is fed to which service.
pub(super) struct Feeding<'a> {
    pub(super) northwind: &'a Northwind,
    pub(super) client: &'a ApiClient,
    pub(super) readers: &'a dyn Readers,
}

impl Feeding<'_> {
    /// Sends the catalogue and every order once.
    pub(super) async fn run(&self) -> Result<Fed> {
        let mut fed = Fed { products_new: self.catalogue().await?, ..Fed::default() };
        for wave in self.northwind.sheet.invoices.chunks(WAVE) {
            let orders_new = fed.orders_new;
            self.send(wave, &mut fed).await?;
            if fed.orders_new > orders_new {
                self.until_looked_at().await?;
                fed.purchases += self.buy_what_is_low().await?;
            }
        }
        Ok(fed)
    }

    /// Sends every order again. None may be new.
    pub(super) async fn again(&self) -> Result<Fed> {
        let mut fed = Fed::default();
        self.send(&self.northwind.sheet.invoices, &mut fed).await?;
        Ok(fed)
    }

    async fn catalogue(&self) -> Result<u64> {
        let products = self.northwind.catalogue.iter().map(|product| {
            // The orders are of a time when everything was still sold; what is not bought again is another question.
            let availability = Availability::Active.as_str();
            let least = if product.discontinued { 0 } else { REORDER_LEVEL_MIN };
            ProductBody { reorder_level: product.reorder_level.max(least), availability, ..product.body() }
        });
        self.client.put_products("northwind", &products.collect::<Vec<_>>()).await
    }

    async fn send(&self, wave: &[Invoice], fed: &mut Fed) -> Result<()> {
        let sending = stream::iter(wave).map(|invoice| self.send_one(invoice)).buffer_unordered(AT_ONCE_MAX);
        let mut sending = std::pin::pin!(sending);
        while let Some(answer) = sending.try_next().await? {
            match answer {
                OrderAnswer::New(_) => fed.orders_new += 1,
                OrderAnswer::Replayed(_) => fed.orders_replayed += 1,
                OrderAnswer::Refused(refusal) => {
                    fed.orders_refused += 1;
                    fed.first_refusal.get_or_insert(format!("{}: {}", refusal.code, refusal.detail));
                }
            }
        }
        Ok(())
    }

    async fn send_one(&self, invoice: &Invoice) -> Result<OrderAnswer> {
        let whole = invoice.parts().next().expect("an order has lines");
        let body = OrderBody::of(&self.northwind.skus, invoice, &whole)
            .paid_with(payment_token(&invoice.number))
            .held_for(hold_of(&invoice.number))
            .waiting_for_goods(is_patient(&invoice.number));
        let (key, text) = body.keyed()?;
        self.client.create_order(&key, text).await
    }

    /// Waits until the stock has been asked for every order of the wave.
    async fn until_looked_at(&self) -> Result<()> {
        for _ in 0..LOOKS_MAX {
            if Standing::of(&self.readers.overview().await?).fresh == 0 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn buy_what_is_low(&self) -> Result<u64> {
        let mut purchases = 0;
        for low in self.client.low_products().await? {
            if self.northwind.is_still_bought(&low.sku) {
                self.client.receive_goods(&low.sku, PURCHASE, "demo", "bought again: it ran low").await?;
                purchases += 1;
            }
        }
        Ok(purchases)
    }
}

/// Some customers pay in a way that makes the gateway hang, every time.
fn payment_token(number: &str) -> Option<&'static str> {
    number.ends_with(HANGING).then_some("tok_hang")
}
