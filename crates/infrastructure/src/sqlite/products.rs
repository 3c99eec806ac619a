//! The catalogue. A product enters together with its empty stock.

use application::ports::ProductRepository;
use application::shipping_facts;
use async_trait::async_trait;
use bus::Fault;
use domain::{Inventory, Product, ProductId, ShippingFacts, Sku, StockMovement};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::column::{Micros, broken, money, name, time};
use super::{SqliteUnit, inventory};
use bus_sqlite::fault;

#[async_trait]
impl ProductRepository for SqliteUnit {
    async fn get_by_ids(&mut self, ids: &[ProductId]) -> std::result::Result<Vec<Product>, Fault> {
        self.read_unread_products(ids)?;
        let known = |id: &ProductId| self.rows.view.product(self.memory(), *id).cloned();
        Ok(ids.iter().filter_map(known).collect())
    }

    async fn get_by_skus(&mut self, skus: &[Sku]) -> std::result::Result<Vec<Product>, Fault> {
        let ids: Vec<ProductId> = skus.iter().map(ProductId::of).collect();
        self.get_by_ids(&ids).await
    }

    async fn upsert(&mut self, products: &[Product]) -> std::result::Result<(), Fault> {
        for product in products {
            product.check().map_err(|error| Fault::give_up("products.upsert", error))?;
            upsert(self.connection(), product).map_err(fault("products.upsert"))?;
            self.rows.view.products.insert(product.id, None);
        }
        Ok(())
    }

    async fn update_inventory(
        &mut self,
        changed: &[Inventory],
        movements: &[StockMovement],
        at: Timestamp,
    ) -> std::result::Result<(), Fault> {
        self.write_stock(changed, movements, at)
    }

    async fn get_low_stock_products(&mut self, max: usize) -> std::result::Result<Vec<Inventory>, Fault> {
        inventory::low(self.connection(), max).map_err(fault("products.get_low_stock"))
    }
}

impl SqliteUnit {
    fn read_unread_products(&mut self, ids: &[ProductId]) -> std::result::Result<(), Fault> {
        let unread = |id: &&ProductId| self.rows.view.product(self.memory(), **id).is_none();
        let unread: Vec<ProductId> = ids.iter().filter(unread).copied().collect();
        if unread.is_empty() {
            return Ok(());
        }
        let read = select(self.connection(), &unread).map_err(fault("products.get"))?;
        for product in read {
            product.check().map_err(|error| Fault::give_up("products.get", error))?;
            self.rows.view.products.insert(product.id, Some(product));
        }
        Ok(())
    }
}

fn select(connection: &Connection, ids: &[ProductId]) -> Result<Vec<Product>> {
    let mut select = connection.prepare_cached(
        "select product_id, sku, name, description, price_minor, currency, availability, created_at, updated_at,
             shipping
         from products where product_id = ?",
    )?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(select.query_row([id.0.as_bytes()], product).optional()?);
    }
    Ok(found)
}

fn product(row: &Row<'_>) -> Result<Product> {
    Ok(Product {
        id: ProductId(row.get(0)?),
        sku: name(row, 1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        price: money(row, 4)?,
        availability: name(row, 6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
        shipping: shipping(row, 9)?,
    })
}

/// The shipping facts in this column.
pub(super) fn shipping(row: &Row<'_>, index: usize) -> Result<ShippingFacts> {
    let stored: Option<String> = row.get(index)?;
    shipping_facts::from_stored(stored.as_deref()).map_err(|error| broken(index, error))
}

fn upsert(connection: &Connection, product: &Product) -> Result<()> {
    connection
        .prepare_cached(
            "insert into products values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (product_id) do update set sku = excluded.sku, name = excluded.name,
                 description = excluded.description, price_minor = excluded.price_minor,
                 currency = excluded.currency, availability = excluded.availability,
                 updated_at = max(products.created_at, excluded.updated_at), shipping = excluded.shipping",
        )?
        .execute(params![
            product.id.0.as_bytes(),
            product.sku.as_str(),
            product.name,
            product.description,
            product.price.minor,
            product.price.currency.code(),
            product.availability.as_str(),
            Micros(product.created_at),
            Micros(product.updated_at),
            shipping_facts::to_stored(&product.shipping),
        ])?;
    connection
        .prepare_cached(
            "insert or ignore into inventory (product_id, available_stock, reserved_stock, shipped, received, adjusted,
                 reorder_level, last_updated) values (?, 0, 0, 0, 0, 0, 0, ?)",
        )?
        .execute(params![product.id.0.as_bytes(), Micros(product.updated_at)])?;
    Ok(())
}
