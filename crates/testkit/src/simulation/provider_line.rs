//! The line between the pipeline and a provider: what a call takes, and what becomes of it on its way there and back. Knows
//! nothing of what the call is about.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::ports::Unanswered;

use super::errands::Errands;
use super::fate::{Call, CallFate, ProviderFate};
use super::journal::Journal;

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// One provider's line.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) fate: Arc<dyn ProviderFate>,
    pub(super) errands: Errands,
    pub(super) journal: Arc<Journal>,
    /// Keys under which a charge or booking was let through at least once.
    pub(super) heard: Arc<Mutex<BTreeSet<String>>>,
}

impl Line {
    /// Makes a call: `act` is what the provider does when the request arrives, each time it arrives.
    pub(super) async fn call<T, A>(&self, call: Call, key: &str, act: A) -> Result<T, Unanswered>
    where
        T: std::fmt::Debug + Send + 'static,
        A: FnOnce() -> T + Send + 'static,
    {
        let plan = self.fate.call(call, key);
        self.hear(call, key, plan.fate);
        pause(plan.latency / 2).await;
        let result = self.carry(plan.fate, act).await;
        pause(plan.latency / 2).await;
        self.journal.note(format_args!("{call:?} {key}: {:?} {result:?}", plan.fate));
        result
    }

    fn hear(&self, call: Call, key: &str, fate: CallFate) {
        if matches!(call, Call::Charge | Call::Authorise | Call::Book) && fate != CallFate::NotDone {
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        }
    }

    /// Keys under which a charge or booking was let through.
    pub(super) fn heard(&self) -> BTreeSet<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn carry<T, A>(&self, fate: CallFate, act: A) -> Result<T, Unanswered>
    where
        T: Send + 'static,
        A: FnOnce() -> T + Send + 'static,
    {
        let unknown = || Err(Unanswered::Unknown { why: "no answer in time".to_owned() });
        match fate {
            CallFate::Answered => Ok(act()),
            CallFate::NotDone => Err(Unanswered::NotDone {
                why: "busy".to_owned(),
                retry_after: Some(Duration::from_millis(300)),
            }),
            CallFate::AnswerLost => {
                act();
                pause(PATIENCE).await;
                unknown()
            }
            CallFate::OtherAmount => {
                act();
                Err(Unanswered::Unknown { why: "the answer is about something else".to_owned() })
            }
            CallFate::RequestLost => {
                pause(PATIENCE).await;
                unknown()
            }
            CallFate::ArrivesLater(after) => {
                self.errands.run(async move {
                    pause(after).await;
                    act();
                });
                pause(PATIENCE).await;
                unknown()
            }
        }
    }
}

/// No detour over the timer where nothing is to be waited for.
pub(super) async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
