//! The workers of a database: each writes itself into a register from time to time, and operators see who works there, with which
//! version, and what it has in hand. No message depends on it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bus::{
    Clock, Fault, PauseBoard, Running, Stop, Worker, WorkerQueue, WorkerRegister, WorkerReport, system,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::observe::{Pulses, Statuses};

/// How often a worker writes itself down.
const EVERY: Duration = Duration::from_secs(10);

/// A worker that was not heard of for so long is silent: three reports were missed.
const SILENT_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// How long a worker is kept that was not heard of.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Every so many reports those are forgotten whose time has passed.
const FORGET_EVERY: u32 = 60;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A worker as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerView {
    pub(crate) id: Uuid,
    pub(crate) state: State,
    pub(crate) version: String,
    pub(crate) host: String,
    pub(crate) process_id: u32,
    pub(crate) started_at: Timestamp,
    pub(crate) seen_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) left_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease_until: Option<Timestamp>,
    pub(crate) queues: Vec<WorkerQueue>,
}

/// All workers as they are shown.
#[derive(Debug, Serialize)]
pub(crate) struct WorkersView {
    pub(crate) items: Vec<WorkerView>,
    /// Versions that run now. More than one is right only while workers are being replaced.
    pub(crate) versions: BTreeSet<String>,
}

/// How a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It was heard of.
    Running,
    /// It was not heard of for some time: it has died, or cannot reach the database.
    Silent,
    /// It has taken its leave.
    Left,
}

impl State {
    /// All of them by their names.
    pub(crate) const NAMES: &'static [&'static str] = &["running", "silent", "left"];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Silent => "silent",
            Self::Left => "left",
        }
    }

    /// A lease that is renewed is a sign of life too, and one by the database's own clock.
    fn of(worker: &Worker, now: Timestamp) -> Self {
        let is_leased = worker.lease_until.is_some_and(|until| until > now);
        match worker.left_at {
            Some(_) => Self::Left,
            None if is_leased || now.duration_since(worker.seen_at) < SILENT_AFTER => Self::Running,
            None => Self::Silent,
        }
    }
}

impl WorkersView {
    /// These workers as they are now.
    pub(crate) fn of(workers: Vec<Worker>, now: Timestamp) -> Self {
        let view = |worker: Worker| {
            let state = State::of(&worker, now);
            let Worker { report, seen_at, left_at, lease_until } = worker;
            let WorkerReport { id, version, host, process_id, started_at, queues } = report;
            // What it had in hand went back when it left.
            let queues = if state == State::Left { Vec::new() } else { queues };
            WorkerView {
                id,
                state,
                version,
                host,
                process_id,
                started_at,
                seen_at,
                left_at,
                lease_until,
                queues,
            }
        };
        let items: Vec<WorkerView> = workers.into_iter().map(view).collect();
        let running = items.iter().filter(|worker| worker.state == State::Running);
        let versions = running.map(|worker| worker.version.clone()).collect();
        Self { items, versions }
    }

    /// That workers of several versions run beside each other, in words; none if they do not.
    pub(crate) fn mixture(versions: &[&str]) -> Option<String> {
        (versions.len() > 1).then(|| {
            format!(
                "Workers of {} versions run beside each other: {}. That is right while they are being replaced.",
                versions.len(),
                versions.join(", ")
            )
        })
    }
}

/// The service that writes this worker down.
pub struct WorkerService {
    register: Arc<dyn WorkerRegister>,
    clock: Arc<dyn Clock>,
    statuses: Statuses,
    queues: Arc<[Arc<str>]>,
    pauses: PauseBoard,
    pulses: Arc<Pulses>,
    /// This worker, without what changes.
    own: WorkerReport,
}

/// What the service looks at.
pub struct Parts {
    /// Where it writes.
    pub register: Arc<dyn WorkerRegister>,
    /// The id of this worker.
    pub id: Uuid,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The state of every service.
    pub statuses: Statuses,
    /// The queues that may be read here.
    pub queues: Arc<[Arc<str>]>,
    /// Which of them are paused.
    pub pauses: PauseBoard,
    /// Signs of life.
    pub pulses: Arc<Pulses>,
}

impl WorkerService {
    /// Its name.
    pub const NAME: &'static str = "worker-service";

