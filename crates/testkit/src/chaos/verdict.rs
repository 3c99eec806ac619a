//! The judgement: our books against the provider's, order by order.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

use super::client::Client;
use super::{Answers, Course, Happened, Plan};

/// Entries of a provider's listing asked for at once.
const PAGE: usize = 10_000;

/// Problems shown at most.
const SHOWN_MAX: usize = 20;

/// What is known when it is over.
pub(super) struct Found<'a> {
    /// What was done.
    pub(super) happened: Happened,
    /// What clients met.
    pub(super) answers: Answers,
    /// Order ids by key.
    pub(super) accepted: &'a BTreeMap<String, String>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Verdict {
    happened: Happened,
    faults_planned: u32,
    answers: Answers,
    accepted: usize,
    outcomes: BTreeMap<String, u64>,
    charges: u64,
    kept: i64,
    faults: Value,
    problems: Vec<String>,
}

impl Verdict {
    /// Asks both sides.
    pub(super) async fn reach(
        plan: &Plan,
        found: Found<'_>,
        service: &Client,
        provider: &Client,
    ) -> Result<Self> {
        let Found { happened, answers, accepted } = found;
        let orders = all(service, "/orders?limit=200").await?;
        let orders: BTreeMap<&str, &Value> =
            orders.iter().filter_map(|order| Some((order["order_id"].as_str()?, order))).collect();
        let stats = provider.get("/stats").await?;
        let mut verdict = Self {
            happened,
            faults_planned: plan.faults,
            answers,
            accepted: accepted.len(),
            outcomes: BTreeMap::new(),
            charges: stats["payments"]["charges"].as_u64().unwrap_or(0),
            kept: 0,
            faults: stats["faults"].clone(),
            problems: Vec::new(),
        };
        if plan.course == Course::RollingRestarts {
            verdict.clients_met_nothing_worse_than_absence();
        }
        verdict.every_order_has_an_end(accepted, &orders);
        verdict.nothing_was_charged_twice(&stats);
        verdict.money_balances(&orders, &listing(provider, "/charges").await?);
        verdict.parcels_fit(&orders, &listing(provider, "/shipments").await?);
        verdict.books_are_right(&service.get("/check").await?);
        Ok(verdict)
    }

    /// Whether everything is as it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.happened.all() >= self.faults_planned
    }

    fn every_order_has_an_end(
        &mut self,
        accepted: &BTreeMap<String, String>,
        orders: &BTreeMap<&str, &Value>,
    ) {
        for (key, id) in accepted {
            let Some(order) = orders.get(id.as_str()) else {
                self.problems.push(format!("invariant 1: order {id} ({key}) was accepted and is lost"));
                continue;
            };
            let outcome = match (order["status"].as_str(), order["saga_state"].as_str()) {
                (Some("delivered"), Some("completed")) => "delivered".to_owned(),
                (Some("cancelled"), Some("failed")) => {
                    format!("cancelled: {}", order["cancel_reason"].as_str().unwrap_or("no reason"))
                }
                (_, Some("needs_attention")) => "needs attention".to_owned(),
                (status, saga) => {
                    self.problems
                        .push(format!("invariant 1: order {id} ended as {status:?}, its saga as {saga:?}"));
                    continue;
                }
            };
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

    fn clients_met_nothing_worse_than_absence(&mut self) {
        let Answers { cut_off, silent, failed, .. } = self.answers;
        if cut_off + silent + failed > 0 {
            self.problems.push(format!("rolling restarts were noticed: {}", self.answers));
        }
    }

    fn nothing_was_charged_twice(&mut self, stats: &Value) {
        for (group, count) in [
            ("payments", "keys_charged_twice"),
            ("payments", "references_charged_twice"),
            ("shipping", "references_shipped_twice"),
        ] {
            if stats[group][count].as_u64() != Some(0) {
                self.problems.push(format!("invariant 4: {count} is {}", stats[group][count]));
            }
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

    fn books_are_right(&mut self, check: &Value) {
        let broken =
            check["broken"].as_array().or_else(|| check["items"].as_array()).or_else(|| check.as_array());
        match broken {
            Some(broken) => self.problems.extend(broken.iter().map(|mistake| format!("check: {mistake}"))),
            None => self.problems.push(format!("check answered something else: {check}")),
        }
    }
}

/// Every item of a listing of the service.
async fn all(service: &Client, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = service.get(&next).await?;
        items.extend(page["items"].as_array().cloned().context("a listing has items")?);
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => return Ok(items),
        }
    }
}

/// Every entry of the provider's books.
async fn listing(provider: &Client, path: &str) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut after = 0;
    loop {
        let page = provider.get(&format!("{path}?after={after}&limit={PAGE}")).await?;
        items.extend(page["items"].as_array().cloned().context("a listing has items")?);
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => return Ok(items),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} faults under load: {}", self.happened.all(), self.happened)?;
        writeln!(
            f,
            "{} orders accepted, {} charges made; clients: {}",
            self.accepted, self.charges, self.answers
        )?;
        for (outcome, count) in &self.outcomes {
            writeln!(f, "  {count:>6} {outcome}")?;
        }
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
