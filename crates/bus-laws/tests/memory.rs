//! The store of the harness, and a broker on memory, obey the laws that hold for servers.

use orderwright_bus_laws::{
    MemoryBroker, MemoryHome, MemorySagaHome, laws, laws_of_a_bus, laws_of_a_transport, laws_of_sagas,
};

laws_of_a_bus!(MemoryHome::default());

laws_of_sagas!(MemorySagaHome::default());

laws!(MemorySagaHome::default(), crashes: a_process_that_dies_at_any_step_and_any_message_that_comes_twice_change_nothing);

mod a_broker {
    use super::*;

    laws_of_a_transport!(MemoryBroker::default());
}
