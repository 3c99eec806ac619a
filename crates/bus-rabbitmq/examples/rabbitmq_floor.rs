//! What a message costs on RabbitMQ: published with confirms in slices, then consumed and acknowledged in batches, over a
//! private node with quorum queues on this machine. Prints messages a second and our own processor time for each message.
//!
//! `cargo run --release -p orderwright-bus-rabbitmq --example rabbitmq_floor -- [messages] [slice]`

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bus::{
    Clock, CorrelationId, Envelope, IdSource, MessageId, RandomIds, SystemClock, Topology, Transport as _,
};
use bytes::Bytes;
use orderwright_bus_rabbitmq::{RabbitMqSettings, RabbitMqTransport};
use testkit::servers::rabbitmq::RabbitMq;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// About what a message weighs.
const BODY: &str = r#"{"meter_id":"01923f5e-8a40-7c11-9d2e-5b6a7c8d9e0f","household":"ALFKI","total":{"minor":4990,"unit":"kWh"},"readings":[{"reading_id":"01910000-0000-7abc-8def-0123456789ab","quantity":2},{"reading_id":"01910000-0000-7abc-8def-0123456789ac","quantity":1}]}"#;

fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let messages = numbers.next().transpose()?.unwrap_or(50_000);
    let slice = numbers.next().transpose()?.unwrap_or(256);
    let node = RabbitMq::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(&node.vhost()?, messages, slice))
}

async fn measure(address: &str, messages: usize, slice: usize) -> Result<()> {
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::from_system());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let topology = Topology::default().subscribe("readings", &["ReadingTaken"]);
    let settings = RabbitMqSettings { batch_max: slice, ..RabbitMqSettings::at(vec![address.to_owned()]) };
    let transport = RabbitMqTransport::new(&settings, topology, Arc::clone(&clock), &ids)?;
    transport.declare().await?;
    let all: Vec<Envelope> = (0..messages)
        .map(|_| {
            let id = ids.next(clock.now());
            let body = Bytes::from_static(BODY.as_bytes());
            Envelope::first(MessageId(id), CorrelationId(id), "ReadingTaken", body, clock.now())
        })
        .collect();
    let meter = Meter::start();
    for slice in all.chunks(slice) {
        transport.send(slice).await.map_err(|unsent| unsent.fault)?;
    }
    meter.print("published and confirmed", messages);
    let mut feed = transport.subscribe("readings").await?;
    let (meter, mut seen) = (Meter::start(), 0);
    while seen < messages {
        let batch = feed.receive(slice).await?;
        seen += batch.len();
        let receipts: Vec<_> = batch.into_iter().map(|delivery| delivery.receipt).collect();
        feed.acknowledge(&receipts).await?;
    }
    meter.print("consumed and acknowledged", messages);
    Ok(())
}

/// Time on the clock and on the processor.
struct Meter {
    started: Instant,
    used: Duration,
}

impl Meter {
    fn start() -> Self {
        Self { started: Instant::now(), used: processor_time() }
    }

    fn print(&self, what: &str, messages: usize) {
        let (took, used) = (self.started.elapsed(), processor_time() - self.used);
        let each = messages as f64;
        println!(
            "{what}: {:.0} messages/s, {:.1} us of our processor time each",
            each / took.as_secs_f64(),
            used.as_secs_f64() * 1e6 / each
        );
    }
}

/// Of this process, in ticks of a hundredth of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
