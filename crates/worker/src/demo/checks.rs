//! The six invariants at the end of a run: does each hold, and how is that known.

use anyhow::Result;
use application::ports::{BrokenInvariantView, Readers};
use jiff::Timestamp;
use serde::Serialize;

use super::books::{GatewayBooks, Money, OurBooks};
use super::feeding::Fed;
use crate::import::Standing;

/// Mistakes looked for at most.
const MISTAKES_MAX: usize = 100;

/// One of the six.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) invariant: u8,
    pub(super) holds: bool,
    /// What it says.
    pub(super) says: &'static str,
    /// How it was checked, with the numbers.
    pub(super) how: String,
}

/// What the checks look at.
pub(super) struct Evidence<'a> {
    pub(super) orders: u64,
    pub(super) ours: &'a OurBooks,
    pub(super) gateway: &'a GatewayBooks,
    /// Every order was sent once more.
    pub(super) again: Fed,
    /// Our books before that, and after.
    pub(super) before_again: &'a str,
    pub(super) after_again: &'a str,
}

pub(super) async fn checks(
    evidence: &Evidence<'_>,
    readers: &dyn Readers,
    now: Timestamp,
) -> Result<Vec<Check>> {
    let broken = readers.broken_invariants(now, MISTAKES_MAX).await?;
    let found = |invariant| Mistakes::of(&broken, invariant);
    Ok(vec![
        finality(evidence, &found(1)),
        money(evidence, &found(2)),
        stock(evidence, &found(3)),
        one_charge(evidence.gateway, &found(4)),
        repeats(evidence, &found(5)),
        events(&found(6)),
    ])
}

/// What the store found against one invariant.
struct Mistakes {
    count: usize,
    first: String,
}

impl Mistakes {
    fn of(broken: &[BrokenInvariantView], invariant: u8) -> Self {
        let mut mistakes = broken.iter().filter(|mistake| mistake.invariant == invariant);
        let count = mistakes.clone().count();
        let first = mistakes.next().map(|first| format!("; {}: {}", first.subject, first.detail));
        Self { count, first: first.unwrap_or_default() }
    }

    const fn none(&self) -> bool {
        self.count == 0
    }
}

fn finality(evidence: &Evidence<'_>, mistakes: &Mistakes) -> Check {
    let standing = Standing::of(&evidence.ours.overview);
    let waiting = standing.accepted - standing.settled();
    Check {
        invariant: 1,
        holds: mistakes.none() && standing.accepted == evidence.orders && waiting == 0,
        says: "every order is final, or a person has it",
        how: format!(
            "{} accepted, {} delivered, {} cancelled and undone, {} for a person, {waiting} on the way{}",
            standing.accepted,
            standing.delivered,
            standing.cancelled,
            standing.needs_attention,
            mistakes.first
        ),
    }
}

fn money(evidence: &Evidence<'_>, mistakes: &Mistakes) -> Check {
    let (ours, theirs) = (net(&evidence.ours.money()), net(&evidence.gateway.money));
    Check {
        invariant: 2,
        holds: mistakes.none() && ours == theirs,
        says: "money kept is the total if delivered, nothing if cancelled",
        how: format!(
            "each order looked at: {} wrong; kept by our books {}, by the gateway's {}{}",
            mistakes.count,
            in_words(&ours),
            in_words(&theirs),
            mistakes.first
        ),
    }
}

fn stock(evidence: &Evidence<'_>, mistakes: &Mistakes) -> Check {
    let conserved = |level: &&application::ports::InventoryView| {
        level.received + level.adjusted == level.available + level.reserved + level.shipped
    };
    let products = evidence.ours.stock.len();
    let right = evidence.ours.stock.iter().filter(conserved).count();
    Check {
        invariant: 3,
        holds: mistakes.none() && right == products,
        says: "no unit is sold twice, lost or made up",
        how: format!(
            "received = available + reserved + shipped for {right} of {products} products; ledger and reservations added up: {} wrong{}",
            mistakes.count, mistakes.first
        ),
    }
}

fn one_charge(gateway: &GatewayBooks, mistakes: &Mistakes) -> Check {
    let twice = gateway.references_charged_twice + gateway.keys_charged_twice;
    Check {
        invariant: 4,
        holds: mistakes.none() && twice == 0 && gateway.references_shipped_twice == 0,
        says: "no order is charged twice",
        how: format!(
            "counted by the gateway: {} orders charged twice; by the carrier: {} shipped twice{}",
            twice, gateway.references_shipped_twice, mistakes.first
        ),
    }
}

fn repeats(evidence: &Evidence<'_>, mistakes: &Mistakes) -> Check {
    let same = evidence.before_again == evidence.after_again;
    let replayed = evidence.again.orders_replayed;
    let twice = evidence.gateway.faults.get("webhook events sent twice").copied().unwrap_or_default();
    let reordered = evidence.gateway.faults.get("webhook events out of order").copied().unwrap_or_default();
    let unchanged = if same { "unchanged" } else { "CHANGED" };
    Check {
        invariant: 5,
        holds: mistakes.none() && same && replayed == evidence.orders && evidence.again.orders_new == 0,
        says: "what comes twice or out of order changes nothing",
        how: format!(
            "every order sent once more: {replayed} replayed, books {unchanged}; {twice} events came twice, {reordered} out of order{}",
            mistakes.first
        ),
    }
}

fn events(mistakes: &Mistakes) -> Check {
    Check {
        invariant: 6,
        holds: mistakes.none(),
        says: "every event about money or a parcel is in a history or listed as unmatched",
        how: format!(
            "money and parcels of each order compared with its history: {} wrong{}",
            mistakes.count, mistakes.first
        ),
    }
}

/// Minor units kept, by currency. What comes to nothing is left out, as one side may not know of it.
pub(super) fn net(money: &Money) -> Vec<(String, i64)> {
    let net = money.iter().map(|(code, (captured, refunded))| (code.clone(), captured - refunded));
    net.filter(|(_, net)| *net != 0).collect()
}

pub(super) fn in_words(net: &[(String, i64)]) -> String {
    let amount = |(code, minor): &(String, i64)| match domain::Currency::parse(code) {
        Ok(currency) => domain::Money::new(*minor, currency).to_string(),
        Err(_) => format!("{minor} minor units of {code}"),
    };
    if net.is_empty() { "nothing".to_owned() } else { net.iter().map(amount).collect::<Vec<_>>().join(", ") }
}
