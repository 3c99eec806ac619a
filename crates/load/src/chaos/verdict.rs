//! The verdict: our records against the provider's, order by order; and whether the run proves anything. Reads nothing itself, so
//! that a test can show it what it has to condemn.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::staff::Done;
use super::{Course, Happened, Meanwhile, Plan};
use crate::generator::{Accepted, Counted};
use crate::totals::{Ledger, doubles};

/// Problems shown at most.
const SHOWN_MAX: usize = 20;

/// Why an order may be cancelled when all is well.
const BUSINESS: [&str; 4] = ["customer", "payment_declined", "out_of_stock", "shipping_failed"];

/// At most one in so many orders may be left to a person: that happens where the undoing fails for longer than it is tried,
/// and no fault here lasts as long.
const ATTENTION_ONE_IN: u64 = 100;

/// Orders of which none may be spared a hold, nor the loss of a unit: a quarter of them waits for a person.
const VARIED_FROM: u64 = 200;

/// Charges of which none may be spared an answer with another amount: the provider gives one in seventeen.
const OTHER_AMOUNTS_FROM: u64 = 500;

/// What is known when it is over.
pub(crate) struct Found<'a> {
    pub(crate) happened: Happened,
    pub(crate) answers: Counted,
    /// What clients did while something was done.
    pub(crate) meanwhile: Meanwhile,
    pub(crate) accepted: &'a [Accepted],
    /// What people did.
    pub(crate) done: Done,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Verdict {
    happened: Happened,
    answers: Counted,
    meanwhile: Meanwhile,
    done: Done,
    accepted: usize,
    outcomes: BTreeMap<String, u64>,
    delivered_afterwards: u64,
    charges: u64,
    kept: i64,
    faults: Value,
    problems: Vec<String>,
}

impl Verdict {
    pub(crate) fn of(plan: &Plan, found: Found<'_>, ledger: &Ledger) -> Self {
        let Found { happened, answers, meanwhile, accepted, done } = found;
        let orders: BTreeMap<&str, &Value> =
            ledger.orders.iter().filter_map(|order| Some((order["order_id"].as_str()?, order))).collect();
        let mut verdict = Self {
            happened,
            answers,
            meanwhile,
            done,
            accepted: accepted.len(),
            outcomes: BTreeMap::new(),
            delivered_afterwards: 0,
            charges: ledger.stats["payments"]["charges"].as_u64().unwrap_or(0),
            kept: 0,
            faults: ledger.stats["faults"].clone(),
            problems: Vec::new(),
        };
        verdict.all_happened_under_load(plan);
        verdict.people_had_something_to_do();
        if plan.course == Course::RollingRestarts {
            verdict.clients_met_nothing_worse_than_absence();
        }
        verdict.every_order_has_an_end(plan, accepted, &orders);
        verdict.it_worked(&ledger.overview);
        verdict.nothing_was_charged_twice(&ledger.stats);
        verdict.the_gateway_named_other_amounts();
        verdict.money_balances(&orders, &ledger.charges);
        verdict.parcels_fit(&orders, &ledger.shipments);
        verdict.check_finds_nothing(&ledger.check);
        verdict
    }

    /// Whether everything is as it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }

    /// What was done.
    #[must_use]
    pub const fn happened(&self) -> &Happened {
        &self.happened
    }

    /// What clients met beside orders that were accepted at once.
    fn told(&self) -> String {
        let Counted { refused, failed, absent, cut_off, silent, .. } = self.answers;
        format!(
            "connection refused {absent} times, cut off {cut_off}, no answer in time {silent}, told to come again {refused}, failed {failed}"
        )
    }

    /// A fault that no client could feel proves nothing.
    fn all_happened_under_load(&mut self, plan: &Plan) {
        let happened = self.happened.all();
        if happened < plan.faults {
            self.problems.push(format!("only {happened} of {} faults happened", plan.faults));
        }
        if self.happened.lasted() && self.meanwhile.asked == 0 {
            self.problems.push("no client asked for anything while something happened".to_owned());
        }
    }

    /// Of so many orders some wait for a person, or the run says nothing about those.
    fn people_had_something_to_do(&mut self) {
        let Done { released, fewer, .. } = self.done;
        if self.accepted as u64 >= VARIED_FROM && (released == 0 || fewer == 0) {
            self.problems.push(format!("{released} holds were released, and units taken off {fewer} orders"));
        }
    }

    /// Whether one of them met a worker that was not there is left to chance: a restart may be over before its turn comes.
    fn clients_met_nothing_worse_than_absence(&mut self) {
        let Counted { cut_off, silent, failed, .. } = self.answers;
        if cut_off + silent + failed > 0 {
            self.problems.push(format!("rolling restarts were noticed: {}", self.told()));
        }
        if self.happened.all() > 0 && self.meanwhile.accepted == 0 {
            self.problems.push("no order was accepted while a worker was restarted".to_owned());
        }
    }

    fn every_order_has_an_end(
        &mut self,
        plan: &Plan,
        accepted: &[Accepted],
        orders: &BTreeMap<&str, &Value>,
    ) {
        for Accepted { ordinal, key, order_id: id } in accepted {
            let Some(order) = orders.get(id.as_str()) else {
                self.problems.push(format!("invariant 1: order {id} ({key}) was accepted and is lost"));
                continue;
            };
            let reason = order["cancel_reason"].as_str().unwrap_or("no reason");
            let (outcome, is_well) = match (order["status"].as_str(), order["saga_state"].as_str()) {
                (Some("delivered"), Some("completed")) => ("delivered".to_owned(), true),
                (Some("cancelled"), Some("failed")) => {
                    (format!("cancelled: {reason}"), BUSINESS.contains(&reason))
                }
                (_, Some("needs_attention")) => ("needs attention".to_owned(), false),
                (status, saga) => {
                    self.problems
                        .push(format!("invariant 1: order {id} ended as {status:?}, its saga as {saga:?}"));
                    continue;
                }
            };
            if *ordinal >= plan.orders_under_faults() {
                self.delivered_afterwards += u64::from(outcome == "delivered");
                if !is_well {
                    self.problems.push(format!("order {id} was sent when all was well again; {outcome}"));
                }
            }
            *self.outcomes.entry(outcome).or_default() += 1;
        }
        if orders.len() != accepted.len() {
            self.problems.push(format!(
                "{} orders are stored, {} were accepted",
                orders.len(),
                accepted.len()
            ));
        }
    }

