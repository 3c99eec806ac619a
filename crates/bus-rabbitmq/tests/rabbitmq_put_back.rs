//! What a person does with what lies in an error queue: looks at it and leaves it there, puts it back where it came from, discards it,
//! and never touches what was not shown.

mod rabbitmq_stage;

use bus::{ErrorQueues, SetAside, Transport};
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{Eye, consume, envelope, ids, node, settings, soon, transport, transport_with};
use uuid::Uuid;

/// A transport on a virtual host of its own, with an eye on it.
async fn staged() -> (RabbitMqTransport, Eye) {
    let address = node().vhost().unwrap();
    let transport = transport(&address);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    (transport, eye)
}

fn bodies(seen: &[SetAside]) -> Vec<&[u8]> {
    seen.iter().map(|message| &*message.body).collect()
}

async fn first(transport: &RabbitMqTransport, count: usize) -> Vec<SetAside> {
    let looking = async {
        loop {
            let seen = transport.look_at_errors("q_error", count).await.unwrap();
            if seen.len() == count {
                return seen;
            }
        }
    };
    soon("the messages", looking).await
}

#[tokio::test]
async fn a_message_that_is_looked_at_stays_in_its_place_with_all_that_is_written_on_it() {
    let (transport, eye) = staged().await;
    let mut headers = FieldTable::default();
    headers.insert("MT-Fault-Message".into(), AMQPValue::LongString("no such meter".into()));
    let properties = BasicProperties::default().with_message_id("one".into()).with_headers(headers);
    let options = BasicPublishOptions::default();
    eye.channel.basic_publish("".into(), "q_error".into(), options, b"1", properties).await.unwrap();
    for body in [b"2", b"3"] {
        eye.put("q_error", body).await;
    }
    let seen = first(&transport, 3).await;
    assert_eq!(bodies(&seen), [b"1", b"2", b"3"]);
    assert_eq!(seen[0].message_id.as_deref(), Some("one"));
    assert!(seen[0].reason.contains("by hand") && seen[0].reason.contains("no such meter"), "{:?}", seen[0]);
    assert_eq!(seen[0].headers["MT-Fault-Message"], "no such meter");
    for _ in 0..30 {
        assert_eq!(first(&transport, 3).await, seen, "however often it is looked at, marks included");
    }
    assert_eq!(first(&transport, 2).await, seen[..2]);
    assert_eq!(first(&transport, 3).await, seen, "a look at fewer leaves the order as it was");
    let listed = transport.list_error_queues().await.unwrap();
    assert!(listed.iter().any(|it| it.name == "q_error" && it.queue == "q"), "{listed:?}");
    let unknown = transport.look_at_errors("q", 1).await.unwrap_err();
    assert!(unknown.to_string().contains("no error queue is called 'q'"), "{unknown}");
}

#[tokio::test]
async fn what_is_put_back_is_handled_in_the_queue_that_it_came_from_and_its_past_is_forgotten() {
    let address = node().vhost().unwrap();
    let transport = transport_with(&RabbitMqSettings { delivery_limit: 2, ..settings(&[&address]) });
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    // Of a dead letter whose queue is not ready yet, RabbitMQ thinks again after three minutes.
    eye.send_through("q_error").await;
    let message = envelope("K", 1);
    transport.send(std::slice::from_ref(&message)).await.unwrap();
    for _ in 0..3 {
        eye.look("q").await;
    }
    let seen = first(&transport, 1).await;
    assert_eq!(seen[0].reason, "it was delivered too often without being finished");
    assert_eq!(seen[0].kind.as_deref(), Some("K"));
    assert!(seen[0].died_at.is_some() && seen[0].sent_at.is_some(), "{:?}", seen[0]);
    let taken = transport.take_errors("q_error", 1, seen[0].mark).await.unwrap().expect("it is the same");
    assert_eq!(taken.messages(), seen);
    taken.put_back().await.unwrap();
    eye.await_ready("q_error", 0).await;
    for _ in 0..2 {
        eye.look("q").await;
    }
    let mut feed = transport.subscribe("q").await.unwrap();
    assert_eq!(consume(feed.as_mut(), 1).await, ids(&[message]), "its deliveries count afresh");
}

