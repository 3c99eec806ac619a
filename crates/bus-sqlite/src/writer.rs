//! The one connection that writes, and the transaction that is open on it. Whoever holds it is alone with the file, but
//! for other processes.

use std::sync::Arc;

use bus::{Counts, Envelope, Fault};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Result};
use tokio::sync::oneshot;

use crate::fault::fault;
use crate::held_file::HeldFile;
use crate::tally;
use crate::view::View;
use crate::watch::Watch;

/// Units in one transaction at most, those included that come to nothing: the first need not wait for ever longer company.
const GROUP_MAX: usize = 64;

/// The writing connection and what it knows of the file.
pub(crate) struct Writer<M> {
    /// The connection.
    pub(crate) connection: Connection,
    /// The last position that was given.
    pub(crate) last_position: i64,
    /// Rows that the user has read or written last.
    pub(crate) memory: M,
    /// SQLite's mark of what others wrote, as last seen; none if what is known may not be true any more.
    pub(crate) seen: Option<Seen>,
    /// What was made ready for our own carrier so far.
    pub(crate) adopted: Adopted,
    group: Group,
    /// The file behind the connection, if there is one. Given up after the connection, whose locks it would take along.
    file: Option<(Arc<Watch>, Arc<HeldFile>)>,
}

/// Units that are done but not durable yet.
#[derive(Default)]
struct Group {
    begun: usize,
    members: Vec<Member>,
    counts: Counts,
}

/// A message in its queue: queue, position, message.
pub(crate) type Placed = (Arc<str>, i64, Arc<Envelope>);

/// A unit that is done but not durable yet.
pub(crate) struct Member {
    /// Whose queues get the messages.
    pub(crate) view: Arc<View>,
    /// What is to be handed over.
    pub(crate) fresh: Vec<Placed>,
    /// Who wants to know.
    pub(crate) durable: oneshot::Sender<std::result::Result<(), Fault>>,
}

/// How far was looked for messages that were left for another carrier. Whatever is left later has a higher position, and
/// changes the mark.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Adopted {
    pub(crate) version: Option<i64>,
    pub(crate) position: i64,
}

/// What was last seen, and by whom: memory that was not there to see it has to look for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Changes whenever another connection commits.
    pub(crate) version: i64,
    /// Whose memory has seen it.
    pub(crate) viewer: u64,
}

