//! Whatever is wrong with the broker or its address, `serve` says so in one line that names what to do and no password.

use std::net::TcpListener;

use bus::{Clock, IdSource, RandomIds, SystemClock};
use bus_rabbitmq::{QueueKind, RabbitMqSettings, RabbitMqTransport};
use orderwright::config::RabbitMq;

use crate::servers::{broker, refusal};

const SECRET: &str = "open-sesame";

fn told_by_serve(broker: &str) -> String {
    let file = std::env::temp_dir().join(format!("orderwright-unused-{}.db", std::process::id()));
    let told = refusal(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database",
        &file.display().to_string(),
        "--broker",
        broker,
    ]);
    assert!(!file.exists(), "nothing is made before the broker is known to be right");
    told
}

#[test]
fn an_address_that_cannot_work_is_told_of_without_its_password() {
    for (address, named) in [
        (format!("http://me:{SECRET}@host/v"), "amqp://user:password@host:5672/vhost"),
        (format!("amqp://me@host/v,amqp://me:{SECRET}@[::1]/v"), "address 2"),
    ] {
        let told = told_by_serve(&address);
        assert!(told.contains(named) && !told.contains(SECRET), "{told}");
    }
}

#[test]
fn a_broker_that_is_not_there_is_named_with_its_port() {
    let port =
        TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
    let told = told_by_serve(&format!("amqp://me:{SECRET}@127.0.0.1:{port}/v"));
    assert!(told.contains(&format!("127.0.0.1:{port}")) && told.contains("refused"), "{told}");
    assert!(told.contains("start it or correct the address") && !told.contains(SECRET), "{told}");
}

#[test]
fn a_login_that_is_refused_is_told_of() {
    let address = broker().replace("orderwright:orderwright@", &format!("orderwright:{SECRET}@"));
    let told = told_by_serve(&address);
    assert!(told.contains("check user, password and virtual host") && !told.contains(SECRET), "{told}");
}

#[test]
fn a_queue_that_is_there_with_other_arguments_is_named() {
    let address = broker();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings = RabbitMqSettings {
            queue_kind: QueueKind::Classic,
            queue_prefix: RabbitMq::default().queue_prefix,
            ..RabbitMqSettings::at(vec![address.clone()])
        };
        let (clock, ids): (std::sync::Arc<dyn Clock>, std::sync::Arc<dyn IdSource>) =
            (std::sync::Arc::new(SystemClock), std::sync::Arc::new(RandomIds::from_system()));
        let topology = application::pipeline::topology();
        let transport = RabbitMqTransport::new(&settings, topology, clock, &ids).expect("they are right");
        transport.declare().await.expect("the virtual host is empty");
    });
    let told = told_by_serve(&address);
    assert!(told.contains("the broker has the queue") && told.contains("with other arguments"), "{told}");
}