#[tokio::test]
async fn no_more_is_moved_than_was_shown_and_nothing_if_something_else_lies_there() {
    let (transport, eye) = staged().await;
    for body in [b"1", b"2", b"3", b"4"] {
        eye.put("q_error", body).await;
    }
    let seen = first(&transport, 4).await;
    for (count, mark) in [(1, seen[1].mark), (2, seen[0].mark), (5, seen[3].mark), (1, Uuid::nil())] {
        assert!(transport.take_errors("q_error", count, mark).await.unwrap().is_none(), "{count}");
    }
    // A taker that goes away leaves everything.
    drop(transport.take_errors("q_error", 2, seen[1].mark).await.unwrap().expect("these are they"));
    eye.await_ready("q_error", 4).await;
    let taken = transport.take_errors("q_error", 2, seen[1].mark).await.unwrap().expect("these are they");
    taken.discard().await.unwrap();
    eye.await_ready("q_error", 2).await;
    assert_eq!(bodies(&first(&transport, 2).await), [b"3", b"4"]);
    assert!(transport.take_errors("q_error", 2, seen[1].mark).await.unwrap().is_none(), "they are gone");
    eye.await_ready("q_error", 2).await;
}

#[tokio::test]
async fn what_the_queue_does_not_take_stays_in_the_error_queue() {
    let (transport, eye) = staged().await;
    eye.put("q_error", b"kept").await;
    let seen = first(&transport, 1).await;
    let taken = transport.take_errors("q_error", 1, seen[0].mark).await.unwrap().expect("it is the same");
    eye.channel.queue_delete("q".into(), lapin::options::QueueDeleteOptions::default()).await.unwrap();
    let fault = taken.put_back().await.unwrap_err();
    assert!(fault.to_string().contains("0 of 1 are known to have arrived"), "{fault}");
    eye.await_ready("q_error", 1).await;
}

#[tokio::test]
async fn under_a_prefix_a_message_goes_back_to_the_queue_that_it_came_from() {
    let address = node().vhost().unwrap();
    let settings = RabbitMqSettings { queue_prefix: "ours.".to_owned(), ..settings(&[&address]) };
    let transport = transport_with(&settings);
    transport.declare().await.unwrap();
    let eye = Eye::on(&address).await;
    eye.put("ours.q_error", b"1").await;
    eye.await_ready("ours.q_error", 1).await;
    let listed = transport.list_error_queues().await.unwrap();
    assert!(listed.iter().any(|it| it.name == "ours.q_error" && it.queue == "q"), "{listed:?}");
    let seen = transport.look_at_errors("ours.q_error", 1).await.unwrap();
    eye.await_ready("ours.q_error", 1).await;
    let taken =
        transport.take_errors("ours.q_error", 1, seen[0].mark).await.unwrap().expect("it is the same");
    taken.put_back().await.unwrap();
    eye.await_ready("ours.q", 1).await;
    eye.await_ready("ours.q_error", 0).await;
}

/// Two who look are two processes, each with a connection of its own, and several at once in each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_look_at_once_take_turns_and_all_see_everything_in_its_order() {
    let address = node().vhost().unwrap();
    let processes = [transport(&address), transport(&address)];
    processes[0].declare().await.unwrap();
    let eye = Eye::on(&address).await;
    for number in 0..20_u8 {
        eye.put("q_error", &[number]).await;
    }
    let seen = first(&processes[0], 20).await;
    let mut looking = tokio::task::JoinSet::new();
    for number in 0..12 {
        let process = processes[number % 2].clone();
        looking.spawn(async move { process.look_at_errors("q_error", 20).await });
    }
    let all = soon("all who look", looking.join_all()).await;
    for looked in all {
        assert_eq!(looked.unwrap(), seen);
    }
    assert_eq!(first(&processes[1], 20).await, seen, "the order is the old one");
}

#[tokio::test]
async fn who_waits_too_long_for_a_turn_is_told_so_and_gets_it_once_it_is_free() {
    let address = node().vhost().unwrap();
    let processes = [transport(&address), transport(&address)];
    processes[0].declare().await.unwrap();
    let eye = Eye::on(&address).await;
    eye.put("q_error", b"1").await;
    let seen = first(&processes[0], 1).await;
    let taken = processes[0].take_errors("q_error", 1, seen[0].mark).await.unwrap().expect("it is the same");
    for process in &processes {
        let told = process.look_at_errors("q_error", 1).await.unwrap_err();
        assert_eq!(told.verdict, bus::Verdict::Conflict, "{told}");
        assert!(process.look_at_errors("other_error", 1).await.unwrap().is_empty(), "another queue is free");
    }
    drop(taken);
    assert_eq!(first(&processes[1], 1).await, seen);
    assert_eq!(first(&processes[0], 1).await, seen);
}
