//! The part of the reaction that has an order wait for its goods instead of being cancelled: a backorder.

use bus::Outcome;
use domain::WhenShort;

use super::react::Reacting;
use super::{SagaCommand, SagaState, timers};

impl Reacting<'_> {
    /// Nothing is reserved. The order's own limit stops while it waits, and another starts.
    pub(super) fn lack(&mut self) -> Outcome {
        match self.next.when_short {
            WhenShort::Cancel => self.undo(),
            WhenShort::Wait => {
                self.next.state = SagaState::AwaitingStock;
                self.cancel(timers::ORDER);
                self.set(timers::STOCK, self.event.limits.stock);
                Outcome::Moved
            }
        }
    }

    /// Goods are there that may be enough. The order's own limit starts anew.
    pub(super) fn reserve_again(&mut self) -> Outcome {
        self.next.state = SagaState::Created;
        self.cancel(timers::STOCK);
        self.set(timers::ORDER, self.event.limits.order);
        self.commands.push(SagaCommand::RequestReservation);
        Outcome::Moved
    }
}
