//! The catalogue. A product enters together with its empty stock.

use application::ports::ProductRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{Inventory, Product, ProductId, Sku};
use rusqlite::{Connection, OptionalExtension, Result, Row, ToSql, params};

use super::column::{Micros, money, name, time};
use super::fault::fault;
use super::{SqliteUnit, inventory};

#[async_trait]
impl ProductRepository for SqliteUnit {
    async fn get_by_ids(&mut self, ids: &[ProductId]) -> std::result::Result<Vec<Product>, Fault> {
        let found =
            select(self.connection(), BY_ID, ids.iter().map(|id| id.0)).map_err(fault("products.get"))?;
        checked(found, "products.get")
    }

    async fn get_by_skus(&mut self, skus: &[Sku]) -> std::result::Result<Vec<Product>, Fault> {
        let found =
            select(self.connection(), BY_SKU, skus.iter().map(Sku::as_str)).map_err(fault("products.get"))?;
        checked(found, "products.get")
    }

    async fn upsert(&mut self, products: &[Product]) -> std::result::Result<(), Fault> {
        for product in products {
            product.check().map_err(|error| Fault::give_up("products.upsert", error))?;
            upsert(self.connection(), product).map_err(fault("products.upsert"))?;
        }
        Ok(())
    }

    async fn get_low_stock_products(&mut self, max: usize) -> std::result::Result<Vec<Inventory>, Fault> {
        inventory::low(self.connection(), max).map_err(fault("products.get_low_stock"))
    }
}

const BY_ID: &str =
    "select product_id, sku, name, description, price_minor, currency, availability, created_at, updated_at
     from products where product_id = ?";
const BY_SKU: &str =
    "select product_id, sku, name, description, price_minor, currency, availability, created_at, updated_at
     from products where sku = ?";

fn select<K: ToSql>(
    connection: &Connection,
    sql: &str,
    keys: impl Iterator<Item = K>,
) -> Result<Vec<Product>> {
    let mut select = connection.prepare_cached(sql)?;
    let mut found = Vec::new();
    for key in keys {
        found.extend(select.query_row([key], product).optional()?);
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
    })
}

fn checked(products: Vec<Product>, operation: &'static str) -> std::result::Result<Vec<Product>, Fault> {
    for product in &products {
        product.check().map_err(|error| Fault::give_up(operation, error))?;
    }
    Ok(products)
}

fn upsert(connection: &Connection, product: &Product) -> Result<()> {
    connection
        .prepare_cached(
            "insert into products values (?, ?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (product_id) do update set sku = excluded.sku, name = excluded.name,
                 description = excluded.description, price_minor = excluded.price_minor,
                 currency = excluded.currency, availability = excluded.availability,
                 updated_at = max(products.created_at, excluded.updated_at)",
        )?
        .execute(params![
            product.id.0,
            product.sku.as_str(),
            product.name,
            product.description,
            product.price.minor,
            product.price.currency.code(),
            product.availability.as_str(),
            Micros(product.created_at),
            Micros(product.updated_at),
        ])?;
    connection
        .prepare_cached("insert or ignore into inventory values (?, 0, 0, 0, 0, 0, 0, ?, null)")?
        .execute(params![product.id.0, Micros(product.updated_at)])?;
    Ok(())
}
