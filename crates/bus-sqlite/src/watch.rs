//! Whether the files that are open are still those which have their names. Whoever moves, deletes or replaces them under a running
//! service leaves it writing into what nobody will find: nothing is accepted then, and nothing is written into what lies there
//! instead. Asks the system only for what it knows of names, which takes a microsecond; what is in the file is read when the file
//! has changed.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bus::Fault;
use thiserror::Error;

use crate::contents::{Contents, LogIndex, Seen};
use crate::held_file::{HeldFile, Identity};
use crate::options::beside;

/// The act that fails when the files are not those that were opened.
pub const FILE_GONE: &str = "database.file";

/// The files are others than those that were opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{file} was {how} while it was in use: nothing is accepted and nothing is written; put the very same file back, or stop the service, put the right files there and start it again"
)]
pub struct FileGone {
    /// The file.
    pub file: PathBuf,
    /// What became of it.
    pub how: &'static str,
}

/// The files of one database.
#[derive(Debug)]
pub(crate) struct Watch {
    held: Arc<HeldFile>,
    /// By the name that was given, and by the one that it stands for.
    names: Vec<PathBuf>,
    /// The log and its index.
    beside: Vec<(PathBuf, Identity)>,
    log_index: Option<LogIndex>,
    last: Mutex<Option<Contents>>,
    /// The contents were exchanged, which cannot be taken back.
    is_overwritten: AtomicBool,
}

impl Watch {
    /// Watches the files of a database that is open.
    pub(crate) fn new(path: &Path, held: Arc<HeldFile>) -> std::io::Result<Self> {
        let real = std::fs::canonicalize(path)?;
        let log_index = LogIndex::open(&beside(&real, "-shm")).ok();
        let beside = ["-wal", "-shm"].map(|suffix| beside(&real, suffix));
        let known = |file: PathBuf| Identity::at(&file).ok().map(|identity| (file, identity));
        let beside = beside.into_iter().filter_map(known).collect();
        let names = if real == path { vec![real] } else { vec![path.to_owned(), real] };
        let (last, is_overwritten) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { held, names, beside, log_index, last, is_overwritten })
    }

    /// Looks once.
    pub(crate) fn look(&self) -> Result<(), Fault> {
        self.seen().map_err(|gone| Fault::retry(FILE_GONE, gone))
    }

    /// Gives the log of an overwritten file another name. It belongs to contents that are gone, and would spoil those that lie
    /// there now as soon as somebody opens them.
    pub(crate) fn set_the_log_aside(&self) {
        let ours = self.beside.iter().find(|(file, _)| file.to_string_lossy().ends_with("-wal"));
        let Some((log, identity)) = ours.filter(|_| self.is_overwritten()) else { return };
        if !Identity::at(log).is_ok_and(|found| found == *identity) {
            return;
        }
        let aside = beside(log, &format!(".of-overwritten-{}", std::process::id()));
        match std::fs::rename(log, &aside) {
            Ok(()) => {
                let aside = aside.display().to_string();
                tracing::error!(aside, "the log of the overwritten database file was set aside");
            }
            Err(error) => {
                let log = log.display().to_string();
                tracing::error!(%error, log, "remove this log before the file is opened again");
            }
        }
    }

    fn is_overwritten(&self) -> bool {
        self.is_overwritten.load(Ordering::Relaxed)
    }

    fn seen(&self) -> Result<(), FileGone> {
        for name in &self.names {
            let metadata = still(name, self.held.identity)?;
            self.judge_contents(name, &metadata)?;
        }
        for (file, identity) in &self.beside {
            still(file, *identity)?;
        }
        Ok(())
    }

    /// A file that was copied over ours in place keeps its identity; only what is in it tells.
    fn judge_contents(&self, name: &Path, metadata: &Metadata) -> Result<(), FileGone> {
        let overwritten = || FileGone { file: name.to_owned(), how: "overwritten" };
        if self.is_overwritten() {
            return Err(overwritten());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match Contents::seen(&self.held, self.log_index.as_ref(), last.as_ref(), metadata) {
            Seen::Unchanged => Ok(()),
            Seen::Ours(contents) => {
                *last = Some(contents);
                Ok(())
            }
            Seen::Anothers => {
                self.is_overwritten.store(true, Ordering::Relaxed);
                Err(overwritten())
            }
        }
    }
}

/// The file of this name, if it is still the one that had it.
fn still(name: &Path, identity: Identity) -> Result<Metadata, FileGone> {
    let gone = |how| FileGone { file: name.to_owned(), how };
    let metadata = std::fs::metadata(name).map_err(|_| gone("moved or deleted"))?;
    if Identity::of(&metadata) == identity { Ok(metadata) } else { Err(gone("replaced")) }
}