    /// Writes down this process.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { register, id, clock, statuses, queues, pauses, pulses } = parts;
        pulses.expect(Self::NAME, EVERY);
        let own = WorkerReport {
            id,
            version: VERSION.to_owned(),
            host: host_name(),
            process_id: std::process::id(),
            started_at: clock.now(),
            queues: Vec::new(),
        };
        Self { register, clock, statuses, queues, pauses, pulses, own }
    }

    /// Runs until stopped.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let mut reports = 0_u32;
        while !stop.is_stopped() {
            match self.step(reports.is_multiple_of(FORGET_EVERY)).await {
                Ok(()) => self.pulses.beat(Self::NAME),
                Err(fault) => {
                    self.pulses.fail(Self::NAME, &fault);
                    tracing::warn!(%fault, "this worker could not be written into the register");
                }
            }
            reports = reports.wrapping_add(1);
            stop.sleep(EVERY).await;
        }
    }

    async fn step(&self, forgets: bool) -> Result<(), Fault> {
        let now = self.clock.now();
        self.register
            .report_worker(&WorkerReport { queues: self.read_queues(), ..self.own.clone() }, now)
            .await?;
        if forgets {
            let before = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
            self.register.forget_workers(before).await?;
        }
        Ok(())
    }

    /// The queues that are read here now, with what is in hand of each.
    fn read_queues(&self) -> Vec<WorkerQueue> {
        let held = self.register.held_here();
        let held_of =
            |queue: &str| held.iter().find(|(name, _)| **name == *queue).map_or(0, |(_, held)| *held);
        let statuses = (self.statuses)();
        let is_read = |queue: &&Arc<str>| {
            let runs =
                |status: &bus::ServiceStatus| status.name == &***queue && status.running == Running::Yes;
            !self.pauses.is_paused(queue) && statuses.iter().any(runs)
        };
        let read = self.queues.iter().filter(is_read);
        read.map(|queue| WorkerQueue { queue: queue.to_string(), held: held_of(queue) }).collect()
    }
}

/// The name of this machine, as its kernel has it.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// An id for a worker on a store that gives it none.
pub(crate) fn fresh_id() -> Uuid {
    let (clock, ids) = system();
    ids.next(clock.now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(version: &str, seen_s: i64, left: bool, lease_s: Option<i64>) -> Worker {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let report = WorkerReport {
            id: Uuid::nil(),
            version: version.to_owned(),
            host: "here".to_owned(),
            process_id: 1,
            started_at: at(0),
            queues: Vec::new(),
        };
        Worker {
            report,
            seen_at: at(seen_s),
            left_at: left.then(|| at(seen_s)),
            lease_until: lease_s.map(at),
        }
    }

    #[test]
    fn a_worker_is_silent_without_a_report_or_a_lease_and_gone_once_it_left() {
        let now = Timestamp::from_second(1_000).expect("a time");
        for (worker, wanted) in [
            (worker("1", 1_000, false, None), State::Running),
            (worker("1", 971, false, None), State::Running),
            (worker("1", 970, false, None), State::Silent),
            (worker("1", 900, false, Some(1_001)), State::Running),
            (worker("1", 900, false, Some(1_000)), State::Silent),
            (worker("1", 1_000, true, Some(1_010)), State::Left),
        ] {
            assert_eq!(State::of(&worker, now), wanted, "{worker:?}");
        }
    }

    #[test]
    fn only_versions_that_run_now_are_told_of_as_running_beside_each_other() {
        let now = Timestamp::from_second(1_000).expect("a time");
        let seen = |workers| WorkersView::of(workers, now).versions.into_iter().collect::<Vec<_>>();
        let old = [worker("1.0", 100, false, None), worker("1.1", 1_000, true, None)];
        let run = [worker("1.2", 1_000, false, None), worker("1.2", 995, false, None)];
        assert_eq!(seen([old.to_vec(), run.to_vec()].concat()), ["1.2"]);
        assert_eq!(seen([run.to_vec(), vec![worker("1.3", 999, false, None)]].concat()), ["1.2", "1.3"]);
        assert_eq!(WorkersView::mixture(&["1.2"]), None);
        assert!(WorkersView::mixture(&["1.2", "1.3"]).is_some_and(|words| words.contains("1.2, 1.3")));
    }
}
