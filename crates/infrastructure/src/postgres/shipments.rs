//! Shipments, one for each order. The key of each is stored before the carrier is called.

use application::ports::ShipmentRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{OrderId, Shipment, Troubles};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresUnit;
use super::column::{Broken, count, name};
use bus_postgres::Act;
use bus_postgres::Array;
use bus_postgres::{CHANGED, broken};

#[async_trait]
impl ShipmentRepository for PostgresUnit {
    async fn insert(&mut self, shipments: &[Shipment], at: Timestamp) -> Result<(), Fault> {
        checked(shipments, "shipments.insert")?;
        if !shipments.is_empty() {
            self.later(insert(shipments, at));
        }
        Ok(())
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> Result<Vec<Shipment>, Fault> {
        if order_ids.is_empty() {
            return Ok(Vec::new());
        }
        self.lock_sagas(order_ids);
        let rows = self.ask_beside(select(order_ids)).await?;
        let found = rows.iter().map(shipment).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(broken("shipments.get"))?;
        checked(&found, "shipments.get")?;
        Ok(found)
    }

    async fn update(&mut self, shipments: &[Shipment], at: Timestamp) -> Result<(), Fault> {
        checked(shipments, "shipments.update")?;
        if !shipments.is_empty() {
            self.later(update(shipments, at));
        }
        Ok(())
    }
}

fn checked(shipments: &[Shipment], operation: &'static str) -> Result<(), Fault> {
    shipments.iter().try_for_each(Shipment::check).map_err(|error| Fault::give_up(operation, error))
}

fn insert(shipments: &[Shipment], at: Timestamp) -> Act {
    let sql = "insert into shipments (order_id, idempotency_key, status, tracking_number, carrier, created_at, updated_at)
         select id, key, status, tracking_number, carrier, $6, $6
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[])
             as fresh (id, key, status, tracking_number, carrier)";
    Act::new(
        "shipments.insert",
        sql,
        vec![
            Box::new(Array::uuids(shipments.iter().map(|shipment| shipment.order_id.0))),
            Box::new(Array::texts(shipments.iter().map(|shipment| shipment.key.as_str()))),
            Box::new(Array::texts(shipments.iter().map(|shipment| shipment.status.as_str()))),
            Box::new(Array::texts_or_null(
                shipments.iter().map(|shipment| shipment.tracking_number.as_deref()),
            )),
            Box::new(Array::texts_or_null(shipments.iter().map(|shipment| shipment.carrier.as_deref()))),
            Box::new(at.as_microsecond()),
        ],
    )
    .conflict_if_taken()
}

fn select(order_ids: &[OrderId]) -> Act {
    let sql = "select order_id, idempotency_key, status, tracking_number, carrier, troubles
         from shipments where order_id = any($1) order by order_id";
    Act::new("shipments.get", sql, vec![Box::new(Array::uuids(order_ids.iter().map(|id| id.0)))])
}

fn shipment(row: &Row) -> Result<Shipment, Broken> {
    Ok(Shipment {
        order_id: OrderId(row.try_get(0)?),
        key: row.try_get(1)?,
        status: name(row, 2)?,
        tracking_number: row.try_get(3)?,
        carrier: row.try_get(4)?,
        troubles: Troubles::of_code(count(row, 5)?),
    })
}

fn update(shipments: &[Shipment], at: Timestamp) -> Act {
    let sql = "with moved as (
             update shipments s set status = n.status, tracking_number = n.tracking_number, carrier = n.carrier,
                 troubles = n.troubles, updated_at = greatest(s.updated_at, $5)
             from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $7::bigint[])
                 as n (id, status, tracking_number, carrier, troubles)
             where s.order_id = n.id returning 1
         )
         select require_rows((select count(*) from moved), cardinality($1::uuid[]), $6, 'shipments.update')";
    Act::new(
        "shipments.update",
        sql,
        vec![
            Box::new(Array::uuids(shipments.iter().map(|shipment| shipment.order_id.0))),
            Box::new(Array::texts(shipments.iter().map(|shipment| shipment.status.as_str()))),
            Box::new(Array::texts_or_null(
                shipments.iter().map(|shipment| shipment.tracking_number.as_deref()),
            )),
            Box::new(Array::texts_or_null(shipments.iter().map(|shipment| shipment.carrier.as_deref()))),
            Box::new(at.as_microsecond()),
            Box::new(CHANGED),
            Box::new(Array::numbers(shipments.iter().map(|shipment| i64::from(shipment.troubles.code())))),
        ],
    )
}
