//! Orders that a unit accepts and moves on before it ends: kept until then, and stored once, as they stand in the end.
//! Decides nothing; whoever asks the table for orders has them stored first.

use std::collections::BTreeMap;

use application::ports::{NewOrderRow, StatusMove};
use domain::{OrderId, OrderStatus};
use jiff::Timestamp;
use rusqlite::{Connection, Result, params};

use super::column::Micros;

/// Orders without a row yet, by time.
#[derive(Default)]
pub(super) struct NewOrders(BTreeMap<OrderId, Standing>);

/// An order and where it stands by now.
struct Standing {
    row: NewOrderRow,
    status: OrderStatus,
    updated_at: Timestamp,
}

/// Whether an order could be moved without its row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// It was.
    Here,
    /// It is not here, or stands elsewhere: its row has to be asked.
    AskTheRow,
}

impl NewOrders {
    /// Takes an order in. False if there is one of that id.
    pub(super) fn add(&mut self, row: &NewOrderRow) -> bool {
        let snapshot = row.order.snapshot();
        let standing =
            Standing { row: row.clone(), status: snapshot.status, updated_at: snapshot.updated_at };
        self.0.insert(snapshot.id, standing).is_none()
    }

    /// Moves an order on, unless that ends it.
    pub(super) fn step_on(&mut self, step: &StatusMove) -> Moved {
        match self.0.get_mut(&step.order_id) {
            Some(standing) if standing.status == step.from && !step.to.is_terminal() => {
                standing.status = step.to;
                standing.updated_at = standing.updated_at.max(step.at);
                Moved::Here
            }
            Some(_) | None => Moved::AskTheRow,
        }
    }

    /// Whether any is here.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Stores all.
    pub(super) fn store(self, connection: &Connection) -> Result<()> {
        let mut order_insert =
            connection.prepare_cached("insert into orders values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
        let mut line_insert =
            connection.prepare_cached("insert into order_items values (?, ?, ?, ?, ?, ?, ?, ?)")?;
        for Standing { row, status, updated_at } in self.0.into_values() {
            let order = row.order.snapshot();
            order_insert.execute(params![
                order.id.0.as_bytes(),
                order.customer_id.as_str(),
                Micros(order.ordered_at),
                status.as_str(),
                (!status.is_terminal()).then_some(1),
                order.total.minor,
                order.total.currency.code(),
                Micros(order.created_at),
                Micros(updated_at),
                order.external_reference,
                row.payment_token,
            ])?;
            for (ordinal, line) in (0_i64..).zip(&order.lines) {
                line_insert.execute(params![
                    order.id.0.as_bytes(),
                    ordinal,
                    line.item_id.0.as_bytes(),
                    line.product_id.0.as_bytes(),
                    line.sku.as_str(),
                    line.quantity.get(),
                    line.unit_price.minor,
                    line.unit_price.currency.code(),
                ])?;
            }
        }
        Ok(())
    }
}
