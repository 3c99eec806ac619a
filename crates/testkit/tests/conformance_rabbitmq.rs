//! The laws of transports held against RabbitMQ: one node for all of them, one virtual host for each.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bus::{Clock, IdSource, RandomIds, SystemClock, Transport};
use infrastructure::rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use orderwright_testkit::conformance::{CarrierHome, Silent, stage};
use orderwright_testkit::servers::rabbitmq::RabbitMq;
use orderwright_testkit::{laws, laws_of_a_transport};

/// A virtual host.
struct RabbitMqHome {
    address: String,
}

impl RabbitMqHome {
    fn new() -> Self {
        static NODE: OnceLock<RabbitMq> = OnceLock::new();
        let node = NODE.get_or_init(|| RabbitMq::start().expect("RabbitMQ starts"));
        Self { address: node.vhost().expect("there are as many virtual hosts as laws") }
    }
}

#[async_trait]
impl CarrierHome for RabbitMqHome {
    async fn connect(&mut self) -> Arc<dyn Transport> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(RandomIds::from_system());
        let settings = RabbitMqSettings::at(vec![self.address.clone()]);
        let transport = RabbitMqTransport::new(&settings, stage::topology(), clock, &ids);
        Arc::new(transport.expect("the settings are right"))
    }

    async fn connect_doomed(&mut self) -> Arc<dyn Transport> {
        Arc::new(Silent::over(self.connect().await))
    }
}

laws_of_a_transport!(RabbitMqHome::new());

laws!(RabbitMqHome::new(), carriage: a_queue_that_nobody_knows_is_refused);
