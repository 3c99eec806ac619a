//! A peer that takes connections and never answers. Alone in its program, because it counts the threads of the process.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bus::{Clock, IdSource, RandomIds, SystemClock, Topology, Verdict};
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};

/// How long anything may take that is to happen at once.
const SOON: Duration = Duration::from_secs(30);

/// Threads of this process that drive a connection.
fn connection_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.contains("lapin-io-loop")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_given_up_leaves_no_thread_behind() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("amqp://127.0.0.1:{}/test", silent.local_addr().unwrap().port());
    let limit = Duration::from_millis(50);
    let settings = RabbitMqSettings { connect_limit: limit, ..RabbitMqSettings::at(vec![address]) };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::seeded(1));
    let transport = RabbitMqTransport::new(&settings, Topology::default(), clock, &ids).unwrap();
    let trying = async {
        for _ in 0..8 {
            let fault = transport.declare().await.unwrap_err();
            assert_eq!(fault.verdict, Verdict::Retry, "{fault}");
            assert!(fault.to_string().contains("no answer"), "{fault}");
        }
        while connection_threads() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(SOON, trying).await;
    assert!(ended.is_ok(), "{} threads are left behind", connection_threads());
    drop(silent);
}
