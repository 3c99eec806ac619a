//! The catalogue. A product enters together with its empty stock.

use std::collections::BTreeSet;

use application::ports::ProductRepository;
use application::shipping_facts;
use async_trait::async_trait;
use bus::Fault;
use domain::{Inventory, Product, ProductId, Sku, StockMovement};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::column::{Broken, money, name, time};
use super::{PostgresUnit, inventory};
use bus_postgres::Act;
use bus_postgres::Array;
use bus_postgres::broken;

#[async_trait]
impl ProductRepository for PostgresUnit {
    async fn get_by_ids(&mut self, ids: &[ProductId]) -> Result<Vec<Product>, Fault> {
        let unread = |id: &&ProductId| !self.rows.seen.products.contains_key(id);
        let unread = Array::uuids(ids.iter().filter(unread).map(|id| id.0));
        if !unread.is_empty() {
            let act = Act::new("products.get", BY_ID, vec![Box::new(unread)]);
            let found = read_all(&self.ask_beside(act).await?)?;
            self.rows.seen.products.extend(found.into_iter().map(|product| (product.id, product)));
        }
        let wanted: BTreeSet<ProductId> = ids.iter().copied().collect();
        Ok(wanted.iter().filter_map(|id| self.rows.seen.products.get(id).cloned()).collect())
    }

    async fn get_by_skus(&mut self, skus: &[Sku]) -> Result<Vec<Product>, Fault> {
        if skus.is_empty() {
            return Ok(Vec::new());
        }
        let skus = Array::texts(skus.iter().map(Sku::as_str));
        let found =
            read_all(&self.ask_beside(Act::new("products.get", BY_SKU, vec![Box::new(skus)])).await?)?;
        self.rows.seen.products.extend(found.iter().map(|product| (product.id, product.clone())));
        Ok(found)
    }

    async fn upsert(&mut self, products: &[Product]) -> Result<(), Fault> {
        for product in products {
            product.check().map_err(|error| Fault::give_up("products.upsert", error))?;
        }
        for product in products {
            self.rows.seen.products.remove(&product.id);
        }
        if !products.is_empty() {
            self.later(upsert(products));
            self.later(stock(products));
        }
        Ok(())
    }

    async fn update_inventory(
        &mut self,
        changed: &[Inventory],
        movements: &[StockMovement],
        at: Timestamp,
    ) -> Result<(), Fault> {
        self.write_stock(changed, movements, at)
    }

    async fn get_low_stock_products(&mut self, max: usize) -> Result<Vec<Inventory>, Fault> {
        let rows = self.ask(inventory::low(max)).await?;
        inventory::read_all(&rows).map_err(broken("products.get_low_stock"))
    }
}

const BY_ID: &str =
    "select product_id, sku, name, description, price_minor, currency, availability, created_at, updated_at,
         shipping
     from products where product_id = any($1)";
const BY_SKU: &str =
    "select product_id, sku, name, description, price_minor, currency, availability, created_at, updated_at,
         shipping
     from products where sku = any($1)";

fn read_all(rows: &[Row]) -> Result<Vec<Product>, Fault> {
    let found = rows.iter().map(product).collect::<Result<Vec<_>, _>>().map_err(broken("products.get"))?;
    for product in &found {
        product.check().map_err(|error| Fault::give_up("products.get", error))?;
    }
    Ok(found)
}

fn product(row: &Row) -> Result<Product, Broken> {
    Ok(Product {
        id: ProductId(row.try_get(0)?),
        sku: name(row, 1)?,
        name: row.try_get(2)?,
        description: row.try_get(3)?,
        price: money(row, 4)?,
        availability: name(row, 6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
        shipping: shipping_facts::from_stored(row.try_get(9)?)?,
    })
}

/// In order of ids; of one that is there twice the last counts.
fn upsert(products: &[Product]) -> Act {
    let sql = "insert into products (product_id, sku, name, description, price_minor, currency, availability, created_at,
             updated_at, shipping)
         select distinct on (id) id, sku, title, description, price, currency, availability, created_at, updated_at,
             shipping
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
             $8::bigint[], $9::bigint[], $10::text[]) with ordinality
             as fresh (id, sku, title, description, price, currency, availability, created_at, updated_at, shipping,
                 ordinal)
         order by id, ordinal desc
         on conflict (product_id) do update set sku = excluded.sku, name = excluded.name,
             description = excluded.description, price_minor = excluded.price_minor,
             currency = excluded.currency, availability = excluded.availability,
             updated_at = greatest(products.created_at, excluded.updated_at), shipping = excluded.shipping";
    let shipping: Vec<Option<String>> =
        products.iter().map(|product| shipping_facts::to_stored(&product.shipping)).collect();
    Act::new(
        "products.upsert",
        sql,
        vec![
            Box::new(Array::uuids(products.iter().map(|product| product.id.0))),
            Box::new(Array::texts(products.iter().map(|product| product.sku.as_str()))),
            Box::new(Array::texts(products.iter().map(|product| product.name.as_str()))),
            Box::new(Array::texts(products.iter().map(|product| product.description.as_str()))),
            Box::new(Array::numbers(products.iter().map(|product| product.price.minor))),
            Box::new(Array::texts(products.iter().map(|product| product.price.currency.code()))),
            Box::new(Array::texts(products.iter().map(|product| product.availability.as_str()))),
            Box::new(Array::times(products.iter().map(|product| product.created_at))),
            Box::new(Array::times(products.iter().map(|product| product.updated_at))),
            Box::new(Array::texts_or_null(shipping.iter().map(Option::as_deref))),
        ],
    )
}

fn stock(products: &[Product]) -> Act {
    let sql = "insert into inventory (product_id, available_stock, reserved_stock, shipped, received, adjusted,
             reorder_level, last_updated)
         select distinct on (id) id, 0, 0, 0, 0, 0, 0, at from unnest($1::uuid[], $2::bigint[]) as fresh (id, at)
         order by id
         on conflict (product_id) do nothing";
    Act::new(
        "products.upsert",
        sql,
        vec![
            Box::new(Array::uuids(products.iter().map(|product| product.id.0))),
            Box::new(Array::times(products.iter().map(|product| product.updated_at))),
        ],
    )
}
