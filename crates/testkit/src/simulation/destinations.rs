//! Where the goods of the simulation go: what orders say when they are placed, what their customers change, and what the
//! carrier may therefore be told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::order_details::Address;
use domain::OrderId;

/// Where an order goes when it is placed: to an address of its own, but two of three do not say.
pub(super) fn address_of(order_id: OrderId) -> Option<Address> {
    order_id.0.as_u128().is_multiple_of(3).then(|| to(&order_id.to_string()))
}

/// Of every fifth order: where its customer moves to, and how long after the order.
pub(super) fn move_of(order_id: OrderId) -> Option<(Address, Duration)> {
    let number = order_id.0.as_u128() / 3;
    let pause = Duration::from_millis(u64::try_from(number / 5 % 12_000).unwrap_or(0));
    number.is_multiple_of(5).then(|| (to(&format!("{order_id}, moved")), pause))
}

fn to(line: &str) -> Address {
    Address { lines: vec![line.to_owned()], country: "IE".to_owned(), ..Address::default() }
}

/// What the carrier may be told of orders whose customers have moved.
#[derive(Clone, Debug, Default)]
pub(super) struct Destinations(Arc<Mutex<BTreeMap<OrderId, Vec<Option<Address>>>>>);

impl Destinations {
    /// The customer says so now, and may or may not be heard.
    pub(super) fn may_become(&self, order_id: OrderId, address: &Address) {
        self.put(order_id, vec![address_of(order_id), Some(address.clone())]);
    }

    /// From now on it is this, or what the order said when it was placed.
    pub(super) fn is(&self, order_id: OrderId, address: Option<&Address>) {
        self.put(order_id, vec![address.cloned().or_else(|| address_of(order_id))]);
    }

    /// Whether the carrier may be told this.
    pub(super) fn allow(&self, order_id: OrderId, told: Option<&Address>) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&order_id) {
            Some(allowed) => allowed.iter().any(|address| address.as_ref() == told),
            None => address_of(order_id).as_ref() == told,
        }
    }

    fn put(&self, order_id: OrderId, allowed: Vec<Option<Address>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(order_id, allowed);
    }
}
