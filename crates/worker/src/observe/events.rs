//! Order events as log lines, written after the commit, with the order's id as correlation id and the id of its
//! trace. Trouble is a warning; other events are logged only on request.

use application::ports::HistoryEntry;
use domain::OrderId;

use super::words::trace_word;

/// What the log calls these lines; `RUST_LOG` and the configuration choose them by it.
macro_rules! target {
    () => {
        "orderwright::order_events"
    };
}

/// One thing that happened to one order.
#[derive(Debug)]
pub(super) struct OrderNote {
    order_id: OrderId,
    event: &'static str,
    status: &'static str,
    saga_state: &'static str,
    detail: String,
    trouble: Trouble,
}

/// Whether it is trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Yes,
    No,
}

/// The events that are trouble: a failed payment, a shortage, a slow or refusing provider, a failed compensation.
const TROUBLE: [&str; 11] = [
    "OrderRejected",
    "InventoryShort",
    "PaymentFailed",
    "ShippingFailed",
    "OrderTimedOut",
    "PaymentTimedOut",
    "ShippingTimedOut",
    "UndoTimedOut",
    "UndoFailed",
    "ShipmentKept",
    "OperatorForce",
];

impl OrderNote {
    /// A note of it, if its log level is enabled.
    pub(super) fn of(entry: &HistoryEntry) -> Option<Self> {
        let trouble = if TROUBLE.contains(&entry.event) { Trouble::Yes } else { Trouble::No };
        let wanted = match trouble {
            Trouble::Yes => tracing::enabled!(target: target!(), tracing::Level::WARN),
            Trouble::No => tracing::enabled!(target: target!(), tracing::Level::INFO),
        };
        wanted.then(|| Self {
            order_id: entry.order_id,
            event: entry.event,
            status: entry.status.map_or("", domain::OrderStatus::as_str),
            saga_state: entry.saga_state.map_or("", application::saga::SagaState::as_str),
            detail: entry.detail.clone().unwrap_or_default(),
            trouble,
        })
    }

    /// Writes it to the log.
    pub(super) fn tell(&self) {
        let Self { order_id, event, status, saga_state, detail, trouble } = self;
        let (correlation_id, trace_id) = (order_id.0, trace_word(order_id.0));
        match trouble {
            Trouble::Yes => {
                tracing::warn!(target: target!(), %correlation_id, trace_id, event, status, saga_state, detail, "an order met trouble");
            }
            Trouble::No => {
                tracing::info!(target: target!(), %correlation_id, trace_id, event, status, saga_state, detail, "an order got on");
            }
        }
    }
}
