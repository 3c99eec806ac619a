//! The person who looks after what needs attention: mostly has it tried again, at times skips or forces it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::commands::{
    OperateReply, OperateSagaCommand, ReleaseHoldCommand, ReleaseHoldReply, SagaOperation,
};
use application::consumers::PaymentRefundConsumer;
use application::ports::{HoldView, Readers, SagaFilter};
use application::saga::SagaState;
use bus::{Clock, DeadLetterFilter, DeadLetters, EffectConsumer, Signed};
use domain::{HoldId, OrderId};

use super::dice::Dice;
use super::findings::{Finding, Findings};
use super::fleet::Fleet;
use super::holds::Holds;
use super::journal::Journal;

/// How long the operator waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Sagas looked at in one round.
const ROUND_MAX: usize = 50;

/// After so many tries even a patient operator lets it be.
const TRIES_MAX: u32 = 6;

/// How an operator goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Habit {
    /// Mostly tries again; at times skips or forces.
    #[default]
    Impatient,
    /// Tries again as long as there is hope.
    Patient,
    /// Is not there: whatever needs a person stays as it is.
    Absent,
}

/// The operator.
pub(super) struct Operator {
    pub(super) fleet: Arc<Fleet>,
    pub(super) habit: Habit,
    pub(super) dice: Dice,
    pub(super) holds: Holds,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) findings: Arc<Findings>,
    pub(super) journal: Arc<Journal>,
    /// How often each order was seen to.
    pub(super) tries: Mutex<BTreeMap<OrderId, u32>>,
}

impl Operator {
    /// Looks once at everything that needs attention.
    pub(super) async fn make_a_round(&self) {
        let filter = SagaFilter { state: Some(SagaState::NeedsAttention), ..SagaFilter::default() };
        let waiting = match self.fleet.store().sagas(&filter, ROUND_MAX).await {
            Ok(page) => page.items,
            Err(fault) => return self.findings.add(Finding::of(0, "the store", fault.to_string())),
        };
        if self.habit == Habit::Absent {
            return;
        }
        for saga in waiting {
            self.see_to(OrderId(saga.order_id)).await;
        }
    }

    /// Releases about half of the holds that keep orders waiting. Somebody does so whatever the operator's habit.
    pub(super) async fn release_holds(&self) {
        let filter = SagaFilter { state: Some(SagaState::OnHold), ..SagaFilter::default() };
        let store = self.fleet.store();
        let waiting = match store.sagas(&filter, ROUND_MAX).await {
            Ok(page) => page.items,
            Err(fault) => return self.findings.add(Finding::of(0, "the store", fault.to_string())),
        };
        for saga in waiting {
            let order_id = OrderId(saga.order_id);
            let Ok(Some(order)) = store.order(order_id).await else { continue };
            for hold in order.holds.iter().filter(|hold| hold.released_at.is_none()) {
                if self.dice.chance(500) {
                    self.release(order_id, hold).await;
                }
            }
        }
    }

    async fn release(&self, order_id: OrderId, hold: &HoldView) {
        self.holds.released(order_id, &hold.reason);
        let (hold_id, actor) = (HoldId(hold.hold_id), "operator".to_owned());
        let command = ReleaseHoldCommand { order_id, hold_id, actor, note: String::new() };
        let Some(door) = self.fleet.door() else { return };
        match tokio::time::timeout(PATIENCE, door.commands.run(&command)).await {
            Ok(Ok(ReleaseHoldReply::NotFound | ReleaseHoldReply::NoSuchHold)) => {
                let what = format!("the hold {hold_id} of an order that waits was not found");
                self.findings.add(Finding::of(1, &order_id.to_string(), what));
            }
            Ok(Ok(reply)) => self.journal.note(format_args!("releasing {hold_id} of {order_id}: {reply:?}")),
            // Dead or away; the next round comes.
            Ok(Err(_)) | Err(_) => {}
        }
    }

    /// Has refunds that persons asked for tried again once the gateway did not answer; returns how many there were. Somebody does so
    /// whatever the operator's habit.
    pub(super) async fn redrive_refunds(&self) -> usize {
        let filter = DeadLetterFilter {
            queue: Some(PaymentRefundConsumer::QUEUE.to_owned()),
            reason_contains: Some("has not given it back".to_owned()),
            ..DeadLetterFilter::default()
        };
        let store = self.fleet.store();
        let Ok(dead) = store.list_dead_letters(&filter, ROUND_MAX).await else { return 0 };
        let positions: Vec<i64> = dead.iter().map(|letter| letter.position).collect();
        if !positions.is_empty() {
            let by = Signed { actor: "operator", note: "once more", at: self.clock.now() };
            if let Err(fault) = store.redrive(&positions, &by).await {
                self.journal.note(format_args!("refunds are not tried again: {fault}"));
            }
        }
        positions.len()
    }

    async fn see_to(&self, order_id: OrderId) {
        let is_hopeless = self.tried(order_id) > TRIES_MAX;
        let operation = match (self.habit, self.dice.below(10)) {
            (Habit::Impatient, 0) => SagaOperation::Force,
            (Habit::Impatient, 1 | 2) => SagaOperation::Skip,
            (Habit::Patient, _) if is_hopeless => SagaOperation::Skip,
            (Habit::Impatient | Habit::Patient | Habit::Absent, _) => SagaOperation::Retry,
        };
        let reply = self.operate(order_id, operation).await;
        // What a retry cannot move, a person has settled at the provider, or lets be.
        if operation == SagaOperation::Retry && matches!(reply, Some(OperateReply::Refused { .. })) {
            self.operate(order_id, SagaOperation::Skip).await;
        }
    }

    /// How often this order was seen to, this time included.
    fn tried(&self, order_id: OrderId) -> u32 {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let count = tries.entry(order_id).or_default();
        *count += 1;
        *count
    }

    /// Does it, and hears what came of it; nothing if nobody was there.
    async fn operate(&self, order_id: OrderId, operation: SagaOperation) -> Option<OperateReply> {
        let command = OperateSagaCommand {
            order_id,
            operation,
            actor: "operator".to_owned(),
            note: "looked into it".to_owned(),
        };
        let door = self.fleet.door()?;
        match tokio::time::timeout(PATIENCE, door.commands.run(&command)).await {
            Ok(Ok(reply)) => {
                self.hear(order_id, operation, &reply);
                Some(reply)
            }
            Ok(Err(fault)) if fault.verdict == bus::Verdict::GiveUp => {
                let detail = format!("an operator cannot {operation} it: {fault}");
                self.findings.add(Finding::of(1, &format!("order {order_id}"), detail));
                None
            }
            // Dead or away; the next round comes.
            Ok(Err(_)) | Err(_) => None,
        }
    }

    fn hear(&self, order_id: OrderId, operation: SagaOperation, reply: &OperateReply) {
        self.journal.note(format_args!("operator: {operation} {order_id}: {reply:?}"));
        if *reply == OperateReply::NotFound {
            self.findings.add(Finding::of(
                1,
                &order_id.to_string(),
                "a saga that needs attention was not found",
            ));
        }
    }
}
