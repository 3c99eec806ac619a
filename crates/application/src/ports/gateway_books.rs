//! The gateway's own books, for holding ours against them. A gateway that cannot list its charges says so; nothing is
//! concluded from a list that is not there.

use async_trait::async_trait;
use domain::Money;

use super::Unanswered;

/// A charge as the gateway lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCharge {
    /// The idempotency key that it was made with.
    pub key: String,
    /// What the one who made it calls what is paid: for ours, the order's id.
    pub reference: String,
    /// The gateway's name for it.
    pub id: String,
    /// How much was asked for.
    pub amount: Money,
    /// Minor units taken.
    pub captured_minor: i64,
    /// Minor units given back.
    pub refunded_minor: i64,
}

impl ListedCharge {
    /// Minor units that the gateway has taken and not given back.
    #[must_use]
    pub const fn held_minor(&self) -> i64 {
        self.captured_minor.saturating_sub(self.refunded_minor)
    }
}

/// A part of the gateway's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargePage {
    /// The charges, in an order of the gateway's that does not change.
    pub charges: Vec<ListedCharge>,
    /// Where the next part begins, in the gateway's words; none at the end.
    pub next: Option<String>,
}

/// What a gateway answers that is asked for its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// A part of it.
    Page(ChargePage),
    /// It has no list of charges.
    CannotList,
}

/// The gateway's books. Reading them changes nothing there.
#[async_trait]
pub trait GatewayBooks: Send + Sync {
    /// Up to `max` charges, from where the part before has ended.
    async fn listed_charges(&self, after: Option<&str>, max: usize) -> Result<Listing, Unanswered>;

    /// The first charge that was made with this key; none if there was none.
    async fn listed_charge(&self, key: &str) -> Result<Option<ListedCharge>, Unanswered>;
}
