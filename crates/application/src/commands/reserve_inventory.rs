//! Reserves stock for orders that still want it: each order completely or not at all, in order of arrival.

use std::collections::{BTreeMap, BTreeSet};

use bus::{Fault, SagaRepository};
use domain::{OrderId, ProductId, Sku};
use jiff::Timestamp;

use crate::messages::{Demand, correlation};
use crate::ports::{ReservationOutcome, Shortage, StockDemand, UnitOfWork};
use crate::saga::{OrderProcessingSaga, SagaState, StockStep};

/// Reserve the stock of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveInventoryCommand {
    /// The order.
    pub order_id: OrderId,
    /// The requested units.
    pub lines: Vec<Demand>,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservationVerdict {
    /// Every line is reserved.
    Reserved,
    /// None is; names the short lines, with the requested and the available units.
    Short(String),
    /// The order does not want it any more, or has it already.
    NotWanted,
    /// There is no such order.
    Unknown,
}

/// Handles a batch of them.
///
/// # Errors
/// Those of the store.
pub async fn reserve_inventory(
    unit: &mut dyn UnitOfWork,
    commands: &[ReserveInventoryCommand],
    now: Timestamp,
) -> Result<Vec<ReservationVerdict>, Fault> {
    let Standing { mut wanting, known } = standing(unit, commands).await?;
    // A message that is twice in the batch reserves once.
    let chosen: Vec<bool> = commands.iter().map(|command| wanting.remove(&command.order_id)).collect();
    let demands: Vec<StockDemand> = commands
        .iter()
        .zip(&chosen)
        .filter(|(_, chosen)| **chosen)
        .map(|(command, _)| merged(command))
        .collect();
    let outcomes = unit.inventory().reserve_stock(&demands, now).await?;
    let names = names_of_short(unit, &outcomes).await?;
    let mut outcomes = outcomes.into_iter();
    let verdict =
        |(command, chosen): (&ReserveInventoryCommand, bool)| match chosen.then(|| outcomes.next()).flatten()
        {
            None if !known.contains(&command.order_id) => ReservationVerdict::Unknown,
            None => ReservationVerdict::NotWanted,
            Some(ReservationOutcome::Reserved) => ReservationVerdict::Reserved,
            Some(ReservationOutcome::Short(lines)) => ReservationVerdict::Short(in_words(&lines, &names)),
        };
    Ok(commands.iter().zip(chosen).map(verdict).collect())
}

/// Which orders exist, and which of them want stock now.
struct Standing {
    known: BTreeSet<OrderId>,
    wanting: BTreeSet<OrderId>,
}

/// Looks the orders up and locks their sagas.
async fn standing(
    unit: &mut dyn UnitOfWork,
    commands: &[ReserveInventoryCommand],
) -> Result<Standing, Fault> {
    let mut ids: Vec<_> = commands.iter().map(|command| correlation(command.order_id)).collect();
    ids.sort_unstable();
    ids.dedup();
    let sagas: Vec<OrderProcessingSaga> = SagaRepository::load_sagas(unit, &ids).await?;
    let wants =
        |saga: &&OrderProcessingSaga| saga.state == SagaState::Created && saga.stock == StockStep::None;
    let known = sagas.iter().map(|saga| saga.order_id).collect();
    Ok(Standing { known, wanting: sagas.iter().filter(wants).map(|saga| saga.order_id).collect() })
}

fn merged(command: &ReserveInventoryCommand) -> StockDemand {
    let mut lines: BTreeMap<ProductId, i64> = BTreeMap::new();
    for line in &command.lines {
        // A message from outside may request more than 64 bits hold; no stock is that large.
        let units = lines.entry(ProductId(line.product_id)).or_default();
        *units = units.saturating_add(line.quantity);
    }
    StockDemand { order_id: command.order_id, lines: lines.into_iter().collect() }
}

async fn names_of_short(
    unit: &mut dyn UnitOfWork,
    outcomes: &[ReservationOutcome],
) -> Result<BTreeMap<ProductId, Sku>, Fault> {
    let mut ids: Vec<ProductId> = outcomes
        .iter()
        .flat_map(|outcome| match outcome {
            ReservationOutcome::Reserved => &[],
            ReservationOutcome::Short(lines) => lines.as_slice(),
        })
        .map(|line| line.product_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let products = unit.products().get_by_ids(&ids).await?;
    Ok(products.into_iter().map(|product| (product.id, product.sku)).collect())
}

fn in_words(lines: &[Shortage], names: &BTreeMap<ProductId, Sku>) -> String {
    let line = |short: &Shortage| {
        let name = names.get(&short.product_id).map_or("a product that is not in the catalogue", Sku::as_str);
        format!("{name}: requested {}, available {}", short.requested, short.available)
    };
    lines.iter().map(line).collect::<Vec<_>>().join("; ")
}
