//! What is amiss at a real broker with one queue, one exchange or one channel: it concerns that one alone, for as long as it lasts.

mod rabbitmq_stage;

use bus::{Transport, Unsent};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use orderwright_bus_rabbitmq::RabbitMqTransport;
use rabbitmq_stage::{Eye, consume, envelope, ids, node, soon, transport};
use uuid::Uuid;

/// Channels on a connection, so that their numbers come round soon.
const CHANNELS: usize = 20;

/// So often that the numbers of all channels were used more than once.
const ROUNDS: u32 = 8;

const DATABASE: Uuid = Uuid::from_u128(1);

fn with_few_channels(address: &str) -> RabbitMqTransport {
    transport(&format!("{address}?channel_max={CHANNELS}"))
}

/// Deletes a queue and has it otherwise: as a classic one.
async fn spoil(eye: &Eye, queue: &str) {
    eye.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    let options = QueueDeclareOptions::durable();
    eye.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_otherwise_stops_what_is_for_it_and_nothing_else_however_long_that_lasts() {
    let address = node().vhost().unwrap();
    let transport = with_few_channels(&address);
    transport.claim(DATABASE).await.unwrap();
    let eye = Eye::on(&address).await;
    spoil(&eye, "q").await;
    for number in 0..ROUNDS {
        transport.claim(DATABASE).await.expect("the other queues can be declared");
        let all =
            [envelope("K", 3 * number), envelope("L", 3 * number + 1), envelope("News", 3 * number + 2)];
        let Unsent { confirmed, refused, fault } = transport.send(&all).await.unwrap_err();
        assert_eq!((confirmed, refused), (vec![1, 2], vec![0]), "sending {number}: {fault}");
    }
    let amiss = transport.unfit().join("; ");
    assert!(
        amiss.contains("the queue 'q' with other arguments") && amiss.contains("'Contracts:K'"),
        "{amiss}"
    );
    let last = [envelope("K", 1_000)];
    let mut feed = transport.subscribe("q").await.unwrap();
    let reading = tokio::spawn(async move { consume(feed.as_mut(), 1).await });
    eye.channel.queue_delete("q".into(), QueueDeleteOptions::default()).await.unwrap();
    let sending = async {
        while transport.send(&last).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon("the queue", sending).await;
    assert_eq!(reading.await.unwrap(), ids(&last));
    assert!(transport.unfit().is_empty(), "{:?}", transport.unfit());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_closed_a_channel_once_is_not_told_again_when_the_number_of_that_channel_comes_round() {
    let address = node().vhost().unwrap();
    let transport = with_few_channels(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    for _ in 0..ROUNDS {
        eye.channel.queue_delete("other_error".into(), QueueDeleteOptions::default()).await.unwrap();
        let fault = transport.queue_depths().await.unwrap_err().to_string();
        assert!(fault.contains("no queue 'other_error'"), "{fault}");
        transport.claim(DATABASE).await.unwrap();
        for _ in 0..3 {
            transport.queue_depths().await.expect("the queue is there again");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_another_connection_holds_for_itself_stops_no_other() {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.claim(DATABASE).await.unwrap();
    let mut feed = transport.subscribe("other").await.unwrap();
    let first = [envelope("L", 1)];
    transport.send(&first).await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await, ids(&first));
    let eye = Eye::on(&address).await;
    eye.channel.queue_delete("q".into(), QueueDeleteOptions::default()).await.unwrap();
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    eye.channel.queue_declare("q".into(), exclusive, FieldTable::default()).await.unwrap();
    transport.claim(DATABASE).await.expect("the other queue can be declared");
    let amiss = transport.unfit().join("; ");
    assert!(amiss.contains("'q' for itself alone"), "{amiss}");
    let depths = transport.queue_depths().await.expect("the other queue can be looked at");
    let consumers: Vec<_> = depths.iter().map(|depth| (&*depth.queue, depth.consumers)).collect();
    assert_eq!(consumers, [("q", 0), ("other", 1)]);
    let second = [envelope("L", 2)];
    transport.send(&second).await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await, ids(&second));
    // Nor does it stop one that is opened now.
    drop(feed);
    let mut feed = transport.subscribe("other").await.unwrap();
    let third = [envelope("L", 3)];
    transport.send(&third).await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await, ids(&third));
}
