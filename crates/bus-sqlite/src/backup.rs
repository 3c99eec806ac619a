//! A copy of the file while others work on it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

/// What stands behind the name of a copy that is being made.
const PARTIAL: &str = ".partial";

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
    #[error("the copy {path} could not be kept: {source}")]
    Keeping {
        /// The copy.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// Copies a database into a new file as it stands at one moment, while others read and write it. The copy needs no log beside it,
/// has the permissions of the database, and gets its name only once it is whole, checked and on the disk. Returns its bytes.
///
/// # Errors
/// [`BackupError`] says in one line what is wrong; nothing is left then but what was there before.
pub fn back_up(from: &Path, to: &Path) -> Result<u64, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: to.to_owned() });
    }
    let partial = partial(to);
    let made = make(from, to, &partial);
    if made.is_err() {
        // What cannot be removed is replaced by the next copy.
        let _ = fs::remove_file(&partial);
    }
    made
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.file_name().map_or_else(OsString::new, OsString::from);
    name.push(PARTIAL);
    to.with_file_name(name)
}

fn make(from: &Path, to: &Path, partial: &Path) -> Result<u64, BackupError> {
    let keeping = |source| BackupError::Keeping { path: to.to_owned(), source };
    // An earlier copy that was broken off.
    match fs::remove_file(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(keeping(error)),
        Ok(()) | Err(_) => {}
    }
    let copying = |source| BackupError::Copying { from: from.to_owned(), to: to.to_owned(), source };
    copy(from, partial).map_err(copying)?;
    if let Some(found) = damage(partial).map_err(copying)? {
        return Err(BackupError::Damaged { from: from.to_owned(), found });
    }
    keep(from, partial, to).map_err(keeping)
}

/// One reading transaction, so that the copy is of one moment. Writers go on; the log of the database grows meanwhile.
fn copy(from: &Path, partial: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(from, flags)?;
    connection.execute("vacuum into ?", [partial.to_string_lossy()])?;
    Ok(())
}

fn damage(partial: &Path) -> rusqlite::Result<Option<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(partial, flags)?;
    let found: String = connection.query_row("pragma integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

fn keep(from: &Path, partial: &Path, to: &Path) -> io::Result<u64> {
    fs::set_permissions(partial, fs::metadata(from)?.permissions())?;
    let file = File::open(partial)?;
    file.sync_all()?;
    fs::rename(partial, to)?;
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

    #[test]
    fn what_is_no_database_and_what_is_not_there_leave_nothing() {
        let folder = Folder::new("nothing");
        let (none, text) = (folder.0.join("none.db"), folder.0.join("text.db"));
        fs::write(&text, "no database, and longer than the header of one would be; ".repeat(9))
            .expect("a file");
        for from in [&none, &text] {
            let to = folder.0.join("to.db");
            fs::write(partial(&to), "broken off").expect("a file");
            assert!(matches!(back_up(from, &to), Err(BackupError::Copying { .. })), "{}", from.display());
            assert!(!to.exists() && !partial(&to).exists() && !none.exists());
        }
        let nowhere = folder.0.join("no").join("to.db");
        assert!(back_up(&text, &nowhere).is_err());
    }
}
