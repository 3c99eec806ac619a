//! `simulate`: many seeds of the whole pipeline on virtual time. Exits with failure at the first seed that breaks an
//! invariant, and says how to see it again.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use orderwright_testkit::simulation::{self, Outcome, Trace};

/// Threads that run seeds; each seed itself has one.
const THREADS: usize = 2;

/// Simulates the pipeline, seed by seed, and checks the six invariants.
#[derive(Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print everything that happens; best with one seed.
    #[arg(long)]
    trace: bool,
}

/// What all seeds came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    events: u64,
    accepted: u64,
    delivered: u64,
    cancelled: u64,
    waived: u64,
    crashes: u64,
    broken: Option<Outcome>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let trace = if args.trace { Trace::Printed } else { Trace::Off };
    let started = Instant::now();
    let sum = run_all(&args, trace);
    println!(
        "{} seeds in {:.1} s: {} orders, {} delivered, {} cancelled, {} settled by hand; {} workers died; {} events",
        sum.seeds,
        started.elapsed().as_secs_f64(),
        sum.accepted,
        sum.delivered,
        sum.cancelled,
        sum.waived,
        sum.crashes,
        sum.events
    );
    match &sum.broken {
        None => {
            println!("all six invariants hold");
            ExitCode::SUCCESS
        }
        Some(outcome) => {
            report(outcome);
            ExitCode::FAILURE
        }
    }
}

fn run_all(args: &Args, trace: Trace) -> Sum {
    let (next, sum) = (AtomicU64::new(args.from), Mutex::new(Sum::default()));
    let end = args.from.saturating_add(args.seeds);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| run_until(end, trace, &next, &sum));
        }
    });
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn run_until(end: u64, trace: Trace, next: &AtomicU64, sum: &Mutex<Sum>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let outcome = simulation::run(seed, trace);
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.add(outcome);
        if sum.broken.is_some() {
            return;
        }
    }
}

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.accepted += outcome.accepted;
        self.delivered += outcome.endings.delivered;
        self.cancelled += outcome.endings.cancelled;
        self.waived += outcome.endings.waived;
        self.crashes += outcome.crashes;
        let earlier = self.broken.as_ref().is_some_and(|broken| broken.seed < outcome.seed);
        if !outcome.findings.is_empty() && !earlier {
            self.broken = Some(outcome);
        }
    }
}

fn report(outcome: &Outcome) {
    println!("\nseed {} FAILED:", outcome.seed);
    for finding in &outcome.findings {
        println!("  - {finding}");
    }
    println!(
        "\nsee it again: cargo run -p orderwright-testkit --bin simulate -- --from {} --seeds 1 --trace",
        outcome.seed
    );
}
