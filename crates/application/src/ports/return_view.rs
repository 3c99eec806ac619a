//! Returns as clients see them.

use domain::{OrderReturn, ReturnLine};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// A return of an order as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReturnView {
    /// Its id.
    pub return_id: Uuid,
    /// Where it stands.
    pub status: &'static str,
    /// Why the goods come back.
    pub reason: String,
    /// Who asked for it; none for the carrier, which turned back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When.
    pub requested_at: Timestamp,
    /// Its products, one line each.
    pub lines: Vec<ReturnLineView>,
    /// When it was received or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Who received or cancelled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// What they said to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_note: Option<String>,
    /// What is paid back for it, in minor units of the order's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_minor: Option<i64>,
    /// The key under which the gateway gives it back once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_key: Option<String>,
    /// When the gateway had given it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunded_at: Option<Timestamp>,
}

/// One product of a return, in units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReturnLineView {
    /// The product.
    pub sku: String,
    /// Awaited.
    pub quantity: i64,
    /// Arrived.
    pub received: i64,
    /// Of these, for sale again.
    pub restocked: i64,
}

impl From<OrderReturn> for ReturnView {
    fn from(it: OrderReturn) -> Self {
        let OrderReturn { id, order_id: _, status, reason, actor, requested_at, lines, end, refund } = it;
        let line = |line: ReturnLine| ReturnLineView {
            sku: line.sku.to_string(),
            quantity: line.quantity,
            received: line.received,
            restocked: line.restocked,
        };
        let (ended_by, end_note) = end.as_ref().map(|end| (end.actor.clone(), end.note.clone())).unzip();
        Self {
            return_id: id.0,
            status: status.as_str(),
            reason,
            actor,
            requested_at,
            lines: lines.into_iter().map(line).collect(),
            ended_at: end.map(|end| end.at),
            ended_by,
            end_note: end_note.filter(|note| !note.is_empty()),
            refund_minor: refund.as_ref().map(|refund| refund.minor),
            refund_key: refund.as_ref().map(|refund| refund.key.clone()),
            refunded_at: refund.and_then(|refund| refund.paid_at),
        }
    }
}
