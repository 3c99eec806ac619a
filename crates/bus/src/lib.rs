//! The bus, its ports and a harness for tests.
#![doc = include_str!("../README.md")]

mod asked;
mod breaker;
mod chain;
mod clock;
mod coalescer;
mod consumer;
mod counts;
mod dead_letter;
mod endpoint;
mod envelope;
mod error_queues;
mod fault;
mod fingerprint;
mod handler;
mod handling;
pub mod harness;
pub mod limits;
mod local_first;
mod message;
mod news;
mod outbox;
mod pausable;
mod pauses;
mod pending_timers;
mod registry;
mod retry;
mod saga;
mod stop;
mod supervisor;
mod tables;
mod timer;
mod timer_service;
mod topology;
mod transport;
mod turnstile;
mod unit;
mod vetting;
mod workers;

pub use asked::{ANSWER, Answer, Asked, Asker};
pub use breaker::{Breaker, BreakerPolicy, BreakerState};
pub use bus_derive::Message;
pub use chain::Chain;
pub use clock::{Clock, IdSource, RandomIds, SystemClock, VirtualClock, jittered, system};
pub use coalescer::{Coalesce, Coalescer, Overloaded};
pub use consumer::{Consumer, EffectConsumer, Vetted, Work};
pub use counts::{Count, Counts, QUEUED};
pub use dead_letter::{
    Archived, DEAD_LETTER_NOTICE, DeadLetter, DeadLetterFilter, DeadLetters, LetterAct, MovedLetter, Shelf,
    Signed, put_back,
};
pub use endpoint::{Endpoint, EndpointPolicy};
pub use envelope::{CorrelationId, Envelope, MessageId};
pub use error_queues::{AsideCause, ErrorQueue, ErrorQueues, SetAside, TakenErrors};
pub use fault::{Fault, Verdict};
pub use fingerprint::{DeadLetterGroup, DeadLetterGroups, GROUPED_MAX, GroupKey, NoGroupKey, reason_pattern};
pub use handler::Handler;
pub use jiff::Timestamp;
pub use local_first::LocalFirst;
pub use message::{Message, from_json, to_json};
pub use news::{Mark, addressed, cleared, mark, marked, unmarked, without_mark};
pub use outbox::{Leased, OutboxStore, Relay};
pub use pauses::{PauseAct, PauseBoard, PauseService, Paused, Pauses};
pub use pending_timers::PendingTimers;
pub use registry::{Host, Registry};
pub use retry::{Patience, RetryPolicy};
pub use saga::{
    Incoming, Outcome, Reaction, Saga, SagaRepository, Step, StoredSaga, TimerChange, advance, advance_one,
    begin_missing, new_timer,
};
pub use stop::Stop;
pub use supervisor::{Drained, Running, ServiceStatus, Supervisor};
pub use tables::Tables;
pub use timer::{Retired, Timer, TimerFired, TimerKey};
pub use timer_service::{TimerService, TimerStep};
pub use topology::{TakenBack, Topology};
pub use transport::{Delivery, Feed, Origin, Receipt, Routing, Transport, Unsent};
pub use turnstile::{CallBudget, CallSlots, LocalSlots, NoTurn, Passage, Turn, Turnstile, TurnstileState};
pub use unit::{Admission, Disposition, Settlement, Store, Unit};
pub use workers::{Worker, WorkerQueue, WorkerRegister, WorkerReport};

/// What macros of this crate name in the crates that use them.
#[doc(hidden)]
pub mod __private {
    pub use async_trait::async_trait;
    pub use bytes::Bytes;
    pub use jiff::Timestamp;

    pub use crate::message::{all_kinds, unknown_kind};
}
