//! What a run came to, for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use super::books::{GatewayBooks, Money, OurBooks};
use super::checks::{Check, in_words, net};
use super::feeding::Fed;
use super::pace::Pace;
use super::staff::Done;
use crate::import::Standing;

/// What a run came to.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) orders: u64,
    pub(super) orders_new: u64,
    pub(super) orders_replayed: u64,
    /// Whether this run found everything as the one before had left it.
    pub(super) changed_nothing: bool,
    pub(super) delivered: u64,
    pub(super) cancelled: Vec<(String, u64)>,
    pub(super) needs_attention: u64,
    pub(super) sagas: Vec<(String, u64)>,
    /// Minor units taken and given back, by currency.
    pub(super) money_ours: Money,
    pub(super) money_gateway: Money,
    pub(super) stock: Stock,
    pub(super) faults: Vec<(String, u64)>,
    pub(super) done: Done,
    pub(super) pace: Pace,
    pub(super) checks: Vec<Check>,
    pub(super) database: String,
}

/// Units over all products.
#[derive(Debug, Default, Serialize)]
pub(super) struct Stock {
    pub(super) before: i64,
    pub(super) received: i64,
    pub(super) available: i64,
    pub(super) reserved: i64,
    pub(super) shipped: i64,
    pub(super) purchases: u64,
}

/// What a summary is made from.
pub(super) struct Told<'a> {
    pub(super) orders: u64,
    pub(super) stock_before: i64,
    pub(super) fed: Fed,
    pub(super) done: Done,
    pub(super) changed_nothing: bool,
    pub(super) ours: &'a OurBooks,
    pub(super) gateway: &'a GatewayBooks,
    pub(super) pace: Pace,
    pub(super) checks: Vec<Check>,
    pub(super) database: String,
}

impl Summary {
    pub(super) fn of(told: Told<'_>) -> Self {
        let Told { orders, fed, ours, gateway, .. } = told;
        let standing = Standing::of(&ours.overview);
        let mut stock = Stock { before: told.stock_before, purchases: fed.purchases, ..Stock::default() };
        for level in &ours.stock {
            stock.received += level.received;
            stock.available += level.available;
            stock.reserved += level.reserved;
            stock.shipped += level.shipped;
        }
        Self {
            orders,
            orders_new: fed.orders_new,
            orders_replayed: fed.orders_replayed,
            changed_nothing: told.changed_nothing,
            delivered: standing.delivered,
            cancelled: ours.overview.cancellations.clone(),
            needs_attention: standing.needs_attention,
            sagas: ours.overview.sagas.clone(),
            money_ours: ours.money(),
            money_gateway: gateway.money.clone(),
            stock,
            faults: gateway.faults.clone().into_iter().collect(),
            done: told.done,
            pace: told.pace,
            checks: told.checks,
            database: told.database,
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        self.write_orders(out)?;
        self.write_done(out)?;
        self.write_books(out)?;
        writeln!(out, "\nWhat the providers did to it")?;
        for (name, count) in &self.faults {
            writeln!(out, "  {count:>7}  {name}")?;
        }
        writeln!(out, "\nWhat must hold")?;
        for check in &self.checks {
            let sign = if check.holds { "✓" } else { "✗ BROKEN:" };
            writeln!(out, "  {sign} {}. {}\n       {}", check.invariant, check.says, check.how)?;
        }
        self.write_next(out)
    }

    fn write_orders(&self, out: &mut String) -> std::fmt::Result {
        if self.changed_nothing {
            writeln!(
                out,
                "\nNothing has changed: all {} orders were here before, and the books are the same.",
                self.orders
            )?;
        }
        writeln!(out, "\n{} orders", self.orders)?;
        writeln!(out, "  {:>7}  delivered", self.delivered)?;
        for (reason, count) in self.cancelled.iter().filter(|(_, count)| *count > 0) {
            writeln!(out, "  {count:>7}  cancelled: {}", reason.replace('_', " "))?;
        }
        if self.needs_attention > 0 {
            writeln!(out, "  {:>7}  need a person", self.needs_attention)?;
        }
        let sagas = self.sagas.iter().filter(|(_, count)| *count > 0);
        let sagas: Vec<String> = sagas.map(|(state, count)| format!("{count} {state}")).collect();
        writeln!(out, "  sagas: {}", sagas.join(", "))?;
        let Pace { run_ms, orders_per_second, p50_ms, p99_ms } = self.pace;
        writeln!(
            out,
            "  {orders_per_second:.0} orders/s over {:.1} s, fed in waves; from accepted to delivered: half within {p50_ms} ms, 99 % within {p99_ms} ms",
            run_ms as f64 / 1_000.0
        )
    }

    fn write_done(&self, out: &mut String) -> std::fmt::Result {
        let Done { released, fewer, supplied, given_up, sent_back } = self.done;
        if self.done == Done::default() {
            return Ok(());
        }
        writeln!(out, "\nWhat people did")?;
        for (count, what) in [
            (released, format!("released from their hold, {fewer} of them with a unit less")),
            (supplied, "waited for goods and got them".to_owned()),
            (given_up, "waited for goods until their customer gave up".to_owned()),
            (sent_back, "sent back in part and paid back for it".to_owned()),
        ] {
            writeln!(out, "  {count:>7}  {what}")?;
        }
        Ok(())
    }

    fn write_books(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nMoney                  captured         refunded             kept")?;
        for (name, money) in [("our books", &self.money_ours), ("the gateway's", &self.money_gateway)] {
            let side = |pick: fn(&(i64, i64)) -> i64| {
                in_words(&money.iter().map(|(code, sums)| (code.clone(), pick(sums))).collect::<Vec<_>>())
            };
            let (captured, refunded) = (side(|sums| sums.0), side(|sums| sums.1));
            writeln!(out, "  {name:<13} {captured:>16} {refunded:>16} {:>16}", in_words(&net(money)))?;
        }
        let Stock { before, received, available, reserved, shipped, purchases } = self.stock;
        writeln!(out, "\nStock, in units")?;
        writeln!(out, "  {before} at first, {received} received in all ({purchases} purchases in this run)")?;
        writeln!(out, "  {shipped} shipped, {available} available, {reserved} reserved")
    }

    fn write_next(&self, out: &mut String) -> std::fmt::Result {
        let (program, database) = (started_as(), &self.database);
        writeln!(out, "\nThe data lies in {database}. Try next:")?;
        writeln!(out, "  {program} orders list --status cancelled --database {database}")?;
        writeln!(out, "  {program} orders history import-northwind-NW-10248 --database {database}")?;
        write!(out, "  {program} demo --stay     (again: it changes nothing, and its page stays up)")
    }
}

/// This program as it was started, so that what is shown can be typed as it stands: `cargo run` starts it by its path.
fn started_as() -> String {
    let program = std::env::args().next().filter(|program| !program.is_empty());
    let program = program.unwrap_or_else(|| "orderwright".to_owned());
    if program.contains(char::is_whitespace) { format!("'{program}'") } else { program }
}