impl<M: Default> Writer<M> {
    /// A writer that knows nothing yet.
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            last_position: 0,
            memory: M::default(),
            seen: None,
            adopted: Adopted::default(),
            group: Group::default(),
            file: None,
        }
    }

    /// The same, on this file.
    pub(crate) fn over(mut self, held: Arc<HeldFile>, watch: Arc<Watch>) -> Self {
        self.file = Some((watch, held));
        self
    }

    /// The mark as it is now.
    pub(crate) fn version(&self) -> Result<i64> {
        self.connection.prepare_cached("pragma data_version")?.query_row([], |row| row.get(0))
    }

    /// If others wrote, memory no longer knows all of any queue, nor any row. No unit waits to be durable.
    pub(crate) fn notice_others(&mut self, view: &View) -> Result<()> {
        let version = if view.has_neighbours() { self.version()? } else { 0 };
        let seen = Seen { version, viewer: view.viewer };
        if self.seen == Some(seen) {
            return Ok(());
        }
        self.last_position = stored_position(&self.connection)?;
        self.memory = M::default();
        self.seen = Some(seen);
        for queue in view.queues.values() {
            queue.spill();
        }
        Ok(())
    }

    /// Opens a unit's savepoint: in the transaction of the units before it, or in a new one.
    pub(crate) fn begin_unit(&mut self, view: &View) -> std::result::Result<(), Fault> {
        if self.connection.is_autocommit() || !self.is_seen_by(view.viewer) {
            self.close_group();
            self.run("begin immediate").map_err(fault("unit.begin"))?;
            if let Err(error) = self.notice_others(view) {
                self.close_group();
                return Err(fault("unit.begin")(error));
            }
        }
        self.group.begun += 1;
        self.run("savepoint unit").map_err(fault("unit.begin"))
    }

    /// Makes the unit's work part of the transaction. It is durable when the group is closed.
    pub(crate) fn commit_unit(
        &mut self,
        remember: impl FnOnce(&mut M),
        counts: Counts,
        last_position: i64,
        member: Member,
    ) -> Result<()> {
        self.run("release unit")?;
        remember(&mut self.memory);
        self.last_position = last_position;
        self.group.counts.add_all(counts);
        self.group.members.push(member);
        Ok(())
    }

    /// Undoes the unit's work, and nothing else.
    pub(crate) fn abandon_unit(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.run("rollback to unit").and_then(|()| self.run("release unit")) {
            tracing::error!(%error, "a unit could not be undone by itself; its whole transaction is");
            self.roll_back();
        }
    }

    /// Whether the next unit should find a new transaction.
    pub(crate) fn group_is_full(&self) -> bool {
        self.group.begun >= GROUP_MAX
    }

    /// Makes durable what waits for it, hands its messages over, and tells everybody.
    pub(crate) fn close_group(&mut self) {
        let Group { begun: _, members, counts } = std::mem::take(&mut self.group);
        if members.is_empty() {
            self.roll_back();
            return;
        }
        match self.make_durable(&counts) {
            Ok(()) => members.into_iter().for_each(Member::hand_over),
            Err(fault) => {
                // Whether it is durable is not known for certain, so memory vouches for nothing any more.
                self.roll_back();
                self.seen = None;
                let reason = std::error::Error::source(&fault).map_or_else(String::new, ToString::to_string);
                members.into_iter().for_each(|member| member.fail(&fault, &reason));
            }
        }
    }

    /// What is in a file that nobody will find is not durable, so it is looked at before and after.
    fn make_durable(&self, changes: &Counts) -> std::result::Result<(), Fault> {
        self.look_at_the_file()?;
        self.commit(changes).map_err(fault("unit.commit"))?;
        self.look_at_the_file().map_err(Fault::in_doubt)
    }

    fn look_at_the_file(&self) -> std::result::Result<(), Fault> {
        self.file.as_ref().map_or(Ok(()), |(watch, _)| watch.look())
    }

    fn commit(&self, changes: &Counts) -> Result<()> {
        if self.connection.is_autocommit() {
            // An error so bad that SQLite has undone the transaction by itself, such as a full disk.
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR),
                Some("the transaction was undone because of an earlier error".to_owned()),
            ));
        }
        tally::store(&self.connection, changes)?;
        self.connection
            .prepare_cached("update positions set last_position = ?1 where last_position <> ?1")?
            .execute([self.last_position])?;
        self.run("commit")
    }

    fn roll_back(&mut self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(error) = self.run("rollback") {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn is_seen_by(&self, viewer: u64) -> bool {
        self.seen.is_some_and(|seen| seen.viewer == viewer)
    }

    /// Runs a statement without parameters.
    fn run(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

impl<M> Drop for Writer<M> {
    /// The last connection to leave would move its log into the file, whosever that is by now.
    fn drop(&mut self) {
        let Some((watch, _)) = &self.file else { return };
        if watch.look().is_ok() {
            return;
        }
        let kept = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(error) = kept {
            tracing::error!(%error, "the log of a database file that is gone may be moved into the file that lies there now");
        }
        watch.set_the_log_aside();
    }
}

/// The last position that was given, as stored.
pub(crate) fn stored_position(connection: &Connection) -> Result<i64> {
    connection.prepare_cached("select last_position from positions")?.query_row([], |row| row.get(0))
}

impl Member {
    fn hand_over(self) {
        for (queue, position, envelope) in self.fresh {
            match self.view.queues.get(&queue) {
                Some(queue) => queue.push(position, envelope),
                // A relay takes it to the broker.
                None => self.view.outgoing.notify_one(),
            }
        }
        // A caller that went away need not know.
        let _ = self.durable.send(Ok(()));
    }

    fn fail(self, why: &Fault, reason: &str) {
        let fault = Fault::new(why.operation, why.verdict, reason.to_owned());
        let fault = if why.is_in_doubt() { fault.in_doubt() } else { fault };
        let _ = self.durable.send(Err(fault));
    }
}