    /// A service that does nothing loses nothing either.
    fn it_worked(&mut self, overview: &Value) {
        let count = |outcome: &str| self.outcomes.get(outcome).copied().unwrap_or(0);
        let (delivered, attention) = (count("delivered"), count("needs attention"));
        if overview["dead_letters"].as_u64() != Some(0) {
            self.problems.push(format!("dead letters: {}", overview["dead_letters"]));
        }
        if self.charges == 0 {
            self.problems.push("nothing was ever charged".to_owned());
        }
        if delivered == 0 {
            self.problems.push("nothing was ever delivered".to_owned());
        }
        if self.delivered_afterwards == 0 {
            self.problems.push("nothing was delivered when all was well again".to_owned());
        }
        if attention * ATTENTION_ONE_IN > self.accepted as u64 {
            self.problems.push(format!("{attention} of {} orders need attention", self.accepted));
        }
    }

    fn nothing_was_charged_twice(&mut self, stats: &Value) {
        for (name, count) in doubles(stats) {
            if count.as_u64() != Some(0) {
                self.problems.push(format!("invariant 4: {name} is {count}"));
            }
        }
    }

    /// Of so many charges some were answered with another amount, or the run says nothing about such answers.
    fn the_gateway_named_other_amounts(&mut self) {
        if self.charges >= OTHER_AMOUNTS_FROM && self.faults["other_amounts"].as_u64().unwrap_or(0) == 0 {
            self.problems.push("the gateway never named another amount than it was asked for".to_owned());
        }
    }

    /// The gateway keeps the total of what was delivered, and nothing of what was cancelled.
    fn money_balances(&mut self, orders: &BTreeMap<&str, &Value>, charges: &[Value]) {
        let mut kept: BTreeMap<&str, i64> = BTreeMap::new();
        for charge in charges {
            let net = charge["captured_minor"].as_i64().unwrap_or(0)
                - charge["refunded_minor"].as_i64().unwrap_or(0);
            *kept.entry(charge["reference"].as_str().unwrap_or_default()).or_default() += net;
            self.kept += net;
        }
        for (id, order) in orders {
            let wanted = match order["status"].as_str() {
                Some("delivered") => order["total"]["minor"].as_i64().unwrap_or(-1),
                Some("cancelled") => 0,
                _ => continue,
            };
            let kept = kept.get(id).copied().unwrap_or(0);
            if kept != wanted {
                self.problems.push(format!(
                    "invariant 2: the gateway keeps {kept} for order {id} ({}), not {wanted}",
                    order["status"]
                ));
            }
        }
    }

    /// What was delivered was shipped, and nothing that was cancelled is on its way.
    fn parcels_fit(&mut self, orders: &BTreeMap<&str, &Value>, shipments: &[Value]) {
        let delivered: BTreeMap<&str, &str> = shipments
            .iter()
            .filter_map(|parcel| Some((parcel["reference"].as_str()?, parcel["status"].as_str()?)))
            .collect();
        for (id, order) in orders {
            let parcel = delivered.get(id).copied();
            match (order["status"].as_str(), parcel) {
                (Some("delivered"), Some("delivered"))
                | (Some("cancelled"), None | Some("cancelled" | "rejected")) => {}
                (Some("delivered" | "cancelled"), parcel) => {
                    self.problems
                        .push(format!("order {id} is {}, its parcel is {parcel:?}", order["status"]));
                }
                _ => {}
            }
        }
    }

    fn check_finds_nothing(&mut self, check: &Value) {
        let broken =
            check["broken"].as_array().or_else(|| check["items"].as_array()).or_else(|| check.as_array());
        match broken {
            Some(broken) => self.problems.extend(broken.iter().map(|mistake| format!("check: {mistake}"))),
            None => self.problems.push(format!("check answered something else: {check}")),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} faults under load: {}", self.happened.all(), self.happened)?;
        writeln!(
            f,
            "{} orders accepted, {} charges made; clients: {}",
            self.accepted,
            self.charges,
            self.told()
        )?;
        let Meanwhile { asked, accepted } = self.meanwhile;
        writeln!(f, "while something happened: {asked} requests, {accepted} orders accepted")?;
        let Done { released, fewer, bought } = self.done;
        writeln!(
            f,
            "people released {released} holds, took units off {fewer} orders and bought {bought} times for who waits"
        )?;
        for (outcome, count) in &self.outcomes {
            writeln!(f, "  {count:>6} {outcome}")?;
        }
        writeln!(f, "delivered of those sent when all was well again: {}", self.delivered_afterwards)?;
        writeln!(f, "faults of the provider: {}", self.faults)?;
        if self.holds() {
            return writeln!(
                f,
                "nothing lost, doubled or oversold; the gateway keeps {} minor units, exactly what was delivered",
                self.kept
            );
        }
        writeln!(f, "{} problems:", self.problems.len())?;
        self.problems.iter().take(SHOWN_MAX).try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

#[cfg(test)]
mod tests;
