//! What lies in the queues beside the queues: that it is seen there, why it is there, and that looking at it does not lose it.

mod rabbitmq_stage;

use bus::Transport;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{Eye, consume, envelope, node, settings, soon, transport, transport_with};

#[tokio::test]
async fn what_cannot_be_read_is_counted_beside_its_queue_until_somebody_takes_it_away() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    // Of a dead letter whose queue is not ready yet, RabbitMQ thinks again after three minutes.
    eye.send_through("q_error").await;
    eye.put("q", b"not a message").await;
    transport.send(&[envelope("K", 1)]).await.unwrap();
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await.len(), 1);
    await_set_aside(&transport, [("q", 1), ("other", 0)]).await;
    assert_eq!(death(&eye.take("q_error").await), ("rejected".to_owned(), "q".to_owned()));
    await_set_aside(&transport, [("q", 0), ("other", 0)]).await;
}

#[tokio::test]
async fn what_was_delivered_too_often_lies_in_the_error_queue_and_is_counted_beside_its_queue() {
    let address = node().vhost().unwrap();
    let transport = transport_with(&RabbitMqSettings { delivery_limit: 2, ..settings(&[&address]) });
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    eye.send_through("other_error").await;
    transport.send(&[envelope("L", 1)]).await.unwrap();
    for _ in 0..3 {
        eye.look("other").await;
    }
    await_set_aside(&transport, [("q", 0), ("other", 1)]).await;
    let dead = eye.take("other_error").await;
    assert_eq!(death(&dead), ("delivery_limit".to_owned(), "other".to_owned()));
}

#[tokio::test]
async fn a_message_in_an_error_queue_may_be_looked_at_without_end() {
    let address = node().vhost().unwrap();
    transport(&address).declare().await.unwrap();
    // RabbitMQ 3.10 has no limit of its own, so that looking often shows nothing there: what counts is that one is stated.
    let stated = |limit: i64| {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
        arguments
    };
    for queue in ["q_error", "other_error"] {
        for (limit, is_it) in [(i64::from(i32::MAX), true), (20, false)] {
            let eye = Eye::on(&address).await;
            let options = QueueDeclareOptions::durable();
            let declared = eye.channel.queue_declare(queue.into(), options, stated(limit)).await;
            assert_eq!(declared.is_ok(), is_it, "{queue} {limit}: {declared:?}");
        }
    }
    let eye = Eye::on(&address).await;
    eye.put("q_error", b"kept").await;
    for _ in 0..30 {
        eye.look("q_error").await;
    }
    assert_eq!(eye.take("q_error").await.data, b"kept");
}

/// Waits until so many messages lie in the error queue of each of these.
async fn await_set_aside<const N: usize>(transport: &RabbitMqTransport, wanted: [(&str, u32); N]) {
    let counting = async {
        loop {
            let depths = transport.queue_depths().await.unwrap();
            let is_so = |(queue, count): &(&str, u32)| {
                let error_queue = format!("{queue}_error");
                let of = depths.iter().find(|depth| depth.queue == *queue).unwrap();
                of.error_queue == error_queue && of.set_aside == *count
            };
            if wanted.iter().all(is_so) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    soon("the error queues' counts", counting).await;
}

/// Why the broker set a message aside, and from which queue.
fn death(message: &lapin::message::Delivery) -> (String, String) {
    let headers = message.properties.headers().clone().unwrap();
    let Some(AMQPValue::FieldArray(deaths)) = headers.inner().get("x-death") else {
        panic!("no x-death in {headers:?}");
    };
    let Some(AMQPValue::FieldTable(last)) = deaths.as_slice().first() else {
        panic!("no death in {deaths:?}");
    };
    let text = |name: &str| match last.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name} is {other:?}"),
    };
    (text("reason"), text("queue"))
}
