//! The store of the harness, and a broker on memory, obey the laws that hold for servers.

use orderwright_bus_laws::{
    MemoryBroker, MemoryHome, MemorySagaHome, laws_of_a_bus, laws_of_a_transport, laws_of_sagas,
};

laws_of_a_bus!(MemoryHome::default());

laws_of_sagas!(MemorySagaHome::default());

mod a_broker {
    use super::*;

    laws_of_a_transport!(MemoryBroker::default());
}
