//! What every store and every transport of the bus must do, written once against the ports. An engine says where its rows
//! are; the laws never know which engine they judge.
//!
//! The tests of an engine implement [`BusHome`] (a store), [`SagaHome`] (a store that keeps sagas) or [`CarrierHome`] (a
//! transport) and call a macro: [`laws_of_a_bus!`], [`laws_of_sagas!`], [`laws_of_a_transport!`]. It makes a test of each
//! law.

pub mod carriage;
pub mod crashes;
pub mod messages;
pub mod operators;
pub mod sagas;
pub mod stage;

mod apart;
mod memory;
mod own_carrier;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{DeadLetters, Fault, OutboxStore, Pauses, Routing, Store, Transport, Unit, WorkerRegister};

pub use apart::apart;
pub use memory::{MemoryBroker, MemoryHome, MemorySagaHome};
pub use sagas::SagaHome;

/// What the bus asks of a store, in one process. Clones share everything.
#[derive(Clone)]
pub struct Bus {
    units: Arc<dyn Units>,
    /// Carries messages.
    pub transport: Arc<dyn Transport>,
    /// What was set aside.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What waits for a relay.
    pub outbox: Arc<dyn OutboxStore>,
    /// What persons have paused.
    pub pauses: Arc<dyn Pauses>,
    /// Who works on it.
    pub workers: Arc<dyn WorkerRegister>,
}

/// Where the rows of a store are; they outlive every process.
#[async_trait]
pub trait BusHome: Send {
    /// A process that has just started on these rows.
    async fn bus(&mut self, routing: Routing) -> Bus;
}

/// Where the queues of a transport are: those of [`stage::topology`].
#[async_trait]
pub trait CarrierHome: Send {
    /// A process that has just connected to it. What is acknowledged there is done for good.
    async fn connect(&mut self) -> Arc<dyn Transport>;

    /// The same for a process that will die without taking its leave.
    async fn connect_doomed(&mut self) -> Arc<dyn Transport> {
        self.connect().await
    }
}

#[async_trait]
trait Units: Send + Sync {
    async fn begin(&self) -> Result<Box<dyn Unit>, Fault>;
}

/// A store's own units, seen as the bus sees them.
struct Plain<U: ?Sized, S> {
    store: Arc<S>,
    plain: fn(Box<U>) -> Box<dyn Unit>,
    unit: PhantomData<fn() -> U>,
}

#[async_trait]
impl<U: Unit + ?Sized + 'static, S: Store<U>> Units for Plain<U, S> {
    async fn begin(&self) -> Result<Box<dyn Unit>, Fault> {
        Ok((self.plain)(self.store.begin().await?))
    }
}

impl Bus {
    /// A store as the bus sees it; `plain` forgets what else its units can do.
    pub fn over<U, S>(store: &Arc<S>, plain: fn(Box<U>) -> Box<dyn Unit>) -> Self
    where
        U: Unit + ?Sized + 'static,
        S: Store<U> + Transport + DeadLetters + OutboxStore + Pauses + WorkerRegister,
    {
        Self {
            units: Arc::new(Plain { store: Arc::clone(store), plain, unit: PhantomData }),
            transport: Arc::<S>::clone(store),
            dead_letters: Arc::<S>::clone(store),
            outbox: Arc::<S>::clone(store),
            pauses: Arc::<S>::clone(store),
            workers: Arc::<S>::clone(store),
        }
    }

    /// Begins a transaction.
    pub async fn unit(&self) -> Box<dyn Unit> {
        self.units.begin().await.expect("the store is there")
    }
}

/// How long anything may take that is to happen at once; long, because a busy machine is slow and only a hang must be told.
pub const SOON: Duration = Duration::from_secs(60);

/// Long enough for what is to happen at once, and waited for only where nothing is to happen.
pub const NEVER: Duration = Duration::from_millis(60);

/// Makes a test of each law of a module of this crate: `laws!(MemoryHome::default(), messages: a_law, another_law)`. The
/// crate of the tests needs tokio with its macros.
#[macro_export]
macro_rules! laws {
    ($home:expr, $module:ident: $($law:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let mut home = $home;
                $crate::$module::$law(&mut home).await;
            }
        )+
    };
}

/// Makes a test of every law about messages in a store, and of every law of transports, for the store that is its own.
#[macro_export]
macro_rules! laws_of_a_bus {
    ($home:expr) => {
        $crate::laws!($home, messages:
            a_message_reaches_every_queue_that_wants_it_and_is_gone_when_it_is_settled,
            what_is_not_committed_is_not_received,
            a_delivery_is_settled_once,
            what_its_own_unit_reclaims_never_lies_in_its_queue,
            what_its_own_unit_reclaims_leaves_for_the_broker_as_news,
            nothing_of_a_unit_is_stored_if_its_delivery_was_lost,
            delayed_messages_come_again_when_due_and_parked_ones_when_named,
            a_postponed_message_comes_again_when_due_and_is_not_counted,
            a_parked_message_that_nobody_names_comes_again_at_its_deadline,
            a_dead_letter_is_listed_found_and_redriven_with_a_fresh_count,
            an_archived_dead_letter_is_kept_apart_and_can_be_redriven,
            dead_letters_of_one_cause_are_a_group_of_their_own,
            of_many_dead_letters_the_latest_are_grouped_and_counts_are_lower_bounds,
            timers_come_due_in_order_once_and_the_latest_setting_counts,
            an_id_from_outside_is_new_once_per_source,
            a_relay_leases_what_nobody_holds_and_removes_only_its_own,
            news_that_was_sent_in_part_comes_again,
            what_a_process_kept_is_there_for_the_next,
        );
        $crate::laws!($home, operators:
            a_queue_is_paused_once_and_stays_so_for_the_next_process_until_it_is_resumed,
            a_paused_consumer_finishes_what_it_has_and_leaves_the_rest_until_it_is_resumed,
            a_process_is_listed_as_it_last_said_and_forgotten_after_its_time,
        );
        $crate::laws_of_a_transport!($home);
    };
}

/// Makes a test of every law of transports.
#[macro_export]
macro_rules! laws_of_a_transport {
    ($home:expr) => {
        $crate::laws!($home, carriage:
            what_is_sent_is_received_as_it_was_by_each_queue_that_wants_it,
            what_a_feed_held_comes_again_when_it_goes,
            what_is_acknowledged_never_comes_again,
            two_feeds_share_a_queue_without_overlap,
            a_wait_that_is_given_up_loses_nothing,
            messages_that_nobody_reads_wait_for_who_comes_later,
            no_more_is_received_than_was_asked_for,
        );
    };
}

/// Makes a test of every law of sagas, for a store that keeps them. The sweep of crashes may want a home of its own:
/// `laws!(home, crashes: a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing)`.
#[macro_export]
macro_rules! laws_of_sagas {
    ($home:expr) => {
        $crate::laws!($home, sagas:
            sagas_of_two_kinds_lie_side_by_side,
            timers_of_two_kinds_of_sagas_find_their_own,
            a_saga_is_begun_once_and_changed_only_if_it_is_there,
        );
    };
}
