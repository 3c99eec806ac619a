//! A broker that takes nothing more on a connection that stands, because it hangs. Alone in its program, because it counts the
//! threads of the process.

mod rabbitmq_stage;

use std::time::Duration;

use bus::Transport;
use orderwright_infrastructure::rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use rabbitmq_stage::{envelopes, settings, soon, transport_with};
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
