//! What every store of the pipeline must do, written once against the ports. An engine says where its rows are; the laws never
//! know which engine they judge. What the bus alone asks of a store or a transport is in `bus_laws`.

pub mod answers;
pub mod audit;
pub mod crashes;
pub mod endpoints;
pub mod events;
pub mod holds;
pub mod keys;
pub mod listings;
pub mod orders;
pub mod returns;
pub mod seen;
pub mod stage;
pub mod stock;
pub mod strangers;
pub mod texts;
pub mod units;
pub mod waiting;

mod homes;
mod silent;
mod turns;
mod workers;

use std::sync::Arc;

use application::ports::{AnyUnit, ApiKeys, ClosedEndpoints, OrderEventLog, Readers, WebhookEndpoints};
use async_trait::async_trait;
use bus::{Fault, Store};
use infrastructure::{Retention, Swept};
use jiff::Timestamp;
use tokio::sync::Notify;

pub use bus::Routing;
#[doc(hidden)]
pub use bus_laws;
pub use bus_laws::{Bus, BusHome, CarrierHome, MemoryBroker};
use bus_laws::{NEVER, SOON};
pub use homes::{PostgresHome, SqliteFileHome, SqliteMemoryHome};
pub use silent::Silent;
pub use workers::Brokered;

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
    /// The events of all orders.
    pub events: Arc<dyn OrderEventLog>,
    /// Programs that are sent those events.
    pub webhook_endpoints: Arc<dyn WebhookEndpoints>,
    /// Told whenever a message is on its way to a broker.
    outgoing: Arc<Notify>,
    sweeper: Arc<dyn Sweeper>,
}

/// Where the rows of a store with every repository are; they outlive every process.
#[async_trait]
pub trait Home: BusHome {
    /// A process that has just started on these rows.
    async fn process_for(&mut self, routing: Routing) -> Process;

    /// The same for a store that carries its messages itself.
    async fn process(&mut self) -> Process {
        self.process_for(Routing::Store).await
    }
}

#[async_trait]
trait Sweeper: Send + Sync {
    async fn sweep(&self, now: Timestamp, kept: Retention, max: usize) -> Result<Swept, Fault>;
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

/// Makes a test of every law of a store: messages, repositories, units. The sweep of crashes may want a home of its own.
#[macro_export]
macro_rules! laws_of_a_store {
    ($home:expr) => {
        $crate::conformance::bus_laws::laws_of_a_bus!($home);
        $crate::conformance::bus_laws::laws!($home, carriage: a_queue_that_nobody_knows_is_refused);
        $crate::conformance::bus_laws::laws!($home, messages:
            what_is_set_aside_is_told_of_by_the_same_commit,
            what_comes_again_leaves_for_its_own_queue_alone,
            what_is_freed_and_taken_back_leaves_no_news,
        );
        $crate::laws!($home, orders:
            an_order_comes_out_as_it_went_in,
            what_an_order_says_beside_its_lines_comes_out_as_it_went_in,
            cancelled_units_are_asked_for_no_longer,
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
        $crate::laws!($home, holds:
            holds_come_out_oldest_first_and_whoever_releases_one_first_has_released_it,
            a_saga_knows_before_which_steps_its_order_has_holds,
            what_belongs_to_an_order_is_stored_in_the_unit_that_creates_it,
            an_order_on_hold_without_a_hold_is_silent,
            customers_to_whom_something_was_delivered_are_told_apart,
        );
        $crate::laws!($home, returns:
            returns_come_out_oldest_first_and_end_once,
            more_that_came_back_than_was_sent_is_told_and_so_is_stock_that_the_ledger_does_not_have,
        );
        $crate::laws!($home, waiting:
            who_waits_is_found_by_what_it_wants_and_oldest_first,
            a_saga_knows_whether_its_order_waits_for_its_goods,
            what_is_for_sale_is_told_of_the_products_that_exist,
        );
        $crate::laws!($home, stock:
            products_are_added_and_replaced_and_a_new_one_has_an_empty_stock,
            stock_is_reserved_released_and_shipped_by_sets_and_the_ledger_adds_up,
            an_adjustment_below_zero_is_a_rejection_and_changes_nothing,
            many_that_want_the_same_units_at_once_get_no_more_than_there_are,
            a_count_below_what_is_reserved_is_booked_and_the_orders_that_lack_it_are_named,
            what_is_no_longer_sold_is_never_low,
            who_holds_a_product_is_told_oldest_first,
            whatever_happens_to_the_stock_it_is_what_a_model_says_and_breaks_nothing,
            the_most_that_can_be_in_stock_breaks_nothing,
        );
        $crate::laws!($home, listings:
            the_pages_of_every_listing_are_what_a_sieve_leaves_of_all_orders,
            an_order_that_changes_while_its_listing_is_read_is_not_lost,
            an_order_whose_money_moves_has_changed,
            what_is_rare_is_found_although_no_page_looks_at_everything,
            a_rare_saga_is_found_although_no_page_looks_at_all_of_them,
        );
        $crate::laws!($home, seen:
            of_many_who_decide_about_what_they_saw_of_an_order_one_does,
            of_many_who_refund_what_they_saw_one_does,
            of_many_who_book_stock_on_what_they_saw_one_does,
        );
        $crate::laws!($home, strangers: an_event_without_an_order_is_kept_once_and_whole_until_a_person_has_seen_to_it);
        $crate::laws!($home, audit:
            what_persons_did_is_found_by_who_and_by_what_latest_first,
            what_is_done_to_consumers_is_in_the_log,
            what_is_done_to_keys_and_receivers_is_in_the_log,
        );
        $crate::laws!($home, texts: every_text_that_may_be_taken_is_kept_as_it_is);
        $crate::laws!($home, events:
            events_are_told_in_order_page_by_page_and_by_type,
            no_event_is_missed_while_others_are_written,
            events_past_their_time_are_gone_and_that_is_told,
        );
        $crate::laws!($home, endpoints:
            a_receiver_that_wants_no_more_is_kept_until_it_is_opened_again,
            a_webhook_endpoint_comes_out_as_it_went_in_and_every_change_is_noted,
            progress_counts_only_from_where_an_endpoint_stands,
            a_delivery_waits_for_its_time_and_is_sent_again_when_asked_for,
        );
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
