//! Customers who want fewer units while their order waits. They may hear no answer, and ask again.

use std::time::Duration;

use application::commands::{CancelLinesCommand, CancelLinesReply};
use application::ports::{OrderView, Readers};
use domain::{Money, OrderId, Sku};

use super::customers::Street;
use super::dice::Dice;
use super::findings::Finding;
use super::provider_line::pause;
use super::returns::tail;
use super::script::{Wish, currency};

/// Between two looks at whether the order waits.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// How often a customer looks.
const LOOKS_MAX: u32 = 15;

impl Street {
    /// Of every other order that its customer has wait, some units are cancelled while it does.
    pub(super) async fn want_fewer(&self, order_id: OrderId, wish: &Wish) {
        let dice = Dice::of(u64::from_le_bytes(tail(order_id)), "fewer");
        if (wish.holds.is_empty() && wish.when_short.is_none()) || !dice.chance(500) {
            return;
        }
        for _ in 0..LOOKS_MAX {
            match self.fleet.store().order(order_id).await {
                Ok(Some(order)) if matches!(&*order.saga_state, "on_hold" | "awaiting_stock") => {
                    return self.cancel_some(&order, &dice).await;
                }
                Ok(Some(order)) if matches!(&*order.saga_state, "completed" | "failed") => return,
                Ok(_) | Err(_) => pause(LOOK_PAUSE).await,
            }
        }
    }

    async fn cancel_some(&self, order: &OrderView, dice: &Dice) {
        let order_id = OrderId(order.order_id);
        let line = dice.pick(&order.lines);
        let sku = Sku::parse(&line.sku).expect("a product of the order");
        let command = CancelLinesCommand {
            order_id,
            lines: vec![(sku, dice.chance(700).then_some(1))],
            amount: dice.chance(300).then(|| Money::new(1, currency())),
            actor: "customer".to_owned(),
            note: String::new(),
        };
        match self.answer(&command).await {
            Some(CancelLinesReply::NotFound) => {
                let what = "an order that waits was not found";
                self.findings.add(Finding::of(1, &order_id.to_string(), what));
            }
            Some(reply) => self.journal.note(format_args!("fewer of {order_id}: {reply:?}")),
            None => {}
        }
    }
}
