//! A product: its name, its price, and whether it is still sold. Its stock is in the inventory; a product never
//! decides about stock.

use jiff::Timestamp;

use crate::{
    AMOUNT_MINOR_MAX, BrokenInvariant, Change, Currency, Money, ProductId, Rejection, ShippingFacts, Sku,
    closed_set::closed_set, invariant::check_all,
};

closed_set! {
    /// Whether a product may be ordered.
    pub enum Availability {
        /// It may.
        Active = 0, "active";
        /// It is no longer sold; accepted orders are served.
        Discontinued = 1, "discontinued";
    }
}

/// An entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its id, derived from the sku.
    pub id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// Its name in the shop.
    pub name: String,
    /// More about it; may be empty.
    pub description: String,
    /// What one unit costs.
    pub price: Money,
    /// Whether it may be ordered.
    pub availability: Availability,
    /// What a carrier and the customs need to know of it.
    pub shipping: ShippingFacts,
    /// When it entered the catalogue.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Product {
    /// A new entry without a description, on sale from now.
    pub fn new(sku: Sku, name: &str, price: Money, at: Timestamp) -> Self {
        Self {
            id: ProductId::of(&sku),
            sku,
            name: name.to_owned(),
            description: String::new(),
            price,
            availability: Availability::Active,
            shipping: ShippingFacts::default(),
            created_at: at,
            updated_at: at,
        }
    }

    /// Whether it can be ordered in this currency. The agreed price may differ from the catalogue's.
    pub fn accepts(&self, currency: Currency) -> Result<(), Rejection> {
        let expected = self.price.currency;
        if self.availability == Availability::Discontinued {
            Err(Rejection::DiscontinuedProduct { sku: self.sku.clone() })
        } else if expected != currency {
            Err(Rejection::WrongCurrency { sku: self.sku.clone(), expected, found: currency })
        } else {
            Ok(())
        }
    }

    /// Changes the price from now on. Orders keep their agreed price.
    pub fn reprice(&mut self, price: Money, at: Timestamp) -> Result<Change, Rejection> {
        if price.minor < 0 {
            return Err(Rejection::NegativePrice { sku: self.sku.clone() });
        }
        if price.minor > AMOUNT_MINOR_MAX {
            return Err(Rejection::PriceTooHigh { sku: self.sku.clone(), minor: price.minor });
        }
        if price == self.price {
            return Ok(Change::NoChange);
        }
        self.price = price;
        self.updated_at = self.updated_at.max(at);
        Ok(Change::Applied)
    }

    /// Stops selling it.
    pub fn discontinue(&mut self, at: Timestamp) -> Change {
        if self.availability == Availability::Discontinued {
            return Change::NoChange;
        }
        self.availability = Availability::Discontinued;
        self.updated_at = self.updated_at.max(at);
        Change::Applied
    }

    /// Checks the invariants.
    pub fn check(&self) -> Result<(), BrokenInvariant> {
        check_all(
            || format!("product {}", self.id),
            &[
                (!self.name.trim().is_empty(), "a product has a name"),
                (self.price.minor >= 0, "the price is not negative"),
                (self.shipping.mistakes().is_empty(), "its measures and its tariff number are some"),
                (self.updated_at >= self.created_at, "nothing changes before it is created"),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chai() -> Product {
        let price = Money::new(1800, Currency::parse("USD").unwrap());
        Product::new(Sku::parse("CHAI").unwrap(), "Chai", price, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_product_on_sale_can_be_ordered_in_its_currency() {
        assert_eq!(chai().accepts(chai().price.currency), Ok(()));
    }

    #[test]
    fn a_product_no_longer_sold_and_a_price_in_another_currency_are_refused_by_sku() {
        let mut product = chai();
        let refused = product.accepts(Currency::parse("EUR").unwrap()).unwrap_err();
        assert_eq!(refused.to_string(), "CHAI is sold in USD, not in EUR");
        assert!(product.discontinue(Timestamp::UNIX_EPOCH).is_applied());
        assert!(!product.discontinue(Timestamp::UNIX_EPOCH).is_applied());
        let refused = product.accepts(product.price.currency);
        assert_eq!(refused, Err(Rejection::DiscontinuedProduct { sku: product.sku.clone() }));
    }

    #[test]
    fn a_price_changes_once_and_is_never_negative_nor_too_high_to_sum_up() {
        let mut product = chai();
        let dearer = Money::new(1900, product.price.currency);
        assert_eq!(product.reprice(dearer, Timestamp::UNIX_EPOCH), Ok(Change::Applied));
        assert_eq!(product.reprice(dearer, Timestamp::UNIX_EPOCH), Ok(Change::NoChange));
        for minor in [-1, i64::MIN, AMOUNT_MINOR_MAX + 1, i64::MAX] {
            assert!(product.reprice(Money { minor, ..dearer }, Timestamp::UNIX_EPOCH).is_err(), "{minor}");
        }
        assert_eq!(product.check(), Ok(()));
    }
}
