//! Whether the files that are open are still those which have their names. Whoever moves, deletes or replaces them under a running
//! service leaves it writing into what nobody will find: nothing is accepted then, and nothing is written into what lies there
//! instead. Asks the system only for what it knows of names, which takes a microsecond.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bus::Fault;
use thiserror::Error;

use crate::held_file::{HeldFile, Identity};
use crate::options::beside;
use crate::ownership::Header;

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
    last: Mutex<Option<Last>>,
    /// The contents were exchanged, which cannot be taken back.
    is_overwritten: AtomicBool,
}

/// The file's contents, when last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    modified: SystemTime,
    header: Header,
}

impl Watch {
    /// Watches the files of a database that is open.
    pub(crate) fn new(path: &Path, held: Arc<HeldFile>) -> std::io::Result<Self> {
        let real = std::fs::canonicalize(path)?;
        let beside = ["-wal", "-shm"].map(|suffix| beside(&real, suffix));
        let known = |file: PathBuf| Identity::at(&file).ok().map(|identity| (file, identity));
        let beside = beside.into_iter().filter_map(known).collect();
        let names = if real == path { vec![real] } else { vec![path.to_owned(), real] };
        Ok(Self { held, names, beside, last: Mutex::default(), is_overwritten: AtomicBool::new(false) })
    }

    /// Looks once.
    pub(crate) fn look(&self) -> Result<(), Fault> {
        self.seen().map_err(|gone| Fault::retry(FILE_GONE, gone))
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

    /// A file that was copied over ours in place keeps its identity. Its header says that it is another, or an older one.
    fn judge_contents(&self, name: &Path, metadata: &Metadata) -> Result<(), FileGone> {
        let overwritten = || FileGone { file: name.to_owned(), how: "overwritten" };
        if self.is_overwritten.load(Ordering::Relaxed) {
            return Err(overwritten());
        }
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last.modified == modified) {
            return Ok(());
        }
        let header = self.held.beginning().ok().flatten().and_then(|bytes| Header::of(&bytes));
        let found = header.filter(|found| last.is_none_or(|last| follows(last.header, *found)));
        match found {
            Some(header) => {
                *last = Some(Last { modified, header });
                Ok(())
            }
            None => {
                self.is_overwritten.store(true, Ordering::Relaxed);
                Err(overwritten())
            }
        }
    }
}

/// Whether a header can have become another by work on the same database.
const fn follows(earlier: Header, later: Header) -> bool {
    let marked = later.application_id == earlier.application_id || earlier.application_id == 0;
    marked && later.changes.wrapping_sub(earlier.changes) < u32::MAX / 2
}

/// The file of this name, if it is still the one that had it.
fn still(name: &Path, identity: Identity) -> Result<Metadata, FileGone> {
    let gone = |how| FileGone { file: name.to_owned(), how };
    let metadata = std::fs::metadata(name).map_err(|_| gone("moved or deleted"))?;
    if Identity::of(&metadata) == identity { Ok(metadata) } else { Err(gone("replaced")) }
}
