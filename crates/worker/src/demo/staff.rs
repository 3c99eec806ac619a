//! What people do beside ordering, once the orders have come to rest: they look at what is on hold and take a unit off, buy for
//! some who wait, let others go, and take back what was sent.

use std::time::Duration;

use anyhow::Result;
use application::ports::{OrderFilter, OrderSort, OrderView, Readers, SagaFilter};
use application::saga::SagaState;
use domain::{OrderId, OrderStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::import::ApiClient;

/// Orders looked at.
const ORDERS_MAX: usize = 1_000;

/// Who does it.
const STAFF: &str = "demo";

/// Numbers of orders end so that wait before their parcel, that wait for goods, and of which something comes back.
const HELD: [&str; 4] = ["00", "20", "40", "80"];
const PATIENT: [&str; 4] = ["15", "25", "35", "75"];
const SENT_BACK: [&str; 1] = ["60"];

/// Pause between two looks at whether money is back, and looks at most.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 400;

/// How many orders of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Done {
    /// Released from their hold.
    pub(super) released: u64,
    /// Of these, with a unit less.
    pub(super) fewer: u64,
    /// Waited for goods, and got them.
    pub(super) supplied: u64,
    /// Waited for goods, and were cancelled.
    pub(super) given_up: u64,
    /// Sent back in part, and paid back for it.
    pub(super) sent_back: u64,
}

/// Why an order waits before its parcel, if it is one that does.
pub(super) fn hold_of(number: &str) -> Option<&'static str> {
    is_of(number, &HELD).then_some("somebody looks at it first")
}

/// Whether an order waits for its goods.
pub(super) fn is_patient(number: &str) -> bool {
    is_of(number, &PATIENT)
}

fn is_of(number: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| number.ends_with(end))
}

/// People at work.
pub(super) struct Staff<'a> {
    pub(super) client: &'a ApiClient,
    pub(super) readers: &'a dyn Readers,
}

#[derive(Deserialize)]
struct Return {
    return_id: Uuid,
}

impl Staff<'_> {
    /// Sees to every order that waits for a person or for goods.
    pub(super) async fn see_to_those_who_wait(&self, done: &mut Done) -> Result<()> {
        for order in self.standing(SagaState::OnHold).await? {
            self.release(&order, done).await?;
        }
        for (number, order) in self.standing(SagaState::AwaitingStock).await?.iter().enumerate() {
            if number % 2 == 0 {
                self.supply(order).await?;
                done.supplied += 1;
            } else {
                let _ =
                    self.client.cancel_order(order.order_id, STAFF, "the customer waits no longer").await?;
                done.given_up += 1;
            }
        }
        Ok(())
    }

    /// Of some orders that arrived a unit comes back, is for sale again, and is paid back.
    pub(super) async fn take_back(&self, done: &mut Done) -> Result<()> {
        let filter = OrderFilter {
            status: Some(OrderStatus::Delivered),
            sort: OrderSort::default(),
            ..OrderFilter::default()
        };
        for listed in self.readers.orders(&filter, ORDERS_MAX).await?.items {
            let reference = listed.external_reference.as_deref().unwrap_or_default();
            let order = self.readers.order(OrderId(listed.order_id)).await?;
            if let Some(order) = order.filter(|_| is_of(reference, &SENT_BACK)) {
                self.take_one_back(&order).await?;
                done.sent_back += 1;
            }
        }
        Ok(())
    }

    async fn standing(&self, state: SagaState) -> Result<Vec<OrderView>> {
        let filter = SagaFilter { state: Some(state), ..SagaFilter::default() };
        let mut orders = Vec::new();
        for saga in self.readers.sagas(&filter, ORDERS_MAX).await?.items {
            orders.extend(self.readers.order(OrderId(saga.order_id)).await?);
        }
        Ok(orders)
    }

    /// The customer wants one unit less, and the order goes on.
    async fn release(&self, order: &OrderView, done: &mut Done) -> Result<()> {
        let id = order.order_id;
        if let Some(line) = order.lines.iter().find(|line| line.quantity > 1) {
            let lines = json!([{"sku": line.sku, "quantity": 1}]);
            let wish = json!({"lines": lines, "actor": STAFF, "note": "one less will do"});
            let _: serde_json::Value = self.client.act(&format!("/orders/{id}/cancel-lines"), &wish).await?;
            done.fewer += 1;
        }
        for hold in order.holds.iter().filter(|hold| hold.released_at.is_none()) {
            let path = format!("/orders/{id}/holds/{}/release", hold.hold_id);
            let wish = json!({"actor": STAFF, "note": "it is fine"});
            let _: serde_json::Value = self.client.act(&path, &wish).await?;
        }
        done.released += 1;
        Ok(())
    }

    /// Buys what an order waits for.
    async fn supply(&self, order: &OrderView) -> Result<()> {
        for line in &order.lines {
            let units = i64::from(line.quantity);
            self.client.receive_goods(&line.sku, units, STAFF, "bought for who waits").await?;
        }
        Ok(())
    }

    async fn take_one_back(&self, order: &OrderView) -> Result<()> {
        let (id, line) = (order.order_id, &order.lines[0]);
        let lines = json!([{"sku": line.sku, "quantity": 1}]);
        let wish = json!({"lines": lines, "reason": "it was not liked", "actor": STAFF});
        let Return { return_id } = self.client.act(&format!("/orders/{id}/returns"), &wish).await?;
        let refund =
            json!({"minor": line.unit_price.minor.min(order.total.minor), "currency": order.total.currency});
        let receipt = json!({"restock": true, "refund": refund, "actor": STAFF, "note": "as new"});
        let _: serde_json::Value =
            self.client.act(&format!("/orders/{id}/returns/{return_id}/receive"), &receipt).await?;
        for _ in 0..LOOKS_MAX {
            let order = self.readers.order(OrderId(id)).await?;
            let returns = order.map(|order| order.returns).unwrap_or_default();
            if returns.iter().all(|it| it.refunded_at.is_some()) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
