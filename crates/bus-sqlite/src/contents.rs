//! What is in a database file, as far as it tells whether somebody else has written into it. Only a checkpoint may: it moves pages
//! from the log to the file, and the index of the log says before and after which it moves.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::held_file::HeldFile;
use crate::ownership::{HEADER_BYTES, Header};

/// The beginning of the file that is compared. The small tables that every unit writes to lie there.
const COMPARED_BYTES: usize = 256 * 1024;

/// Where the index of a log says what its log is (two salts), up to where pages were moved, and up to where they may have been.
const SALTS_AT: usize = 32;
const MOVED_AT: usize = 96;
const BEGUN_AT: usize = 128;
const INDEX_BYTES: usize = 136;

/// The index of a log, open as long as the watch.
#[derive(Debug)]
pub(crate) struct LogIndex(Arc<HeldFile>);

/// How far pages were moved from the log to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    salts: [u8; 8],
    moved: u32,
    begun: u32,
}

/// A file's contents, when last looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contents {
    modified: SystemTime,
    header: Header,
    /// None while a checkpoint was under way, or where there is no log.
    quiet: Option<Quiet>,
}

/// What was seen while nobody of us wrote to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quiet {
    moved: Moved,
    length: u64,
    digest: u64,
}

/// What a look came to.
pub(crate) enum Seen {
    /// Nobody has written to the file.
    Unchanged,
    /// It has changed by work on this database.
    Ours(Contents),
    /// Somebody else has written to it.
    Anothers,
}

impl LogIndex {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        HeldFile::open(path).map(Self)
    }

    /// None while a checkpoint is under way.
    fn at_rest(&self) -> Option<Moved> {
        let bytes = self.0.beginning::<INDEX_BYTES>().ok().flatten()?;
        let number = |at: usize| bytes[at..at + 4].try_into().map(u32::from_ne_bytes).ok();
        let salts = bytes[SALTS_AT..SALTS_AT + 8].try_into().ok()?;
        let found = Moved { salts, moved: number(MOVED_AT)?, begun: number(BEGUN_AT)? };
        (found.moved == found.begun).then_some(found)
    }
}

impl Contents {
    /// Looks at the file, which the system described like this before.
    pub(crate) fn seen(
        file: &HeldFile,
        index: Option<&LogIndex>,
        last: Option<&Self>,
        metadata: &Metadata,
    ) -> Seen {
        let modified = written_at(metadata);
        let found = match last {
            Some(last) if last.modified == modified => last.still(file, index),
            Some(_) | None => Self::anew(file, index, last, modified),
        };
        // Whoever writes meanwhile is judged by the next look.
        match found {
            Seen::Ours(_) if file.metadata().is_ok_and(|now| written_at(&now) != modified) => Seen::Unchanged,
            Seen::Unchanged | Seen::Ours(_) | Seen::Anothers => found,
        }
    }

    /// Nobody has written to the file. A log that began anew, or was moved completely, is the one to compare with from now on.
    fn still(self, file: &HeldFile, index: Option<&LogIndex>) -> Seen {
        let Some(index) = index else { return Seen::Unchanged };
        match index.at_rest() {
            Some(moved) if self.quiet.is_none_or(|quiet| quiet.moved != moved) => {
                Seen::Ours(Self { quiet: Quiet::seen(file, index), ..self })
            }
            Some(_) | None => Seen::Unchanged,
        }
    }

    fn anew(file: &HeldFile, index: Option<&LogIndex>, last: Option<&Self>, modified: SystemTime) -> Seen {
        let header = file.beginning().ok().flatten().and_then(|bytes: [u8; HEADER_BYTES]| Header::of(&bytes));
        let Some(header) = header.filter(|found| last.is_none_or(|last| last.header.leads_to(*found))) else {
            return Seen::Anothers;
        };
        let quiet = index.and_then(|index| Quiet::seen(file, index));
        let before = last.and_then(|last| last.quiet);
        match (before, quiet) {
            // No checkpoint has begun since, so nobody of us has changed it.
            (Some(before), Some(now)) if before.moved == now.moved && before != now => Seen::Anothers,
            _ => Seen::Ours(Self { modified, header, quiet }),
        }
    }
}

fn written_at(metadata: &Metadata) -> SystemTime {
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Quiet {
    /// None if a checkpoint was under way meanwhile.
    fn seen(file: &HeldFile, index: &LogIndex) -> Option<Self> {
        let moved = index.at_rest()?;
        let (length, _) = file.length_and_names().ok()?;
        let mut beginning = vec![0; COMPARED_BYTES];
        let read = file.read(&mut beginning).ok()?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&beginning[..read]);
        let digest = hasher.finish();
        (index.at_rest() == Some(moved)).then_some(Self { moved, length, digest })
    }
}
