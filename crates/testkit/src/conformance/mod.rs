//! What every store and every transport must do, written once against the ports. An engine says where its rows are; the laws
//! never know which engine they judge.

pub mod answers;
pub mod carriage;
pub mod crashes;
pub mod endpoints;
pub mod keys;
pub mod listings;
pub mod messages;
pub mod orders;
pub mod stage;
pub mod stock;
pub mod texts;
pub mod units;

mod apart;
mod bare;
mod homes;
mod memory_broker;
mod own_carrier;
mod silent;
mod turns;
mod workers;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use application::ports::{AnyUnit, ApiKeys, ClosedEndpoints, Readers};
use async_trait::async_trait;
use bus::{DeadLetters, Fault, OutboxStore, Store, Transport, Unit};
use infrastructure::{Retention, Swept};
use jiff::Timestamp;
use tokio::sync::Notify;

pub use bare::{PostgresBusHome, SqliteBusHome};
pub use bus::Routing;
pub use homes::{MemoryHome, PostgresHome, SqliteFileHome, SqliteMemoryHome};
pub use memory_broker::MemoryBroker;
pub use silent::Silent;
pub use workers::Brokered;

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
}

/// Everything that is asked of a store, in one process. Clones share everything.
#[derive(Clone)]
pub struct Process {
    /// What the bus asks.
    pub bus: Bus,
    /// Units with every repository.
    pub units: Arc<dyn Store<AnyUnit>>,
    /// The read side.
    pub readers: Arc<dyn Readers>,
    /// Keys that let callers in.
    pub keys: Arc<dyn ApiKeys>,
    /// Receivers that want no more.
    pub endpoints: Arc<dyn ClosedEndpoints>,
    /// Told whenever a message is on its way to a broker.
    outgoing: Arc<Notify>,
    sweeper: Arc<dyn Sweeper>,
}

/// Where the rows of a store are; they outlive every process.
#[async_trait]
pub trait BusHome: Send {
    /// A process that has just started on these rows.
    async fn bus(&mut self, routing: Routing) -> Bus;
}

/// The same for a store with every repository.
#[async_trait]
pub trait Home: BusHome {
    /// A process that has just started on these rows.
    async fn process_for(&mut self, routing: Routing) -> Process;

    /// The same for a store that carries its messages itself.
    async fn process(&mut self) -> Process {
        self.process_for(Routing::Store).await
    }
}

/// Where the queues of a transport are. Queue `q` wants messages of kind `K`, queue `other` those of kind `L`, both want `B`.
#[async_trait]
pub trait CarrierHome: Send {
    /// A process that has just connected to it. What is acknowledged there is done for good.
    async fn connect(&mut self) -> Arc<dyn Transport>;

    /// The same for a process that will die, and says nothing then.
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

#[async_trait]
trait Sweeper: Send + Sync {
    async fn sweep(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault>;
}

impl Bus {
    /// A store as the bus sees it; `plain` forgets what else its units can do.
    pub fn over<U, S>(store: &Arc<S>, plain: fn(Box<U>) -> Box<dyn Unit>) -> Self
    where
        U: Unit + ?Sized + 'static,
        S: Store<U> + Transport + DeadLetters + OutboxStore,
    {
        Self {
            units: Arc::new(Plain { store: Arc::clone(store), plain, unit: PhantomData }),
            transport: Arc::<S>::clone(store),
            dead_letters: Arc::<S>::clone(store),
            outbox: Arc::<S>::clone(store),
        }
    }

    /// Begins a transaction.
    pub async fn unit(&self) -> Box<dyn Unit> {
        self.units.begin().await.expect("the store is there")
    }
}

impl Process {
    /// Begins a transaction.
    pub async fn unit(&self) -> Box<AnyUnit> {
        self.units.begin().await.expect("the store is there")
    }

