//! Names of queues at the broker: with a prefix they meet no queue of another program, and nothing else sees the prefix.

mod rabbitmq_stage;

use bus::{Envelope, Transport, addressed, marked};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{Eye, consume, envelope, ids, node, receive, settings, transport, transport_with};

fn prefixed(address: &str) -> RabbitMqTransport {
    transport_with(&RabbitMqSettings { queue_prefix: "ours.".to_owned(), ..settings(&[address]) })
}

/// MassTransit names a queue after its consumer, and so do we; it has other arguments than ours.
async fn their_queue(eye: &Eye, name: &str) {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    eye.channel.queue_declare(name.into(), options, FieldTable::default()).await.unwrap();
}

#[tokio::test]
async fn a_queue_of_another_program_stands_in_the_way_without_a_prefix_and_not_with_one() {
    let address = node().vhost().unwrap();
    let eye = Eye::on(&address).await;
    their_queue(&eye, "q").await;
    let fault = transport(&address).declare().await.unwrap_err().to_string();
    assert!(fault.contains("the queue 'q'") && fault.contains("with other arguments"), "{fault}");
    let address = node().vhost().unwrap();
    let eye = Eye::on(&address).await;
    their_queue(&eye, "q").await;
    prefixed(&address).declare().await.unwrap();
    for queue in ["ours.q", "ours.q_error", "ours.other", "ours.other_error", "q"] {
        assert_eq!(eye.ready(queue).await, 0, "it is there");
    }
}

#[tokio::test]
async fn what_is_sent_read_and_counted_knows_nothing_of_the_prefix() {
    let address = node().vhost().unwrap();
    let transport = prefixed(&address);
    let of_kind = |kind: String, number| Envelope { kind: kind.into(), ..envelope("L", number) };
    let everywhere = envelope("L", 1);
    let handled = of_kind(marked("q", "L"), 2);
    let again = of_kind(addressed("q", "L"), 3);
    transport.send(&[everywhere.clone(), handled.clone(), again.clone()]).await.unwrap();
    let (mut q, mut other) =
        (transport.subscribe("q").await.unwrap(), transport.subscribe("other").await.unwrap());
    let received = receive(q.as_mut(), 2).await;
    assert!(received.iter().all(|delivery| &*delivery.receipt.queue == "q"), "{received:?}");
    let receipts: Vec<_> = received.iter().map(|delivery| delivery.receipt.clone()).collect();
    q.acknowledge(&receipts).await.unwrap();
    assert_eq!(
        received.iter().map(|delivery| delivery.envelope.id).collect::<Vec<_>>(),
        [everywhere.id, again.id]
    );
    assert_eq!(consume(other.as_mut(), 2).await, ids(&[everywhere, handled]));
    let depths = transport.queue_depths().await.unwrap();
    let named: Vec<_> = depths.iter().map(|depth| (&*depth.queue, &*depth.error_queue)).collect();
    assert_eq!(named, [("q", "ours.q_error"), ("other", "ours.other_error")]);
    assert!(transport.subscribe("ours.q").await.is_err(), "that is no name here");
}
