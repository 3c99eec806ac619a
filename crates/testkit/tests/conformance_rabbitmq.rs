//! Workers that die on the way over RabbitMQ: one node for all of them, one virtual host for each.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bus::{Clock, IdSource, RandomIds, SystemClock, Transport};
use bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use orderwright_testkit::conformance::{
    Brokered, CarrierHome, PostgresHome, Silent, SqliteMemoryHome, stage,
};
use orderwright_testkit::laws;
use orderwright_testkit::proxy::Proxy;
use orderwright_testkit::servers::rabbitmq::RabbitMq;

/// A virtual host.
struct RabbitMqHome {
    address: String,
    /// The way to it of the process that is to die, in whose runtime it lives: with that its connections break, as those of a
    /// process that was killed. The driver's own threads would hold them until the broker misses their heartbeats.
    way: Option<Proxy>,
}

impl RabbitMqHome {
    fn new() -> Self {
        static NODE: OnceLock<RabbitMq> = OnceLock::new();
        let node = NODE.get_or_init(|| RabbitMq::start().expect("RabbitMQ starts"));
        Self { address: node.vhost().expect("there are as many virtual hosts as laws"), way: None }
    }
}

fn transport(address: String) -> Arc<dyn Transport> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::from_system());
    let settings = RabbitMqSettings::at(vec![address]);
    let transport = RabbitMqTransport::new(&settings, stage::topology(), clock, &ids);
    Arc::new(transport.expect("the settings are right"))
}

#[async_trait]
impl CarrierHome for RabbitMqHome {
    async fn connect(&mut self) -> Arc<dyn Transport> {
        transport(self.address.clone())
    }

    async fn connect_doomed(&mut self) -> Arc<dyn Transport> {
        let (way, through) = Proxy::before(&self.address).await.expect("there is a free port");
        self.way = Some(way);
        Arc::new(Silent::over(transport(through)))
    }
}

mod from_sqlite {
    use super::*;

    laws!(Brokered::new(SqliteMemoryHome::default(), RabbitMqHome::new()),
        crashes: a_worker_that_dies_anywhere_on_the_way_over_a_broker_changes_nothing);
}

mod from_postgresql {
    use super::*;

    laws!(Brokered::new(PostgresHome::of_short_leases(), RabbitMqHome::new()),
        crashes: a_worker_that_dies_anywhere_on_the_way_over_a_broker_changes_nothing);
}
