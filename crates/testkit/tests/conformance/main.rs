//! One suite for every store: the laws are told once, in the test kit, and held against each engine here.

use orderwright_testkit::conformance::{
    Brokered, MemoryBroker, PostgresHome, SqliteFileHome, SqliteMemoryHome,
};
use orderwright_testkit::{laws, laws_of_a_store};

mod sqlite_on_memory {
    use super::*;

    laws_of_a_store!(SqliteMemoryHome::default());
    laws!(SqliteMemoryHome::default(), crashes: a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing);
}

mod sqlite_in_a_file {
    use super::*;

    laws_of_a_store!(SqliteFileHome::default());
    laws!(SqliteFileHome::default(), crashes: a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing);
}

mod postgresql {
    use super::*;

    laws_of_a_store!(PostgresHome::default());
    laws!(PostgresHome::of_short_leases(), crashes: a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing);
}

mod a_broker_on_memory {
    use super::*;

    laws!(Brokered::new(SqliteMemoryHome::default(), MemoryBroker::default()),
        crashes: a_worker_that_dies_anywhere_on_the_way_over_a_broker_changes_nothing);
}
