//! Shipments, one for each order. The key of each is stored before the carrier is called.

use application::ports::ShipmentRepository;
use async_trait::async_trait;
use bus::Fault;
use domain::{OrderId, Shipment, Troubles};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::SqliteUnit;
use super::column::{Micros, name};
use bus_sqlite::{changed_meanwhile, conflict_if_taken, fault};

#[async_trait]
impl ShipmentRepository for SqliteUnit {
    async fn insert(&mut self, shipments: &[Shipment], at: Timestamp) -> std::result::Result<(), Fault> {
        checked(shipments, "shipments.insert")?;
        insert(self.connection(), shipments, at).map_err(conflict_if_taken("shipments.insert"))?;
        self.see(shipments);
        Ok(())
    }

    async fn get(&mut self, order_ids: &[OrderId]) -> std::result::Result<Vec<Shipment>, Fault> {
        let unread = |id: &&OrderId| self.rows.view.shipment(self.memory(), **id).is_none();
        let unread: Vec<OrderId> = order_ids.iter().filter(unread).copied().collect();
        let read = select(self.connection(), &unread).map_err(fault("shipments.get"))?;
        self.see(&read);
        let known = |id: &OrderId| self.rows.view.shipment(self.memory(), *id).cloned();
        let found: Vec<Shipment> = order_ids.iter().filter_map(known).collect();
        checked(&found, "shipments.get")?;
        Ok(found)
    }

    async fn update(&mut self, shipments: &[Shipment], at: Timestamp) -> std::result::Result<(), Fault> {
        checked(shipments, "shipments.update")?;
        if let Some(stray) = update(self.connection(), shipments, at).map_err(fault("shipments.update"))? {
            return Err(changed_meanwhile("shipments.update", stray));
        }
        self.see(shipments);
        Ok(())
    }
}

impl SqliteUnit {
    fn see(&mut self, shipments: &[Shipment]) {
        let seen = shipments.iter().map(|shipment| (shipment.order_id, shipment.clone()));
        self.rows.view.shipments.extend(seen);
    }
}

fn checked(shipments: &[Shipment], operation: &'static str) -> std::result::Result<(), Fault> {
    shipments.iter().try_for_each(Shipment::check).map_err(|error| Fault::give_up(operation, error))
}

fn insert(connection: &Connection, shipments: &[Shipment], at: Timestamp) -> Result<()> {
    let mut insert =
        connection.prepare_cached("insert into shipments values (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)")?;
    for shipment in shipments {
        insert.execute(params![
            shipment.order_id.0.as_bytes(),
            shipment.key,
            shipment.status.as_str(),
            shipment.tracking_number,
            shipment.carrier,
            Micros(at),
            shipment.troubles.code(),
        ])?;
    }
    Ok(())
}

fn select(connection: &Connection, order_ids: &[OrderId]) -> Result<Vec<Shipment>> {
    let mut select = connection.prepare_cached(
        "select order_id, idempotency_key, status, tracking_number, carrier, troubles from shipments where order_id = ?",
    )?;
    let mut found = Vec::with_capacity(order_ids.len());
    for id in order_ids {
        found.extend(select.query_row([id.0.as_bytes()], shipment).optional()?);
    }
    Ok(found)
}

fn shipment(row: &Row<'_>) -> Result<Shipment> {
    Ok(Shipment {
        order_id: OrderId(row.get(0)?),
        key: row.get(1)?,
        status: name(row, 2)?,
        tracking_number: row.get(3)?,
        carrier: row.get(4)?,
        troubles: Troubles::of_code(row.get(5)?),
    })
}

/// Stores all; the first that is not there, if any.
fn update(connection: &Connection, shipments: &[Shipment], at: Timestamp) -> Result<Option<OrderId>> {
    let mut update = connection.prepare_cached(
        "update shipments set status = ?2, tracking_number = ?3, carrier = ?4, updated_at = max(updated_at, ?5),
                 troubles = ?6
             where order_id = ?1",
    )?;
    for shipment in shipments {
        let changed = update.execute(params![
            shipment.order_id.0.as_bytes(),
            shipment.status.as_str(),
            shipment.tracking_number,
            shipment.carrier,
            Micros(at),
            shipment.troubles.code(),
        ])?;
        if changed != 1 {
            return Ok(Some(shipment.order_id));
        }
    }
    Ok(None)
}
