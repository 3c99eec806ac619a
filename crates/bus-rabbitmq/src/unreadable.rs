//! A message that cannot be read: a copy that says why goes to the error queue of its queue, and a fault to its sender. Only then is the
//! original acknowledged; a broker that moved it by itself could not say why.

use std::sync::Arc;

use lapin::BasicProperties;

use super::post::{Demand, Post};
use super::properties;
use super::shared::Shared;
use super::wire::{Naming, Parcel, RefusedFault, WireError};

/// One that was delivered.
pub(super) struct Unreadable {
    pub(super) queue: Arc<str>,
    pub(super) properties: BasicProperties,
    pub(super) parcel: Parcel,
    pub(super) error: WireError,
}

/// What became of the delivery with this tag.
pub(super) struct SetAside {
    pub(super) tag: u64,
    /// Whether the error queue has it.
    pub(super) is_safe: bool,
}

impl Unreadable {
    /// Puts it into the error queue and tells its sender; whether the error queue has it.
    pub(super) async fn set_aside(self, shared: &Shared, kinds: &[&str]) -> bool {
        let Self { queue, properties, parcel, error } = self;
        let refused = shared.codec.refuse(&parcel, &queue, kinds, &error, shared.clock.now());
        if let Some(fault) = refused.fault {
            tell(shared, &queue, fault).await;
        }
        let Some(properties) = properties::with_more(&properties, &refused.headers) else { return false };
        let (exchange, routing_key) = (Naming::error_queue(&queue), String::new());
        let copy = Post { exchange, routing_key, demand: Demand::Wanted, properties, body: parcel.body };
        match shared.publisher.send(&[copy]).await {
            Ok(()) => true,
            Err(unsent) => {
                let (queue, fault) = (&*queue, &unsent.fault);
                tracing::warn!(queue, %fault, "no reason can be put beside a message that cannot be read; the broker moves it to the error queue");
                false
            }
        }
    }
}

/// Tells the sender, or else those who listen to faults. That it cannot be told keeps nothing.
async fn tell(shared: &Shared, queue: &str, fault: RefusedFault) {
    let RefusedFault { parcel, answer_to, exchange } = fault;
    if let Some(answer_to) = answer_to {
        let answer = Post::of(parcel.clone(), Demand::Answer, answer_to, "");
        match shared.publisher.answer(&answer).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(fault) => {
                tracing::warn!(queue, exchange = answer.exchange, %fault, "the sender of a message that cannot be read cannot be told");
            }
        }
    }
    let demand = match &*exchange == Naming::all_faults_exchange() {
        true => Demand::Optional,
        false => Demand::Fault { all: Naming::all_faults_exchange() },
    };
    if let Err(unsent) = shared.publisher.send(&[Post::of(parcel, demand, exchange, "")]).await {
        tracing::warn!(queue, fault = %unsent.fault, "the fault of a message that cannot be read is not published");
    }
}
