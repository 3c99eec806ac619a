//! Whether orders make progress, and whether their sagas are consistent.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::stock::breaches;
use super::{Check, Finding, Scene};
use crate::observe::Books;

/// How long past its moment a timer may fire.
const TIMER_LATE_MAX: SignedDuration = SignedDuration::from_secs(30);

/// The invariants that sagas can break: none is silent, and none disagrees with its order.
const OF_SAGAS: [u8; 2] = [1, 5];

/// Whether any order is past its time limit, and timers fire in time.
pub(super) struct OrderProcessingCheck;

#[async_trait]
impl Check for OrderProcessingCheck {
    fn name(&self) -> &'static str {
        "order-processing"
    }

    async fn look(&self, scene: &Scene) -> Finding {
        let store = match scene.store() {
            Ok(store) => store,
            Err(unknown) => return unknown,
        };
        let stalled = match store.vitals.overdue_sagas {
            0 => Finding::up("no order is past its time limit"),
            overdue => Finding::down(format!(
                "{overdue} orders are past their time limit and neither handed over nor called off"
            )),
        };
        let late = store.vitals.first_timer.map(|due_at| scene.now.duration_since(due_at));
        let timers = match late {
            Some(late) if late > TIMER_LATE_MAX => {
                Finding::down(format!("a timer should have fired {} s ago", late.as_secs()))
            }
            Some(_) | None => {
                let timers = store.overview.timers;
                Finding::up(format!("no order is past its time limit; {timers} timers run, none is late"))
            }
        };
        Finding::worst_of([stalled, timers])
    }
}

/// Whether every open saga has its order and agrees with it, and none is silent.
pub(super) struct SagaIntegrityCheck {
    books: Arc<Books>,
}

impl SagaIntegrityCheck {
    pub(super) const fn new(books: Arc<Books>) -> Self {
        Self { books }
    }
}

#[async_trait]
impl Check for SagaIntegrityCheck {
    fn name(&self) -> &'static str {
        "saga-integrity"
    }

    async fn look(&self, scene: &Scene) -> Finding {
        let store = match scene.store() {
            Ok(store) => store,
            Err(unknown) => return unknown,
        };
        let (orphaned, inconsistent) = (store.vitals.orphaned_sagas, store.vitals.inconsistent_sagas);
        let rows = if orphaned + inconsistent > 0 {
            Finding::down(format!("{orphaned} open sagas have no order, {inconsistent} disagree with theirs"))
        } else {
            Finding::up("every open saga has its order and agrees with it")
        };
        let waiting = match store.sagas("needs_attention") {
            0 => Finding::up("every open saga has its order and agrees with it; none waits for a person"),
            waiting => Finding::degraded(format!("{waiting} orders wait for a person")),
        };
        Finding::worst_of([rows, breaches(&self.books, &OF_SAGAS), waiting])
    }
}
