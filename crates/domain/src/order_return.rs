//! Returns: goods that come back of an order that was shipped, how many of them can be sold again, and what is paid back for them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::closed_set::closed_set;
use crate::ids::{OrderId, ProductId, ReturnId, Sku};

closed_set! {
    /// Where a return stands.
    pub enum ReturnStatus {
        /// The goods are awaited.
        Requested = 0, "requested";
        /// They are here, all or some of them.
        Received = 1, "received";
        /// They will not come.
        Cancelled = 2, "cancelled";
    }
}

/// One product of a return, in units. Always `restocked <= received <= quantity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnLine {
    /// The product.
    pub product_id: ProductId,
    /// Its name.
    pub sku: Sku,
    /// Awaited.
    pub quantity: i64,
    /// Arrived.
    pub received: i64,
    /// Back on the shelf, for sale.
    pub restocked: i64,
}

/// What arrived of one product, in units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The product.
    pub sku: Sku,
    /// Arrived.
    pub received: i64,
    /// Of these, back on the shelf, for sale; none where [`Restock`] tells.
    pub restocked: Option<i64>,
}

/// What becomes of units that arrived where nothing else is said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restock {
    /// They are for sale again.
    All,
    /// They are not.
    None,
}

/// Who received or cancelled a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnEnd {
    /// Who.
    pub actor: String,
    /// What they say to it; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// The money that goes back for a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnRefund {
    /// The key under which the gateway gives it back once.
    pub key: String,
    /// The amount, in minor units of the order's currency.
    pub minor: i64,
    /// When the gateway had given it back, if it has.
    pub paid_at: Option<Timestamp>,
}

/// One return of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderReturn {
    /// Its id.
    pub id: ReturnId,
    /// The order.
    pub order_id: OrderId,
    /// Where it stands.
    pub status: ReturnStatus,
    /// Why the goods come back, in the words of whoever asked for it.
    pub reason: String,
    /// Who asked for it; none for the carrier, which turned back.
    pub actor: Option<String>,
    /// When.
    pub requested_at: Timestamp,
    /// Its products, one line each.
    pub lines: Vec<ReturnLine>,
    /// Who received or cancelled it, once somebody has.
    pub end: Option<ReturnEnd>,
    /// What is paid back for it, if anything is.
    pub refund: Option<ReturnRefund>,
}

/// Why a return cannot be like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReturnRejection {
    /// It was received or cancelled before.
    #[error("the return was {status} before")]
    Over {
        /// As what it ended.
        status: ReturnStatus,
    },
    /// A product that it does not have.
    #[error("{sku} is not part of it; it has {known}")]
    UnknownLine {
        /// The product.
        sku: Sku,
        /// Those that it has.
        known: String,
    },
    /// A product that is named twice.
    #[error("{sku} is named twice")]
    NamedTwice {
        /// The product.
        sku: Sku,
    },
    /// More or fewer units than there can be.
    #[error("{units} units of {sku}, where 1 to {most} can come back")]
    TooMany {
        /// The product.
        sku: Sku,
        /// Units named.
        units: i64,
        /// Units that are possible.
        most: i64,
    },
    /// More units for sale than arrived, or fewer than none.
    #[error("{restocked} units of {sku} for sale again, of {received} that arrived")]
    TooManyRestocked {
        /// The product.
        sku: Sku,
        /// Units for sale.
        restocked: i64,
        /// Units arrived.
        received: i64,
    },
    /// Nothing was named, or nothing is left.
    #[error("nothing of this order is left to come back: all of it is awaited or here")]
    NothingLeft,
}

/// The units of each product that may still come back: what was shipped without what came back before or is awaited.
#[must_use]
pub fn returnable(
    shipped: &BTreeMap<Sku, (ProductId, i64)>,
    returns: &[OrderReturn],
) -> BTreeMap<Sku, (ProductId, i64)> {
    let mut left = shipped.clone();
    for line in returns.iter().flat_map(OrderReturn::taken) {
        if let Some((_, units)) = left.get_mut(&line.0) {
            *units -= line.1;
        }
    }
    left.retain(|_, (_, units)| *units > 0);
    left
}

