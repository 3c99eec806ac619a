//! Whether each queue of a broker is read, seen on a real node: what turns is that queue alone, when its reader goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::pipeline::topology;
use bus::{Clock, IdSource, PauseBoard, Paused, RandomIds, SystemClock, Transport};
use bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use http::{Method, StatusCode};
use orderwright::health::{Broker, BrokerCheck, Check, Finding, Scene, Status};
use orderwright::metrics::Metric;
use orderwright::observe;
use serde_json::json;
use testkit::servers::rabbitmq::RabbitMq;
use tokio::task::JoinHandle;

use crate::stage::{Running, config, until};

fn transport(address: String) -> RabbitMqTransport {
    over(&RabbitMqSettings::at(vec![address]))
}

/// One that knows the queues by the names that a service gives them.
fn eye(address: String) -> RabbitMqTransport {
    let queue_prefix = orderwright::config::RabbitMq::default().queue_prefix;
    over(&RabbitMqSettings { queue_prefix, ..RabbitMqSettings::at(vec![address]) })
}

fn over(settings: &RabbitMqSettings) -> RabbitMqTransport {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::from_system());
    RabbitMqTransport::new(settings, topology(), clock, &ids).expect("an address")
}

/// Reads a queue for as long as the task is there.
async fn read(transport: &RabbitMqTransport, queue: &str) -> JoinHandle<()> {
    let mut feed = transport.subscribe(queue).await.expect("a queue of ours");
    tokio::spawn(async move {
        let received = feed.receive(1).await;
        panic!("nobody sends anything here: {received:?}");
    })
}

async fn looked(check: &BrokerCheck) -> Finding {
    let store = Err("nobody asks for it here".to_owned());
    check.look(&Scene { now: SystemClock.now(), at: tokio::time::Instant::now(), store }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_whose_reader_goes_is_told_of_alone_until_it_is_read_again() {
    let node = RabbitMq::start().expect("a node of our own");
    let transport = transport(node.vhost().expect("a virtual host"));
    transport.declare().await.expect("queues");
    let broker: Arc<dyn Broker> = Arc::new(transport.clone());
    let registry = Arc::new(observe::registry());
    let pauses = PauseBoard::default();
    let check = BrokerCheck::new(broker, Arc::clone(&registry), pauses.clone());
    let mut readers = BTreeMap::new();
    for queue in topology().all_queues() {
        readers.insert(queue.to_string(), read(&transport, &queue).await);
    }
    until("every queue to be read", async || looked(&check).await.status == Status::Up).await;
    assert_eq!(registry.value(Metric::ErrorQueueDepth, &["payment"]), Some(0.0));
    for queue in ["payment", "order-timeouts"] {
        let reader = readers.remove(queue).expect("a reader");
        reader.abort();
        assert!(reader.await.expect_err("it was told to go").is_cancelled());
        let alone = Finding::down(format!("nobody reads {queue}"));
        until(&format!("{queue} alone to be told of"), async || looked(&check).await == alone).await;
        readers.insert(queue.to_owned(), read(&transport, queue).await);
        until("it to be read again", async || looked(&check).await.status == Status::Up).await;
    }
    let (at, by, note) = (SystemClock.now(), "eve".to_owned(), String::new());
    pauses.put(vec![Paused { queue: Arc::from("payment"), at, by, note }]);
    readers.remove("payment").expect("a reader").abort();
    until("nobody to read payment", async || {
        registry.value(Metric::BrokerConsumers, &["payment"]) == Some(0.0) || {
            looked(&check).await;
            false
        }
    })
    .await;
    assert_eq!(looked(&check).await.status, Status::Up, "it is paused, so nobody need read it");
    readers.values().for_each(JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_consumer_leaves_its_messages_at_the_broker_until_it_is_resumed() {
    let node = RabbitMq::start().expect("a node of our own");
    let address = node.vhost().expect("a virtual host");
    let (eye, folder) = (eye(address.clone()), Running::folder());
    let mut config = config(&folder.join("orders.db").to_string_lossy());
    config.rabbitmq.addresses = address.as_str().into();
    let running = Running::with(config).await;
    running.stock().await;
    let at_broker = async || {
        let depths = eye.queue_depths().await.expect("the broker answers");
        depths.into_iter().find(|depth| depth.queue == "payment").expect("a queue of ours")
    };
    until("payment to be read", async || at_broker().await.consumers == 1).await;
    let turn = async |act: &str| {
        let wish = json!({"actor": "eve", "reason": "looking", "key": act});
        let (status, answer) =
            running.call(Method::POST, &format!("/queues/payment/{act}"), Some(&wish)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    };
    turn("pause").await;
    until("nobody to read payment", async || at_broker().await.consumers == 0).await;
    running.order("one", "CHAI", 1).await;
    until("its message to wait at the broker", async || at_broker().await.messages == 1).await;
    running.until_ill(&["consumers"]).await;
    turn("resume").await;
    running.until_orders("delivered", 1).await;
    running.until_ill(&[]).await;
    running.stop().await;
    std::fs::remove_dir_all(folder).expect("the folder is ours");
}
