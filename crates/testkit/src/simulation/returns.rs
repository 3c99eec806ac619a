//! Customers who send back what they got, and whoever takes it in: all of it or a part, for sale again or not, with money or
//! without. Both may hear no answer, and ask again.

use std::time::Duration;

use application::commands::{
    Command, ReceiveReturnCommand, ReceiveReturnReply, RequestReturnCommand, RequestReturnReply,
};
use application::ports::{OrderView, Readers};
use domain::{Arrival, Money, OrderId, Restock, ReturnId, Sku};

use super::customers::Street;
use super::dice::Dice;
use super::findings::Finding;
use super::provider_line::pause;
use super::script::currency;

/// How long somebody waits for an answer, and then before asking again.
const PATIENCE: Duration = Duration::from_secs(4);

/// Between two looks at whether the parcel has arrived.
const LOOK_PAUSE: Duration = Duration::from_secs(10);

/// How often somebody looks or asks before giving up.
const TRIES_MAX: u32 = 60;

impl Street {
    /// Of every third order that arrives something comes back.
    pub(super) async fn send_back(&self, order_id: OrderId) {
        let dice = Dice::of(u64::from_le_bytes(tail(order_id)), "returns");
        if !dice.chance(333) {
            return;
        }
        let Some(order) = self.arrived(order_id).await else { return };
        let lines = if dice.chance(500) { Vec::new() } else { some_of(&dice, &order) };
        for _ in 0..=dice.below(2) {
            let reason = "does not fit".to_owned();
            let command =
                RequestReturnCommand { order_id, lines: lines.clone(), reason, actor: "customer".to_owned() };
            match self.answer(&command).await {
                Some(RequestReturnReply::NotFound) => self.lost(order_id),
                Some(reply) => self.journal.note(format_args!("returning {order_id}: {reply:?}")),
                None => return,
            }
        }
        self.take_in(order_id, &dice).await;
    }

    /// Takes in all that is awaited of the order.
    async fn take_in(&self, order_id: OrderId, dice: &Dice) {
        for _ in 0..TRIES_MAX {
            let Ok(Some(order)) = self.fleet.store().order(order_id).await else { return };
            let Some(awaited) = order.returns.iter().find(|it| it.status == "requested") else { return };
            let refund = dice.chance(500).then(|| Money::new(1, currency()));
            let first = awaited.lines.first().map(|line| Arrival {
                sku: Sku::parse(&line.sku).expect("a product of the order"),
                received: 1,
                restocked: dice.chance(500).then_some(1),
            });
            let mut command = ReceiveReturnCommand {
                order_id,
                return_id: ReturnId(awaited.return_id),
                arrived: first.into_iter().filter(|_| dice.chance(500)).collect(),
                restock: if dice.chance(500) { Restock::All } else { Restock::None },
                refund,
                actor: "warehouse".to_owned(),
                note: String::new(),
            };
            match self.answer(&command).await {
                Some(ReceiveReturnReply::NotFound | ReceiveReturnReply::NoSuchReturn) => self.lost(order_id),
                Some(ReceiveReturnReply::Refused(why)) if refund.is_some() => {
                    self.journal.note(format_args!("no money for {order_id}: {why}"));
                    command.refund = None;
                    let _ = self.answer(&command).await;
                }
                reply => self.journal.note(format_args!("taking in {order_id}: {reply:?}")),
            }
        }
    }

    /// The order once it has arrived; nothing if it never does.
    async fn arrived(&self, order_id: OrderId) -> Option<OrderView> {
        for _ in 0..TRIES_MAX {
            pause(LOOK_PAUSE).await;
            match self.fleet.store().order(order_id).await {
                Ok(Some(order)) if order.status == "delivered" => return Some(order),
                Ok(Some(order)) if order.status == "cancelled" => return None,
                Ok(_) | Err(_) => {}
            }
        }
        None
    }

    /// Asks until there is an answer. The one before it may be lost although it was done.
    pub(super) async fn answer<C: Command>(&self, command: &C) -> Option<C::Reply> {
        for _ in 0..TRIES_MAX {
            if let Some(door) = self.fleet.door()
                && let Ok(Ok(reply)) = tokio::time::timeout(PATIENCE, door.commands.run(command)).await
            {
                return Some(reply);
            }
            pause(PATIENCE).await;
        }
        None
    }

    fn lost(&self, order_id: OrderId) {
        let what = "an order that arrived was not found, or a return of it";
        self.findings.add(Finding::of(1, &order_id.to_string(), what));
    }
}

/// One unit of one of its products.
fn some_of(dice: &Dice, order: &OrderView) -> Vec<(Sku, i64)> {
    let line = dice.pick(&order.lines);
    vec![(Sku::parse(&line.sku).expect("a product of the order"), 1)]
}

/// What differs from order to order.
pub(super) fn tail(order_id: OrderId) -> [u8; 8] {
    let mut tail = [0; 8];
    tail.copy_from_slice(&order_id.0.as_bytes()[8..]);
    tail
}
