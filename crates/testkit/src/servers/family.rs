//! What a process has started, as the system knows it: for tests that kill it and wait until nothing is left.

use std::collections::BTreeSet;
use std::fs;

/// What the system tells of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    /// Tells it from a later one with the same id.
    began: String,
    command: String,
}

impl Process {
    /// The one with this id, if it runs; one that only waits for its burial does not.
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        // The name before may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let (state, parent, began) = (*fields.first()?, fields.get(1)?.parse().ok()?, fields.get(19)?);
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        (state != "Z").then(|| Self { pid, parent, began: (*began).to_owned(), command })
    }

    fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::of).collect()
    }
}

/// Everything that a process had started at one moment, and that those had started.
#[derive(Debug)]
pub struct Family(Vec<Process>);

impl Family {
    /// That of the process with this id.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let (mut known, mut found, mut others) = (BTreeSet::from([pid]), Vec::new(), Process::all());
        loop {
            let (children, rest): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|process| known.contains(&process.parent));
            if children.is_empty() {
                return Self(found);
            }
            known.extend(children.iter().map(|process| process.pid));
            found.extend(children);
            others = rest;
        }
    }

    /// Whether one of it was started with these words.
    #[must_use]
    pub fn runs(&self, words: &str) -> bool {
        self.0.iter().any(|process| process.command.contains(words))
    }

    /// How those that still run were started.
    #[must_use]
    pub fn left(&self) -> Vec<String> {
        let runs =
            |process: &&Process| Process::of(process.pid).is_some_and(|now| now.began == process.began);
        self.0.iter().filter(runs).map(|process| process.command.clone()).collect()
    }
}

/// Processes of ours, and folders for data that goes, with this in their names: how they were started, and where they are.
#[must_use]
pub fn named(mark: &str) -> Vec<String> {
    let folders = fs::read_dir(std::env::temp_dir()).into_iter().flatten();
    let folders = folders.filter_map(|entry| Some(entry.ok()?.path().display().to_string()));
    let commands = Process::all().into_iter().map(|process| process.command);
    commands.chain(folders).filter(|name| name.contains("orderwright-") && name.contains(mark)).collect()
}
