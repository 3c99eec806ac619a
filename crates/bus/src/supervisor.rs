//! Keeps services running. A service that panics or ends early is started again after a pause, and its state can be
//! queried.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Stop;
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

/// The state of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Its name.
    pub name: &'static str,
    /// How often it had to be started again.
    pub restarts: u32,
    /// Whether it runs now.
    pub running: Running,
}

/// Whether a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// It does.
    Yes,
    /// It fell and is about to be started again.
    Restarting,
    /// It was told to stop and has ended.
    Stopped,
}

/// A set of services with one stop signal.
#[derive(Debug)]
pub struct Supervisor {
    stop: Stop,
    tasks: JoinSet<()>,
    board: Board,
}

#[derive(Clone, Debug, Default)]
struct Board(Arc<Mutex<Vec<ServiceStatus>>>);

impl Supervisor {
    /// An empty set, stopped by `stop`.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        Self { stop, tasks: JoinSet::new(), board: Board::default() }
    }

    /// Runs a service. `start` is called for each run.
    pub fn run<F, R>(&mut self, name: &'static str, start: F)
    where
        F: Fn(Stop) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let (stop, board) = (self.stop.clone(), self.board.clone());
        let place = board.add(name);
        self.tasks.spawn(keep_running(name, place, board, stop, start));
    }

    /// The signal that stops this set.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Runs a service that cannot be started again, for instance the receiver of a channel.
    pub fn run_once(&mut self, name: &'static str, service: impl Future<Output = ()> + Send + 'static) {
        let (stop, board) = (self.stop.clone(), self.board.clone());
        let place = board.add(name);
        self.tasks.spawn(async move {
            let ended = AssertUnwindSafe(service).catch_unwind().await;
            if !stop.is_stopped() {
                tracing::error!(
                    service = name,
                    panicked = ended.is_err(),
                    "service ended and cannot be started again"
                );
                stop.stop();
            }
            board.set(place, Running::Stopped);
        });
    }

    /// The state of every service.
    pub fn statuses(&self) -> impl Fn() -> Vec<ServiceStatus> + Send + Sync + 'static {
        let board = self.board.clone();
        move || board.read()
    }

    /// Waits up to `limit` until all have stopped; returns whether they did.
    pub async fn drained(mut self, limit: Duration) -> Drained {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        match tokio::time::timeout(limit, all).await {
            Ok(()) => Drained::Cleanly,
            Err(_) => Drained::ByForce,
        }
    }
}

/// How a stop went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every service finished its work.
    Cleanly,
    /// The limit passed first. Unfinished work comes again after the next start.
    ByForce,
}

async fn keep_running<F, R>(name: &'static str, place: usize, board: Board, stop: Stop, start: F)
where
    F: Fn(Stop) -> R,
    R: Future<Output = ()>,
{
    let mut pause = BACKOFF_MIN;
    while !stop.is_stopped() {
        board.set(place, Running::Yes);
        let started = Instant::now();
        let ended = match catch_unwind(AssertUnwindSafe(|| start(stop.clone()))) {
            Ok(run) => AssertUnwindSafe(run).catch_unwind().await,
            Err(panic) => Err(panic),
        };
        if stop.is_stopped() {
            break;
        }
        tracing::error!(service = name, panicked = ended.is_err(), "service fell and is started again");
        board.set(place, Running::Restarting);
        // After a good run the first restart is quick; only failures in a row lengthen the pause.
        pause = if started.elapsed() > BACKOFF_MAX { BACKOFF_MIN } else { pause };
        stop.sleep(pause).await;
        pause = (pause * 2).min(BACKOFF_MAX);
    }
    board.set(place, Running::Stopped);
}

impl Board {
    fn add(&self, name: &'static str) -> usize {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push(ServiceStatus { name, restarts: 0, running: Running::Yes });
        rows.len() - 1
    }

    fn set(&self, place: usize, running: Running) {
        if let Some(row) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place) {
            row.restarts += u32::from(running == Running::Restarting);
            row.running = running;
        }
    }

    fn read(&self) -> Vec<ServiceStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
