//! A copy of the file while others work on it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

/// Tells the copies apart that one process makes.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// Why there is no copy.
#[derive(Debug, Error)]
pub enum BackupError {
    /// Something has the name already.
    #[error("{path} is there already and was left as it is; name a file that is not")]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// The database cannot be read, or the copy not be written.
    #[error("{from} was not copied to {to}: {source}")]
    Copying {
        /// The database.
        from: PathBuf,
        /// Where its copy should be.
        to: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The copy is not whole, so the database may not be either.
    #[error("the copy of {from} is damaged and was removed: {found}; run 'pragma integrity_check' on {from}")]
    Damaged {
        /// The database.
        from: PathBuf,
        /// What SQLite found.
        found: String,
    },
    /// The system refused something.
    #[error("the copy {path} could not be made: {source}")]
    Making {
        /// The copy.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// Copies a database into a new file as it stands at one moment, while others read and write it. The copy needs no log beside it,
/// has the permissions of the database, and gets its name only once it is whole, checked and on the disk. Returns its bytes.
///
/// Until then it is called like the copy, with `.PROCESS-NUMBER.partial` behind. A process that is killed leaves that file.
///
/// # Errors
/// [`BackupError`] says in one line what is wrong; nothing is left then but what was there before.
pub fn back_up(from: &Path, to: &Path) -> Result<u64, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: to.to_owned() });
    }
    let partial = partial(to);
    let made = make(from, to, &partial);
    // The copy has its own name by now, or is none.
    let _ = fs::remove_file(&partial);
    made
}

/// A name that no other copy has, so that two that are made at once under one name leave each other alone.
fn partial(to: &Path) -> PathBuf {
    let number = COPIES.fetch_add(1, Ordering::Relaxed);
    let mut name = to.file_name().map_or_else(OsString::new, OsString::from);
    name.push(format!(".{}-{number}.partial", std::process::id()));
    to.with_file_name(name)
}

fn make(from: &Path, to: &Path, partial: &Path) -> Result<u64, BackupError> {
    let making = |source| BackupError::Making { path: to.to_owned(), source };
    let copying = |source| BackupError::Copying { from: from.to_owned(), to: to.to_owned(), source };
    let name = partial.to_str().ok_or_else(|| making(ErrorKind::InvalidFilename.into()))?;
    let file = empty(from, partial).map_err(making)?;
    copy(from, name).map_err(copying)?;
    if let Some(found) = damage(partial).map_err(copying)? {
        return Err(BackupError::Damaged { from: from.to_owned(), found });
    }
    match keep(&file, partial, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(BackupError::Exists { path: to.to_owned() })
        }
        kept => kept.map_err(making),
    }
}

/// An empty file that nobody may read who may not read the database.
fn empty(from: &Path, partial: &Path) -> io::Result<File> {
    let permissions = fs::metadata(from)?.permissions();
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(partial)?;
    file.set_permissions(permissions)?;
    Ok(file)
}

/// One reading transaction, so that the copy is of one moment. Writers go on; the log of the database grows meanwhile.
fn copy(from: &Path, partial: &str) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags)?;
    connection.execute("vacuum into ?", [partial])?;
    Ok(())
}

fn damage(partial: &Path) -> rusqlite::Result<Option<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(partial, flags)?;
    let found: String = connection.query_row("pragma integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Gives the copy its name, and never one that is taken. A file system without second names takes the copy by renaming it.
fn keep(file: &File, partial: &Path, to: &Path) -> io::Result<u64> {
    file.sync_all()?;
    match fs::hard_link(partial, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
        Err(_) if to.symlink_metadata().is_ok() => return Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(partial, to)?,
        Ok(()) => {}
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("orderwright-backup-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_copy_is_whole_of_one_moment_and_takes_the_place_of_nothing() {
        let folder = Folder::new("whole");
        let (from, to) = (folder.0.join("from.db"), folder.0.join("to.db"));
        let writer = Connection::open(&from).expect("a database");
        writer.pragma_update(None, "journal_mode", "wal").expect("it has a log");
        writer.execute_batch("create table t (n integer); pragma user_version = 7; begin; insert into t values (1); commit")
            .expect("a row");
        writer
            .execute_batch("begin immediate; insert into t values (2)")
            .expect("a row that is not there yet");
        let bytes = back_up(&from, &to).expect("a writer does not matter");
        writer.execute_batch("commit").expect("it goes on");
        assert_eq!(fs::metadata(&to).expect("it is there").len(), bytes);
        let copy = Connection::open(&to).expect("it is a database");
        let count = |connection: &Connection| -> i64 {
            connection.query_row("select count(*) from t", [], |row| row.get(0)).expect("a count")
        };
        assert_eq!((count(&copy), count(&writer)), (1, 2));
        let version: i64 = copy.query_row("pragma user_version", [], |row| row.get(0)).expect("a version");
        assert_eq!(version, 7);
        assert!(matches!(back_up(&from, &to), Err(BackupError::Exists { .. })));
        assert_eq!(count(&copy), 1);
    }

    /// What lies in a folder beside the database.
    fn names(folder: &Folder) -> Vec<String> {
        let entries = fs::read_dir(&folder.0).expect("it is there");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn of_two_copies_at_once_under_one_name_one_is_kept_whole_and_the_other_says_so() {
        let folder = Folder::new("twice");
        let (from, to) = (folder.0.join("from.db"), folder.0.join("to.db"));
        let writer = Connection::open(&from).expect("a database");
        let rows = "create table t (n blob);
            with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 500)
            insert into t select randomblob(1000) from numbers";
        writer.execute_batch(rows).expect("rows");
        for _ in 0..20 {
            let made = std::thread::scope(|threads| {
                let one = threads.spawn(|| back_up(&from, &to));
                let other = threads.spawn(|| back_up(&from, &to));
                [one, other].map(|copy| copy.join().expect("it ends"))
            });
            let kept = made.iter().filter(|copy| copy.is_ok()).count();
            let refused = made.iter().filter(|copy| matches!(copy, Err(BackupError::Exists { .. }))).count();
            assert_eq!((kept, refused), (1, 1), "{made:?}");
            assert_eq!(damage(&to).expect("it is a database"), None);
            assert_eq!(names(&folder), ["from.db", "to.db"]);
            fs::remove_file(&to).expect("it is there");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_may_read_the_copy_who_may_not_read_the_database() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("private");
        let (from, to) = (folder.0.join("from.db"), folder.0.join("to.db"));
        Connection::open(&from).expect("a database").execute_batch("create table t (n)").expect("a table");
        fs::set_permissions(&from, fs::Permissions::from_mode(0o600)).expect("it is ours");
        back_up(&from, &to).expect("a copy");
        assert_eq!(fs::metadata(&to).expect("it is there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_database_and_what_is_not_there_leave_nothing() {
        let folder = Folder::new("nothing");
        let (none, text) = (folder.0.join("none.db"), folder.0.join("text.db"));
        fs::write(&text, "no database, and longer than the header of one would be; ".repeat(9))
            .expect("a file");
        for from in [&none, &text] {
            let to = folder.0.join("to.db");
            assert!(back_up(from, &to).is_err(), "{}", from.display());
            assert_eq!(names(&folder), ["text.db"]);
        }
        let nowhere = folder.0.join("no").join("to.db");
        assert!(back_up(&text, &nowhere).is_err());
    }
}
