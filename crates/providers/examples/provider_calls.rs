//! What a call to a provider costs: charges against a sandbox in a process of its own, 256 under way at once, and the
//! CPU time that this process spent on each. Arguments: calls (default 200000), protocol (`http1` or `http2`).

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use application::ports::{ChargeRequest, PaymentGateway};
use bus::SystemClock;
use domain::{Currency, Money};
use orderwright_providers::{HttpPaymentGateway, Protocol, ProviderSettings};
use sandbox::{Sandbox, Settings};
use tokio::net::TcpListener;

/// The allocator of the service.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONCURRENT_CALLS: usize = 256;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "sandbox") {
        return serve().await;
    }
    let calls = arguments.first().map_or(Ok(200_000), |calls| calls.parse()).context("calls: a number")?;
    let protocol = match arguments.get(1).map(String::as_str) {
        Some("http2") => Protocol::Http2,
        Some("http1") | None => Protocol::Http1,
        Some(other) => anyhow::bail!("protocol: http1 or http2, not {other}"),
    };
    let (mut provider, base_url) = spawn_sandbox()?;
    let outcome = measure(&base_url, protocol, calls).await;
    provider.kill()?;
    outcome
}

/// Serves until killed, having said where.
async fn serve() -> anyhow::Result<()> {
    let running = Sandbox::start(TcpListener::bind("127.0.0.1:0").await?, Settings::default())?;
    println!("http://{}", running.addr);
    std::future::pending().await
}

fn spawn_sandbox() -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(std::env::current_exe()?).arg("sandbox").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("piped")?).read_line(&mut line)?;
    Ok((child, line.trim().to_owned()))
}

async fn measure(base_url: &str, protocol: Protocol, calls: u64) -> anyhow::Result<()> {
    let settings = ProviderSettings { protocol, ..ProviderSettings::at(base_url) };
    let gateway = Arc::new(HttpPaymentGateway::new(settings, Arc::new(SystemClock))?);
    run(&gateway, "warm", calls / 10).await?;
    let (started, cpu) = (Instant::now(), cpu_time()?);
    run(&gateway, "pay", calls).await?;
    let (took, spent) = (started.elapsed(), cpu_time()? - cpu);
    println!(
        "{protocol:?}: {calls} calls, {:.0} calls/s, {:.2} µs CPU per call",
        calls as f64 / took.as_secs_f64(),
        spent.as_secs_f64() * 1e6 / calls as f64,
    );
    Ok(())
}

async fn run(gateway: &Arc<HttpPaymentGateway>, prefix: &'static str, calls: u64) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CONCURRENT_CALLS {
        let (gateway, next) = (Arc::clone(gateway), Arc::clone(&next));
        callers.spawn(async move {
            loop {
                let ordinal = next.fetch_add(1, Ordering::Relaxed);
                if ordinal >= calls {
                    return anyhow::Ok(());
                }
                gateway.charge(&charge(prefix, ordinal)?).await?;
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(())
}

fn charge(prefix: &str, ordinal: u64) -> anyhow::Result<ChargeRequest> {
    Ok(ChargeRequest {
        key: format!("{prefix}-{ordinal:032}"),
        reference: format!("order-{prefix}-{ordinal}"),
        amount: Money::new(1_250, Currency::parse("USD")?),
        payment_token: None,
    })
}

/// User and system time of this process, as the kernel counts them in ticks.
fn cpu_time() -> anyhow::Result<Duration> {
    const TICK_MS: u64 = 10;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(") ").context("stat")?.1;
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap_or(0)).sum();
    Ok(Duration::from_millis(ticks * TICK_MS))
}
