//! A great backlog, worked off in flat memory: orders are accepted into the store while no worker is there, through the same
//! command that the API uses; then the workers start.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use application::commands::{
    CreateOrderCommand, CreateOrderHandler, CreateOrderLine, CreateOrderReply, OrderKey,
};
use application::pipeline::Context;
use application::ports::Caller;
use bus::Coalesce;
use clap::Args;
use domain::{CustomerId, OrderId, Quantity, Sku};

use super::criteria;
use super::environment::Environment;
use super::report::{Figure, Report};
use super::tuning::Tuning;
use crate::bench::PATIENCE;
use crate::generator::sku;
use crate::setup::Setup;
use worker::any_store::{AnyStore, Purpose};
use worker::config::Config;
use worker::wiring;

/// Orders between two words about how far it is.
const TELL: u64 = 100_000;

#[derive(Clone, Debug, Args)]
pub(crate) struct Backlog {
    /// Orders accepted before any worker runs.
    #[arg(long, default_value_t = 250_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    orders: u64,
}

impl Backlog {
    pub(crate) async fn run(&self, setup: &Setup) -> Result<Report> {
        let tuning = Tuning::patience();
        let config = tuning.applied(setup.prepare().await?)?;
        eprintln!("accepting {} orders while no worker is there", self.orders);
        let accepting = Instant::now();
        accept(&config, setup, self.orders).await?;
        let accepted_per_s = self.orders as f64 / accepting.elapsed().as_secs_f64().max(1e-6);
        eprintln!("accepted {accepted_per_s:.0} orders/s; now they are worked off");
        let environment = Environment::start(setup, tuning, &config, self.orders).await?;
        let from_s = environment.watch.now_s();
        environment.worked_off(0, PATIENCE).await?;
        let working = environment.since(from_s);
        let about =
            "Orders are accepted while no worker is there; then the workers start and work the backlog off.";
        let (mut report, series) = environment.close("backlog", about).await?;
        let all_delivered = series.speed(working, |sample| sample.delivered);
        report.checks = vec![criteria::memory_flat(&series, working), criteria::nothing_lost(&report.totals)];
        report.figures = vec![
            Figure::new("accepted", accepted_per_s, "orders/s"),
            Figure::new("worked off", all_delivered, "orders/s"),
            Figure::new("in", working.seconds(), "s"),
            Figure::new("memory of the workers at most", series.memory_most(working), "MiB"),
        ];
        Ok(report)
    }
}

async fn accept(config: &Config, setup: &Setup, orders: u64) -> Result<()> {
    let store = AnyStore::open(config, Purpose::Visit).await?;
    let context = wiring::context(config);
    let handler = CreateOrderHandler::new(Arc::clone(&store.units), Arc::clone(&context));
    let batch = u64::try_from(handler.batch_max()).unwrap_or(1).max(1);
    let mut from = 0;
    while from < orders {
        let to = (from + batch).min(orders);
        let requests =
            (from..to).map(|ordinal| order(&context, setup, ordinal)).collect::<Result<Vec<_>>>()?;
        let unit = handler.begin().await?;
        let replies = handler.flush(unit, &requests).await?;
        let accepted = replies.iter().filter(|reply| matches!(reply, CreateOrderReply::Created(_))).count();
        ensure!(accepted == requests.len(), "only {accepted} of {} orders were accepted", requests.len());
        if from / TELL < to / TELL {
            eprintln!("{to} accepted");
        }
        from = to;
    }
    store.upkeep.close().await;
    Ok(())
}

fn order(context: &Context, setup: &Setup, ordinal: u64) -> Result<CreateOrderCommand> {
    let line = |number: usize| -> Result<CreateOrderLine> {
        let product = (ordinal + number as u64) % u64::from(setup.goods.products);
        let sku = Sku::parse(&sku(u32::try_from(product)?))?;
        let quantity = Quantity::new(u32::try_from(ordinal % 3)? + 1)?;
        Ok(CreateOrderLine { sku, quantity, unit_price: None })
    };
    Ok(CreateOrderCommand {
        order_id: OrderId(context.ids.next(context.clock.now())),
        caller: Caller::without_key(),
        key: Some(OrderKey { key: format!("backlog-{ordinal}"), digest: [0; 32] }),
        customer_id: CustomerId::parse(&format!("C{:05}", ordinal % 10_000))?,
        lines: (0..setup.goods.lines).map(line).collect::<Result<_>>()?,
        ordered_at: None,
        external_reference: None,
        payment_token: None,
        total: None,
        money_lines: Vec::new(),
        details: None,
        holds: Vec::new(),
        when_short: None,
        traceparent: None,
    })
}
