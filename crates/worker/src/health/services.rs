//! Whether everything runs that should, and whether what runs does something.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use application::pipeline::topology;
use async_trait::async_trait;
use bus::{PauseBoard, Paused, Running, ServiceStatus};
use jiff::Timestamp;
use tokio::time::Instant;

use super::scene::StoreScene;
use super::{Check, Finding, Scene};
use crate::observe::{Pulse, Pulses, Statuses};

/// Whether the consumers run, and their queues move.
pub(super) struct ConsumersCheck {
    statuses: Statuses,
    stall: Duration,
    pauses: PauseBoard,
    heads: Mutex<BTreeMap<String, Head>>,
}

/// The oldest message of a queue, and since when it has been that.
#[derive(Clone, Copy)]
struct Head {
    sent_at: Timestamp,
    seen_at: Instant,
}

impl ConsumersCheck {
    /// A queue whose oldest message stays the same for longer than `stall` is stuck, unless it is paused.
    pub(super) fn new(statuses: Statuses, stall: Duration, pauses: PauseBoard) -> Self {
        Self { statuses, stall, pauses, heads: Mutex::default() }
    }

    /// How long each queue has had the same oldest message.
    fn standing(&self, store: &StoreScene, now: Instant) -> Vec<(String, Duration)> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::take(&mut *heads);
        for (queue, sent_at) in &store.vitals.oldest_messages {
            let head = known.get(queue).copied().filter(|head| head.sent_at == *sent_at);
            heads.insert(queue.clone(), head.unwrap_or(Head { sent_at: *sent_at, seen_at: now }));
        }
        heads.iter().map(|(queue, head)| (queue.clone(), now.duration_since(head.seen_at))).collect()
    }
}

#[async_trait]
impl Check for ConsumersCheck {
    fn name(&self) -> &'static str {
        "consumers"
    }

    async fn look(&self, scene: &Scene) -> Finding {
        let queues = topology().all_queues();
        let is_consumer = |status: &ServiceStatus| queues.iter().any(|queue| &**queue == status.name);
        let running = running((self.statuses)().into_iter().filter(is_consumer));
        let store = match scene.store() {
            Ok(store) => store,
            Err(unknown) => return Finding::worst_of([running, unknown]),
        };
        let stuck: Vec<String> = self
            .standing(store, scene.at)
            .into_iter()
            .filter(|(queue, standing)| *standing > self.stall && !self.pauses.is_paused(queue))
            .map(|(queue, standing)| format!("{queue} has not moved for {} s", standing.as_secs()))
            .collect();
        let stuck = (!stuck.is_empty()).then(|| Finding::down(stuck.join("; ")));
        Finding::worst_of([running].into_iter().chain(stuck).chain(paused(&self.pauses.paused())))
    }
}

/// Consumers that a person has paused: since when, by whom and why. A person should know, and resume them one day.
fn paused(paused: &[Paused]) -> Option<Finding> {
    let one = |Paused { queue, at, by, note }: &Paused| {
        let because = if note.is_empty() { String::new() } else { format!(": {note}") };
        format!("{queue} is paused since {} by {by}{because}", at.strftime("%Y-%m-%d %H:%M:%S UTC"))
    };
    (!paused.is_empty()).then(|| Finding::degraded(paused.iter().map(one).collect::<Vec<_>>().join("; ")))
}

/// Whether the background services run and show signs of life.
pub(super) struct BackgroundServicesCheck {
    statuses: Statuses,
    pulses: Arc<Pulses>,
}

impl BackgroundServicesCheck {
    pub(super) const fn new(statuses: Statuses, pulses: Arc<Pulses>) -> Self {
        Self { statuses, pulses }
    }
}

#[async_trait]
impl Check for BackgroundServicesCheck {
    fn name(&self) -> &'static str {
        "background-services"
    }

    async fn look(&self, scene: &Scene) -> Finding {
        let queues = topology().all_queues();
        let is_service = |status: &ServiceStatus| queues.iter().all(|queue| &**queue != status.name);
        let running = running((self.statuses)().into_iter().filter(is_service));
        let pulses = self.pulses.read();
        let faint = pulses.iter().filter_map(|(name, pulse)| faint(name, pulse, scene.at));
        Finding::worst_of([running].into_iter().chain(faint))
    }
}

/// What is wrong with a service that should show signs of life.
fn faint(name: &str, pulse: &Pulse, now: Instant) -> Option<Finding> {
    let silent = now.duration_since(pulse.beat_at);
    // Three steps missed, and time for one that is long.
    let patience = pulse.every.saturating_mul(3).saturating_add(Duration::from_secs(5));
    if silent > patience {
        return Some(Finding::down(format!("{name} has shown no sign of life for {} s", silent.as_secs())));
    }
    let trouble = pulse.trouble.as_ref()?;
    Some(Finding::degraded(format!("{name} could not do its last step ({})", trouble.lines().next()?)))
}

/// Whether all of these run.
fn running(statuses: impl Iterator<Item = ServiceStatus>) -> Finding {
    let (mut count, mut restarts, mut fallen) = (0, 0, Vec::new());
    for status in statuses {
        count += 1;
        restarts += status.restarts;
        match status.running {
            Running::Yes => {}
            Running::Restarting => fallen.push(format!("{} fell and is started again", status.name)),
            Running::Stopped => fallen.push(format!("{} has stopped", status.name)),
        }
    }
    if fallen.is_empty() {
        return Finding::up(format!("{count} run, with {restarts} restarts so far"));
    }
    Finding::down(fallen.join("; "))
}
