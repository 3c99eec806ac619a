//! A catalogue in a file: products with the stock that they start with. One row per product, prices in minor units.

use std::io::Read;

use anyhow::{Context, Result};
use domain::Availability;
use serde::Deserialize;

use super::ProductBody;
use crate::import::client::PriceBody;

/// A product of a catalogue file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CatalogueProduct {
    /// Its name in the trade.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// More about it.
    pub description: String,
    /// What one costs, in minor units.
    pub price_minor: i64,
    /// ISO 4217 code of the price.
    pub currency: String,
    /// Units that it starts with.
    pub stock: i64,
    /// At this many or fewer it is time to reorder.
    pub reorder_level: i64,
    /// Whether it is no longer bought.
    pub discontinued: bool,
}

impl CatalogueProduct {
    /// Reads a whole catalogue.
    ///
    /// # Errors
    /// The first row that is no product.
    pub fn read(source: impl Read) -> Result<Vec<Self>> {
        let mut reader = csv::Reader::from_reader(source);
        reader.deserialize().collect::<Result<_, _>>().context("the catalogue cannot be read")
    }

    /// The product as it is sent.
    #[must_use]
    pub fn body(&self) -> ProductBody<'_> {
        let availability = if self.discontinued { Availability::Discontinued } else { Availability::Active };
        ProductBody {
            sku: &self.sku,
            name: &self.name,
            description: &self.description,
            price: PriceBody { minor: self.price_minor, currency: &self.currency },
            stock: self.stock,
            reorder_level: self.reorder_level,
            availability: availability.as_str(),
        }
    }
}
