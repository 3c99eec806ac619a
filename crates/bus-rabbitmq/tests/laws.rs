//! The laws of transports hold for RabbitMQ: one node for all of them, one virtual host for each.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bus::Transport;
use bus_laws::stage::topology;
use bus_laws::{CarrierHome, laws, laws_of_a_transport};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use testkit::servers::rabbitmq::RabbitMq;

/// A virtual host of its own.
struct VirtualHost(String);

impl Default for VirtualHost {
    fn default() -> Self {
        static NODE: OnceLock<RabbitMq> = OnceLock::new();
        let node = NODE.get_or_init(|| RabbitMq::start().expect("RabbitMQ starts"));
        Self(node.vhost().expect("there are as many virtual hosts as laws"))
    }
}

#[async_trait]
impl CarrierHome for VirtualHost {
    async fn connect(&mut self) -> Arc<dyn Transport> {
        let (clock, ids) = bus::system();
        let settings = RabbitMqSettings::at(vec![self.0.clone()]);
        let transport = RabbitMqTransport::new(&settings, topology(), clock, &ids);
        Arc::new(transport.expect("the settings are right"))
    }
}

laws_of_a_transport!(VirtualHost::default());

laws!(VirtualHost::default(), carriage:
    a_queue_that_nobody_knows_is_refused,
    what_is_for_one_queue_alone_reaches_no_other,
);
