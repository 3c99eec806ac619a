//! A broker that takes nothing more on connections that stand: one short of memory, which stops reading from whoever publishes,
//! and one that hangs. Alone in its program, because it counts the threads of the process.

mod rabbitmq_stage;

use std::time::Duration;

use bus::{Transport, Unsent, Verdict};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{consume, envelopes, ids, settings, soon, transport_with};
use testkit::servers::rabbitmq::RabbitMq;
use tokio::sync::Mutex;

/// Whose turn it is to count threads.
static TURN: Mutex<()> = Mutex::const_new(());

/// Threads of this process that drive a connection.
fn connection_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.contains("lapin-io-loop")).count()
}

async fn await_threads(count: usize) {
    let counting = async {
        while connection_threads() != count {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of the threads that nobody needs", counting).await;
}

fn impatient(address: &str) -> RabbitMqTransport {
    transport_with(&RabbitMqSettings { confirm_limit: Duration::from_secs(1), ..settings(&[address]) })
}

/// Has the node do something that takes its tool a while.
async fn at(node: RabbitMq, act: impl FnOnce(&RabbitMq) + Send + 'static) -> RabbitMq {
    let acting = tokio::task::spawn_blocking(move || {
        act(&node);
        node
    });
    acting.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_loses_nothing_and_whoever_sends_on_meanwhile_opens_nothing() {
    let _turn = TURN.lock().await;
    let node = RabbitMq::start().unwrap();
    let transport = impatient(&node.vhost().unwrap());
    soon("the first connection", async { while transport.declare().await.is_err() {} }).await;
    let mut feed = transport.subscribe("q").await.unwrap();
    let all = envelopes("K", 300);
    let (before, during) = all.split_at(100);
    soon("the first messages", async { while transport.send(before).await.is_err() {} }).await;
    let mut seen = consume(feed.as_mut(), 50).await;
    let stood = (connection_threads(), node.connections().unwrap());
    assert_eq!(stood, (2, 2));
    let node = at(node, |node| node.raise_alarm().unwrap()).await;
    let sending = async {
        let mut told = 0;
        while told < 20 {
            // The alarm may have to be heard of yet.
            let Err(Unsent { fault, .. }) = transport.send(during).await else { continue };
            assert_eq!(fault.verdict, Verdict::Retry, "{fault}");
            told += usize::from(fault.to_string().contains("short of memory"));
            assert_eq!((connection_threads(), node.connections().unwrap()), stood, "{fault}");
        }
    };
    soon("the word of the alarm", sending).await;
    // Whoever publishes nothing is heard all the same.
    let consuming = async {
        while !seen.is_superset(&ids(before)) {
            seen.extend(consume(feed.as_mut(), 1).await);
        }
    };
    soon("what was sent before", consuming).await;
    let node = at(node, |node| node.clear_alarm().unwrap()).await;
    soon("the confirm", async { while transport.send(during).await.is_err() {} }).await;
    let consuming = async {
        while seen.len() < all.len() {
            seen.extend(consume(feed.as_mut(), 1).await);
        }
    };
    soon("everything that was sent", consuming).await;
    assert_eq!(seen, ids(&all));
    await_threads(stood.0).await;
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_hangs_ends_when_another_takes_its_place() {
    let _turn = TURN.lock().await;
    let node = RabbitMq::start().unwrap();
    let transport = impatient(&node.vhost().unwrap());
    soon("the first connection", async { while transport.declare().await.is_err() {} }).await;
    await_threads(1).await;
    node.freeze();
    let sent = envelopes("K", 3);
    let sending = async {
        let mut fault = transport.send(&sent).await.unwrap_err().fault;
        while !fault.to_string().contains("no answer within") {
            fault = transport.send(&sent).await.unwrap_err().fault;
        }
    };
    soon("the attempt at another connection", sending).await;
    await_threads(0).await;
    node.thaw();
    soon("the confirm", async { while transport.send(&sent).await.is_err() {} }).await;
    await_threads(1).await;
}
