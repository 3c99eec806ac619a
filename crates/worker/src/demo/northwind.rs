//! The Northwind data, carried in the program so that the demonstration needs no file.

use anyhow::Result;

use crate::import::{CatalogueProduct, Mapping, Sheet, Source};

const PRODUCTS: &str = include_str!("../../../../catalogue/northwind/products.csv");
const ORDERS: &str = include_str!("../../../../catalogue/northwind/orders.csv");

/// Catalogue and orders.
pub(super) struct Northwind {
    pub(super) catalogue: Vec<CatalogueProduct>,
    pub(super) sheet: Sheet,
    /// The skus of its products.
    pub(super) skus: Vec<String>,
}

impl Northwind {
    pub(super) fn read() -> Result<Self> {
        let mapping = Mapping::named("northwind")?;
        let catalogue = CatalogueProduct::read(PRODUCTS.as_bytes())?;
        let sheet = Sheet::read(&Source::Bytes(ORDERS.as_bytes()), &mapping)?;
        let skus = sheet.products.iter().map(|product| product.sku.clone()).collect();
        Ok(Self { catalogue, sheet, skus })
    }

    pub(super) fn is_still_bought(&self, sku: &str) -> bool {
        self.catalogue.iter().any(|product| product.sku == sku && !product.discontinued)
    }

    /// Orders.
    pub(super) fn orders(&self) -> u64 {
        self.sheet.invoices.len() as u64
    }

    /// Units in stock before anything happens.
    pub(super) fn stock(&self) -> i64 {
        self.catalogue.iter().map(|product| product.stock).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_that_is_carried_can_be_used() {
        let northwind = Northwind::read().expect("it is carried in the program");
        assert_eq!((northwind.catalogue.len(), northwind.orders(), northwind.sheet.rows), (77, 830, 2_155));
        assert!(northwind.sheet.rejected.is_empty() && northwind.stock() > 0);
    }
}
