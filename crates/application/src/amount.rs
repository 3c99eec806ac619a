//! Money as messages write it.

use bus::Fault;
use domain::{Currency, Money};
use serde::{Deserialize, Serialize};

/// An amount of money on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Minor units: cents, pence, yen, fils.
    #[serde(deserialize_with = "crate::whole_number::read")]
    pub minor: i64,
    /// ISO 4217 code.
    pub currency: String,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency.code().to_owned() }
    }
}

impl Amount {
    /// The amount as the domain's money.
    ///
    /// # Errors
    /// [`bus::Verdict::GiveUp`] for an unknown currency.
    pub fn money(&self) -> Result<Money, Fault> {
        let currency =
            Currency::parse(&self.currency).map_err(|error| Fault::give_up("message.decode", error))?;
        Ok(Money::new(self.minor, currency))
    }
}