    /// One step of housekeeping.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault> {
        self.sweeper.sweep(now, kept, max).await
    }
}

/// How long anything may take that is to happen at once.
pub const SOON: Duration = Duration::from_secs(20);

/// Long enough for what is to happen at once, and waited for only where nothing is to happen.
const NEVER: Duration = Duration::from_millis(60);

/// Makes a test of each law of a room: `laws!(SqliteMemoryHome::new(), orders: a_law, another_law)`.
#[macro_export]
macro_rules! laws {
    ($home:expr, $room:ident: $($law:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                let mut home = $home;
                $crate::conformance::$room::$law(&mut home).await;
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
            timers_come_due_in_order_once_and_the_latest_setting_counts,
            an_id_from_outside_is_new_once_per_source,
            a_relay_leases_what_nobody_holds_and_removes_only_its_own,
            news_that_was_sent_in_part_comes_again,
            what_a_process_kept_is_there_for_the_next,
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

/// Makes a test of every law of a store: messages, repositories, units. The sweep of crashes may want a home of its own.
#[macro_export]
macro_rules! laws_of_a_store {
    ($home:expr) => {
        $crate::laws_of_a_bus!($home);
        $crate::laws!($home, carriage: a_queue_that_nobody_knows_is_refused);
        $crate::laws!($home, messages: what_is_set_aside_is_told_of_by_the_same_commit);
        $crate::laws!($home, orders:
            an_order_comes_out_as_it_went_in,
            a_stored_order_moves_as_the_aggregate_does,
            an_order_moves_only_from_where_it_is,
            orders_of_every_status_are_found_page_by_page,
            a_reference_is_borne_by_one_order_only,
            sagas_payments_and_shipments_come_out_as_last_written,
            a_final_saga_leaves_the_open_ones_and_may_come_back,
            a_saga_that_is_not_there_cannot_be_changed,
            a_saga_of_a_definition_that_is_not_known_is_left_alone,
            a_saga_is_kept_under_the_version_that_it_was_left_with,
            a_key_is_taken_once_and_swept_when_its_time_has_passed,
            no_more_is_swept_than_may_be,
            what_is_past_its_time_is_swept_before_and_behind_what_is_not,
            a_timeline_is_kept_in_order_and_only_of_orders_that_exist,
            broken_invariants_are_told_in_words,
            payments_are_told_with_where_their_sagas_stand,
            sums_of_the_most_there_may_be_are_told_and_never_fail,
        );
        $crate::laws!($home, stock:
            products_are_added_and_replaced_and_a_new_one_has_an_empty_stock,
            stock_is_reserved_released_and_shipped_by_sets_and_the_ledger_adds_up,
            an_adjustment_below_zero_is_a_rejection_and_changes_nothing,
            many_that_want_the_same_units_at_once_get_no_more_than_there_are,
            a_count_below_what_is_reserved_is_booked_and_the_orders_that_lack_it_are_named,
            what_is_no_longer_sold_is_never_low,
            whatever_happens_to_the_stock_it_is_what_a_model_says_and_breaks_nothing,
            the_most_that_can_be_in_stock_breaks_nothing,
        );
        $crate::laws!($home, listings:
            the_pages_of_every_listing_are_what_a_sieve_leaves_of_all_orders,
            an_order_that_changes_while_its_listing_is_read_is_not_lost,
            an_order_whose_money_moves_has_changed,
            what_is_rare_is_found_although_no_page_looks_at_everything,
        );
        $crate::laws!($home, texts: every_text_that_may_be_taken_is_kept_as_it_is);
        $crate::laws!($home, endpoints: a_receiver_that_wants_no_more_is_kept_until_it_is_opened_again);
        $crate::laws!($home, keys: a_key_is_kept_until_it_is_revoked_and_is_told_ever_after);
        $crate::laws!(
            $home,
            answers: an_answer_is_of_one_key_of_one_caller_for_one_operation,
            an_answer_is_swept_when_its_time_is_over,
            the_key_of_an_order_is_its_callers,
            a_reference_is_borne_by_one_order_of_each_source,
            what_is_asked_for_many_times_at_once_under_one_key_is_done_once,
            orders_of_one_reference_that_come_at_once_are_one,
        );
        $crate::laws!($home, units:
            what_changes_several_times_in_one_unit_is_stored_as_it_is_in_the_end,
            a_unit_that_is_dropped_after_any_step_never_was,
            a_write_that_fails_takes_all_the_others_with_it,
            what_was_committed_is_there_for_the_next_process_and_cannot_be_done_again,
            an_empty_store_has_an_overview_and_breaks_nothing,
        );
    };
}