/// The lines of a new return: these units, or all that may come back if none are named.
///
/// # Errors
/// If they are not among those that may.
pub fn lines_of_return(
    wanted: &[(Sku, i64)],
    returnable: &BTreeMap<Sku, (ProductId, i64)>,
) -> Result<Vec<ReturnLine>, ReturnRejection> {
    let line = |sku: &Sku, product_id: ProductId, quantity: i64| ReturnLine {
        product_id,
        sku: sku.clone(),
        quantity,
        received: 0,
        restocked: 0,
    };
    if returnable.is_empty() {
        return Err(ReturnRejection::NothingLeft);
    }
    if wanted.is_empty() {
        return Ok(returnable.iter().map(|(sku, (id, units))| line(sku, *id, *units)).collect());
    }
    let mut lines: Vec<ReturnLine> = Vec::with_capacity(wanted.len());
    for (sku, units) in wanted {
        let Some((product_id, most)) = returnable.get(sku) else {
            return Err(ReturnRejection::UnknownLine { sku: sku.clone(), known: names(returnable.keys()) });
        };
        if !(1..=*most).contains(units) {
            return Err(ReturnRejection::TooMany { sku: sku.clone(), units: *units, most: *most });
        }
        if lines.iter().any(|line| line.sku == *sku) {
            return Err(ReturnRejection::NamedTwice { sku: sku.clone() });
        }
        lines.push(line(sku, *product_id, *units));
    }
    Ok(lines)
}

impl OrderReturn {
    /// Records what arrived; what is not named did not. All of it arrived if nothing is named.
    ///
    /// # Errors
    /// If it is over, or if this cannot have arrived; nothing is changed then.
    pub fn receive(
        &mut self,
        arrived: &[Arrival],
        restock: Restock,
        end: ReturnEnd,
    ) -> Result<(), ReturnRejection> {
        self.must_be_open()?;
        let otherwise = |received| if restock == Restock::All { received } else { 0 };
        let mut lines = self.lines.clone();
        if arrived.is_empty() {
            for line in &mut lines {
                (line.received, line.restocked) = (line.quantity, otherwise(line.quantity));
            }
        }
        for (index, Arrival { sku, received, restocked }) in arrived.iter().enumerate() {
            let Some(line) = lines.iter_mut().find(|line| line.sku == *sku) else {
                let known = names(self.lines.iter().map(|line| &line.sku));
                return Err(ReturnRejection::UnknownLine { sku: sku.clone(), known });
            };
            if arrived[..index].iter().any(|before| before.sku == *sku) {
                return Err(ReturnRejection::NamedTwice { sku: sku.clone() });
            }
            if !(1..=line.quantity).contains(received) {
                let (units, most) = (*received, line.quantity);
                return Err(ReturnRejection::TooMany { sku: sku.clone(), units, most });
            }
            let (received, restocked) = (*received, restocked.unwrap_or_else(|| otherwise(*received)));
            if !(0..=received).contains(&restocked) {
                return Err(ReturnRejection::TooManyRestocked { sku: sku.clone(), restocked, received });
            }
            (line.received, line.restocked) = (received, restocked);
        }
        self.lines = lines;
        self.status = ReturnStatus::Received;
        self.end = Some(end);
        Ok(())
    }

    /// Records that the goods will not come.
    ///
    /// # Errors
    /// If it is over.
    pub fn cancel(&mut self, end: ReturnEnd) -> Result<(), ReturnRejection> {
        self.must_be_open()?;
        self.status = ReturnStatus::Cancelled;
        self.end = Some(end);
        Ok(())
    }

    const fn must_be_open(&self) -> Result<(), ReturnRejection> {
        match self.status {
            ReturnStatus::Requested => Ok(()),
            status @ (ReturnStatus::Received | ReturnStatus::Cancelled) => {
                Err(ReturnRejection::Over { status })
            }
        }
    }

    /// The units of each product that no other return may name.
    fn taken(&self) -> impl Iterator<Item = (Sku, i64)> {
        let status = self.status;
        self.lines.iter().map(move |line| {
            let units = match status {
                ReturnStatus::Requested => line.quantity,
                ReturnStatus::Received => line.received,
                ReturnStatus::Cancelled => 0,
            };
            (line.sku.clone(), units)
        })
    }
}

