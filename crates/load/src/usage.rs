//! What the processes cost: CPU time and memory, as the kernel counts them in `/proc`.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::task::JoinHandle;

/// How often memory is looked at.
const MEMORY_LOOK: Duration = Duration::from_millis(500);

/// Kernel ticks per second in `/proc/PID/stat`; fixed at 100 on every Linux that we know of (see proc(5), USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds by process.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Usage(pub(crate) Vec<(String, f64)>);

/// Memory of one process over the run, in MiB.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) process: String,
    pub(crate) first_mib: f64,
    pub(crate) most_mib: f64,
    pub(crate) last_mib: f64,
}

/// Watches processes until it is stopped.
pub(crate) struct Sampler {
    pids: Vec<(String, u32)>,
    servers: Vec<(String, u32)>,
    watching: JoinHandle<()>,
    seen: std::sync::Arc<std::sync::Mutex<Vec<Memory>>>,
}

impl Sampler {
    /// Watches these processes; and of servers, by their first processes, the CPU time of all.
    pub(crate) fn start(pids: Vec<(String, u32)>, servers: Vec<(String, u32)>) -> Self {
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (watched, noted) = (pids.clone(), std::sync::Arc::clone(&seen));
        let watching = tokio::spawn(async move {
            loop {
                let rows: Vec<(String, f64)> = watched
                    .iter()
                    .filter_map(|(name, pid)| Some((name.clone(), resident_mib(*pid).ok()?)))
                    .collect();
                note(&mut noted.lock().expect("nobody panics while noting"), &rows);
                tokio::time::sleep(MEMORY_LOOK).await;
            }
        });
        Self { pids, servers, watching, seen }
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let servers = self.servers.iter().map(|(name, pid)| Ok((name.clone(), family_seconds(*pid)?)));
        let ours = self.pids.iter().map(|(name, pid)| Ok((name.clone(), cpu_seconds(*pid)?)));
        ours.chain(servers).collect::<Result<_>>().map(Usage)
    }

    pub(crate) async fn stop(self) -> Vec<Memory> {
        self.watching.abort();
        let _ = self.watching.await;
        self.seen.lock().expect("nobody panics while noting").clone()
    }
}

impl Usage {
    pub(crate) fn since(&self, before: &Self) -> Self {
        let used = |((name, now), (_, then)): (&(String, f64), &(String, f64))| (name.clone(), now - then);
        Self(self.0.iter().zip(&before.0).map(used).collect())
    }
}

fn note(seen: &mut Vec<Memory>, rows: &[(String, f64)]) {
    for (process, mib) in rows {
        match seen.iter_mut().find(|memory| memory.process == *process) {
            Some(memory) => {
                memory.most_mib = memory.most_mib.max(*mib);
                memory.last_mib = *mib;
            }
            None => seen.push(Memory {
                process: process.clone(),
                first_mib: *mib,
                most_mib: *mib,
                last_mib: *mib,
            }),
        }
    }
}

/// User and system time; fields 14 and 15 after the command's name in brackets.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    ticks(pid, [11, 12]).map(|ticks| ticks / TICKS_PER_SECOND)
}

/// The same of a process, its children that live, and those that ended (fields 16 and 17).
fn family_seconds(first: u32) -> Result<f64> {
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children"))
        .with_context(|| format!("no process {first} is here to be watched"))?;
    let living = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    let living: f64 = living.filter_map(|pid| ticks(pid, [11, 12]).ok()).sum();
    Ok((ticks(first, [11, 12])? + ticks(first, [13, 14])? + living) / TICKS_PER_SECOND)
}

fn ticks(pid: u32, fields_wanted: [usize; 2]) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .context("CPU time is read from /proc, which is Linux's")?;
    let fields: Vec<&str> =
        stat.rsplit_once(')').context("a name in brackets")?.1.split_whitespace().collect();
    let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("a field")?.parse()?) };
    Ok(ticks(fields_wanted[0])? + ticks(fields_wanted[1])?)
}

pub(crate) fn resident_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
