//! A file as the system knows it, whatever it is called. This process opens it once for as long as any store here uses it: the
//! system takes all of SQLite's locks away from a process that closes the file anywhere. Carries the lock of the one server,
//! which is on the file itself and not on one of its names.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What tells a file from all others, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// A file that is open in this process.
#[derive(Debug)]
pub(crate) struct HeldFile {
    file: File,
    pub(crate) identity: Identity,
    serving: AtomicBool,
}

/// The right to be the only server on a file, until dropped or until the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct ServerLock(Arc<HeldFile>);

/// Every file that is open here for a store.
static HELD: Mutex<BTreeMap<Identity, Weak<HeldFile>>> = Mutex::new(BTreeMap::new());

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// That of the file which has this name now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::of(&metadata))
    }
}

impl HeldFile {
    /// The file of this name. What is no file, such as a pipe, is not opened.
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Self>> {
        let mut all = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, held| held.strong_count() > 0);
        let found = std::fs::metadata(path)?;
        if !found.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        if let Some(known) = all.get(&Identity::of(&found)).and_then(Weak::upgrade) {
            return Ok(known);
        }
        // For writing as well, where that is allowed: some file systems make the file another one when it is first opened so.
        let file = File::options().read(true).write(true).open(path).or_else(|_| File::open(path))?;
        let identity = Identity::of(&file.metadata()?);
        if let Some(known) = all.get(&identity).and_then(Weak::upgrade) {
            // The name went to a file that is open here already, and closing it again would take that one's locks away.
            std::mem::forget(file);
            return Ok(known);
        }
        let held = Arc::new(Self { file, identity, serving: AtomicBool::new(false) });
        all.insert(identity, Arc::downgrade(&held));
        Ok(held)
    }

    /// The first bytes, as many as there are.
    pub(crate) fn beginning<const N: usize>(&self) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fills this with its beginning; returns how many bytes there were.
    pub(crate) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        Ok(read)
    }

    /// What the system knows of it.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Its length in bytes, and how many names it has.
    pub(crate) fn length_and_names(&self) -> io::Result<(u64, u64)> {
        self.file.metadata().map(|metadata| (metadata.len(), metadata.nlink()))
    }

    /// Takes the lock of a server.
    pub(crate) fn serve(self: &Arc<Self>) -> Result<ServerLock, TryLockError> {
        if self.serving.swap(true, Ordering::SeqCst) {
            return Err(TryLockError::WouldBlock);
        }
        match self.file.try_lock() {
            Ok(()) => Ok(ServerLock(Arc::clone(self))),
            Err(refused) => {
                self.serving.store(false, Ordering::SeqCst);
                Err(refused)
            }
        }
    }

    /// Whether a server works on it, in this process or another.
    pub(crate) fn is_served(&self) -> bool {
        if self.serving.load(Ordering::SeqCst) {
            return true;
        }
        match self.file.try_lock_shared() {
            Ok(()) => self.file.unlock().is_err(),
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }
}

impl Drop for ServerLock {
    fn drop(&mut self) {
        if let Err(error) = self.0.file.unlock() {
            tracing::debug!(%error, "the lock of a server goes with the process");
        }
        self.0.serving.store(false, Ordering::SeqCst);
    }
}