fn names<'a>(skus: impl Iterator<Item = &'a Sku>) -> String {
    skus.map(Sku::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const NOON: Timestamp = Timestamp::UNIX_EPOCH;

    fn sku(number: u8) -> Sku {
        Sku::parse(&format!("TEA-{number}")).expect("a name")
    }

    fn shipped(units: &[i64]) -> BTreeMap<Sku, (ProductId, i64)> {
        (0..).zip(units).map(|(number, units)| (sku(number), (ProductId::of(&sku(number)), *units))).collect()
    }

    fn end() -> ReturnEnd {
        ReturnEnd { actor: "ann".to_owned(), note: String::new(), at: NOON }
    }

    fn requested(lines: Vec<ReturnLine>) -> OrderReturn {
        OrderReturn {
            id: ReturnId(Uuid::nil()),
            order_id: OrderId(Uuid::nil()),
            status: ReturnStatus::Requested,
            reason: "too small".to_owned(),
            actor: None,
            requested_at: NOON,
            lines,
            end: None,
            refund: None,
        }
    }

    /// What may be done about the returns of an order: ask for one, receive or cancel one of those that there are.
    #[derive(Clone, Debug)]
    enum Act {
        Ask(Vec<(u8, i64)>),
        Receive(usize, Vec<(u8, i64, Option<i64>)>, bool),
        Cancel(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let units = || -1_i64..5;
        let act = prop_oneof![
            prop::collection::vec((0_u8..4, units()), 0..4).prop_map(Act::Ask),
            (
                0_usize..6,
                prop::collection::vec((0_u8..4, units(), prop::option::of(units())), 0..4),
                any::<bool>()
            )
                .prop_map(|(which, arrived, all)| Act::Receive(which, arrived, all)),
            (0_usize..6).prop_map(Act::Cancel),
        ];
        prop::collection::vec(act, 0..30)
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_restocked_is_at_most_returned_and_that_at_most_shipped(
            units in prop::collection::vec(1_i64..6, 1..4),
            acts in acts(),
        ) {
            let shipped = shipped(&units);
            let mut returns: Vec<OrderReturn> = Vec::new();
            for act in acts {
                match act {
                    Act::Ask(wanted) => {
                        let wanted: Vec<_> = wanted.into_iter().map(|(number, units)| (sku(number), units)).collect();
                        if let Ok(lines) = lines_of_return(&wanted, &returnable(&shipped, &returns)) {
                            prop_assert!(!lines.is_empty());
                            returns.push(requested(lines));
                        }
                    }
                    Act::Receive(which, arrived, all) => {
                        let restock = if all { Restock::All } else { Restock::None };
                        let arrived: Vec<_> = arrived
                            .into_iter()
                            .map(|(number, received, restocked)| Arrival { sku: sku(number), received, restocked })
                            .collect();
                        if let Some(it) = returns.get_mut(which) {
                            let before = it.clone();
                            if it.receive(&arrived, restock, end()).is_err() {
                                prop_assert_eq!(&*it, &before);
                            }
                        }
                    }
                    Act::Cancel(which) => {
                        if let Some(it) = returns.get_mut(which) {
                            let _ = it.cancel(end());
                        }
                    }
                }
                for (sku, (_, units)) in &shipped {
                    let taken = returns.iter().flat_map(OrderReturn::taken).filter(|line| line.0 == *sku);
                    prop_assert!(taken.map(|line| line.1).sum::<i64>() <= *units);
                }
                for line in returns.iter().flat_map(|it| &it.lines) {
                    prop_assert!(0 <= line.restocked && line.restocked <= line.received && line.received <= line.quantity);
                }
            }
        }
    }

    #[test]
    fn what_did_not_arrive_may_be_asked_for_again() {
        let shipped = shipped(&[3, 1]);
        let mut first = requested(lines_of_return(&[], &returnable(&shipped, &[])).unwrap());
        assert_eq!(
            lines_of_return(&[], &returnable(&shipped, &[first.clone()])),
            Err(ReturnRejection::NothingLeft)
        );
        first
            .receive(&[Arrival { sku: sku(0), received: 2, restocked: Some(1) }], Restock::All, end())
            .unwrap();
        let left = returnable(&shipped, &[first.clone()]);
        assert_eq!(left, self::shipped(&[1, 1]));
        let over = ReturnRejection::Over { status: ReturnStatus::Received };
        assert_eq!(first.cancel(end()), Err(over.clone()));
        assert_eq!(first.receive(&[], Restock::None, end()), Err(over));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let shipped = shipped(&[2]);
        let wanted = |lines: &[(u8, i64)]| {
            let lines: Vec<_> = lines.iter().map(|(number, units)| (sku(*number), *units)).collect();
            lines_of_return(&lines, &returnable(&shipped, &[])).map_err(|rejection| rejection.to_string())
        };
        assert_eq!(wanted(&[(0, 3)]).unwrap_err(), "3 units of TEA-0, where 1 to 2 can come back");
        assert_eq!(wanted(&[(7, 1)]).unwrap_err(), "TEA-7 is not part of it; it has TEA-0");
        assert_eq!(wanted(&[(0, 1), (0, 1)]).unwrap_err(), "TEA-0 is named twice");
        let mut one = requested(wanted(&[(0, 2)]).unwrap());
        let arrival = |received, restocked| Arrival { sku: sku(0), received, restocked: Some(restocked) };
        let refused = one.receive(&[arrival(1, 2)], Restock::All, end()).unwrap_err().to_string();
        assert_eq!(refused, "2 units of TEA-0 for sale again, of 1 that arrived");
        assert!(one.receive(&[arrival(0, 0)], Restock::All, end()).is_err());
        assert_eq!(one.receive(&[], Restock::None, end()), Ok(()));
        assert_eq!((one.lines[0].received, one.lines[0].restocked), (2, 0));
    }
}
