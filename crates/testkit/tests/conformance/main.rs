//! One suite for every store and for every transport: the laws are told once, in the test kit, and held against each engine
//! here.

use orderwright_testkit::conformance::{MemoryHome, PostgresHome, SqliteFileHome, SqliteMemoryHome};
use orderwright_testkit::{laws_of_a_bus, laws_of_a_store};

mod the_harness_on_memory {
    use super::*;

    laws_of_a_bus!(MemoryHome::default());
}

mod sqlite_on_memory {
    use super::*;

    laws_of_a_store!(SqliteMemoryHome::default());
}

mod sqlite_in_a_file {
    use super::*;

    laws_of_a_store!(SqliteFileHome::default());
}

mod postgresql {
    use super::*;

    laws_of_a_store!(PostgresHome::default());
}
