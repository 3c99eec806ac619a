//! Changes whom an order is for and where it goes, until its carrier is asked to book the parcel.

use async_trait::async_trait;
use bus::{Fault, SagaRepository};
use domain::{Hold, HoldRelease, OrderId, OrderStatus};
use serde::{Deserialize, Serialize};

use super::Command;
use super::details::details;
use super::release_hold::release_one;
use crate::context::Context;
use crate::hold_rules::reasons;
use crate::messages::correlation;
use crate::order_details::{Address, Contact, OrderDetails};
use crate::ports::{AuditEntry, HistoryEntry, UnitOfWork};
use crate::saga::{OrderProcessingSaga, SagaState, ShipmentStep};

/// The timeline's name for it.
const CHANGED: &str = "OrderChanged";

/// What is to be changed, as callers write it; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderChanges {
    /// Whom to reach from now on; nobody, if it says nothing.
    pub contact: Option<Contact>,
    /// Where the goods go from now on.
    pub shipping_address: Option<Address>,
    /// Whom the bill is for from now on.
    pub billing_address: Option<Address>,
}

/// Change this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeOrderCommand {
    /// The order.
    pub order_id: OrderId,
    /// What is to be changed. It is sound: [`validate_changes`](crate::validators::validate_changes) has seen it.
    pub changes: OrderChanges,
    /// Who asks for it.
    pub actor: String,
    /// Their note.
    pub note: String,
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeOrderReply {
    /// These members are changed; none if the order said so before.
    Changed(Vec<&'static str>),
    /// It is too late: why, and what would be possible.
    TooLate(String),
    /// No such order.
    NotFound,
}

impl OrderChanges {
    /// What the order says afterwards, and which members that changes.
    #[must_use]
    pub fn made_to(&self, before: &OrderDetails) -> (OrderDetails, Vec<&'static str>) {
        let contact =
            self.contact.clone().map(|contact| Some(contact).filter(|it| *it != Contact::default()));
        let after = OrderDetails {
            contact: contact.unwrap_or_else(|| before.contact.clone()),
            shipping_address: self.shipping_address.clone().or_else(|| before.shipping_address.clone()),
            billing_address: self.billing_address.clone().or_else(|| before.billing_address.clone()),
            ..before.clone()
        };
        let members = [
            ("contact", after.contact != before.contact),
            ("shipping_address", after.shipping_address != before.shipping_address),
            ("billing_address", after.billing_address != before.billing_address),
        ];
        let changed = members.into_iter().filter(|(_, is_changed)| *is_changed).map(|(member, _)| member);
        (after, changed.collect())
    }
}

/// Why nothing of an order can be changed any more, if so: of its status, its saga's state and parcel, and whether it is
/// called off.
#[must_use]
pub fn too_late_to_change(
    order: OrderStatus,
    state: SagaState,
    shipment: ShipmentStep,
    is_called_off: bool,
) -> Option<String> {
    if state.is_final() {
        return Some(format!("the order is {order}; nothing of it is changed any more"));
    }
    if is_called_off {
        return Some("the order is being cancelled; nothing of it is changed any more".to_owned());
    }
    let why = match shipment {
        ShipmentStep::None => return None,
        ShipmentStep::Requested => "its carrier is being asked to book the parcel",
        ShipmentStep::Booked | ShipmentStep::Delivered => "its parcel is booked",
        ShipmentStep::Cancelled | ShipmentStep::Waived => "its carrier was asked before",
    };
    Some(format!("the order is {order}, and {why}; cancel it, or have the carrier send the parcel elsewhere"))
}

#[async_trait]
impl Command for ChangeOrderCommand {
    type Reply = ChangeOrderReply;

    const NAME: &'static str = "ChangeOrderCommand";

    /// The saga's lock covers what its order says too, so whatever asks the carrier sees the order before or after.
    async fn handle(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<ChangeOrderReply, Fault> {
        let sagas: Vec<OrderProcessingSaga> =
            SagaRepository::load_sagas(unit, &[correlation(self.order_id)]).await?;
        let Some(saga) = sagas.into_iter().next() else { return Ok(ChangeOrderReply::NotFound) };
        let is_called_off = saga.reason.is_some();
        if let Some(why) = too_late_to_change(saga.order, saga.state, saga.shipment, is_called_off) {
            return Ok(ChangeOrderReply::TooLate(why));
        }
        let before = details(unit, self.order_id).await?;
        let (after, changed) = self.changes.made_to(&before);
        if changed.is_empty() {
            return Ok(ChangeOrderReply::Changed(changed));
        }
        unit.orders().put_details(self.order_id, &after.to_stored()).await?;
        // Whoever acts on what they saw of the order must notice this.
        let saga = OrderProcessingSaga { has_address: after.shipping_address.is_some(), ..saga };
        unit.update_sagas(&[saga], context.clock.now()).await?;
        self.tell(unit, context, &changed).await?;
        if after.shipping_address.is_some() {
            self.release_for_address(unit, context).await?;
        }
        Ok(ChangeOrderReply::Changed(changed))
    }
}

impl ChangeOrderCommand {
    /// An order that waited for its address does so no longer.
    async fn release_for_address(&self, unit: &mut dyn UnitOfWork, context: &Context) -> Result<(), Fault> {
        let holds = unit.holds().get(&[self.order_id]).await?;
        let release = HoldRelease {
            actor: self.actor.clone(),
            note: "the order has an address".to_owned(),
            at: context.clock.now(),
        };
        let waits = |hold: &Hold| {
            hold.released.is_none() && hold.actor.is_none() && hold.reason == reasons::ADDRESS_MISSING
        };
        match holds.iter().find(|hold| waits(hold)) {
            Some(hold) => release_one(unit, context, &holds, hold, &release).await.map(drop),
            None => Ok(()),
        }
    }

    async fn tell(
        &self,
        unit: &mut dyn UnitOfWork,
        context: &Context,
        changed: &[&'static str],
    ) -> Result<(), Fault> {
        let (at, changed) = (context.clock.now(), changed.join(", "));
        let told = format!("{changed}: by {}", self.actor);
        let entry = HistoryEntry::without_step(self.order_id, at, CHANGED, told);
        unit.history().append(&[entry]).await?;
        let entry = AuditEntry {
            at,
            actor: self.actor.clone(),
            action: format!("orders change: {changed}"),
            subject: self.order_id.to_string(),
            note: self.note.clone(),
        };
        unit.audit().record(&[entry]).await
    }
}
