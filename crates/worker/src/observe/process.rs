//! What this process costs, as the kernel counts it under `/proc`; nothing where there is no such folder.

use crate::metrics::{Metric, Registry};

/// Kernel ticks per second; fixed at 100 on every Linux that we know of (see proc(5), USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// Shows what the process has cost so far.
pub(super) fn show(registry: &Registry) {
    if let Some(seconds) = cpu_seconds() {
        registry.set_total(Metric::ProcessCpu, &[], seconds);
    }
    if let Some(bytes) = resident_bytes() {
        registry.set(Metric::ProcessMemory, &[], bytes);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        registry.set(Metric::ProcessFiles, &[], files.count() as f64);
    }
}

/// User and system time: fields 12 and 13 after the command's name in brackets, from 0.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kib| kib * 1024.0)
}
