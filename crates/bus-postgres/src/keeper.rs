//! The keeper of this process's claims: says again and again that the process is alive, takes back what dead processes had
//! claimed, listens for rows that nobody has claimed, and tells others of such rows. Has a connection of its own, so that
//! busy units of work cannot keep it from its word. Never touches a row that a living process works on.
//!
//! Time is the server's, so that it does not matter what the clocks of the processes say. Whoever is merely slow for longer
//! than its lease loses its claims while it works. Nothing is done twice even then: settling a delivery that is no longer
//! ours fails, and takes all that was done about it back.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bus::limits::{BACKOFF_MAX, BACKOFF_MIN};
use bus::{Fault, Stop};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::{AsyncMessage, Connection, Socket};
use uuid::Uuid;

use crate::array::Array;
use crate::connect::{Presence, Use, suited};
use crate::connect_error::{ConnectError, explain};
use crate::due::{Due, Duty, FOLD};
use crate::hosts::Stream;
use crate::patience::Line;
use crate::rounds::{Lost, Next, Rounds};
use crate::server::{NoConnection, Server, server_now};
use crate::shared::{Lists, Shared};
use crate::tally;

/// How often it is looked for rows of which no word came.
const POLL: Duration = Duration::from_millis(500);

/// Words to others are held back this long, so that many make one.
const ANNOUNCE_PAUSE: Duration = Duration::from_millis(5);

/// How many changes of counts are summed up at once.
const FOLD_MAX: i64 = 20_000;

/// Between the two rounds that a row must be unknown in to be given up.
const AUDIT_PAUSE: Duration = Duration::from_secs(2);

/// How often the claims of this process are looked through without a reason.
const AUDIT: Duration = Duration::from_secs(300);

/// Until what has failed is tried again.
const PUT_OFF: Duration = Duration::from_secs(2);

/// Keeps one process's claims.
pub(crate) struct Keeper {
    shared: Weak<Shared>,
    server: Server,
    instance: Uuid,
    /// Where words are spoken.
    channel: String,
    presence: Presence,
    lease: Duration,
    waiting: Arc<Notify>,
    stop: Stop,
    due: Due,
    heard_at: Instant,
    rounds: Rounds,
    /// Until this moment a timed-out statement may still run and claim rows.
    in_doubt_until: Instant,
}

impl Keeper {
    /// Registers the process, then keeps on in the background until the store is dropped or closed.
    pub(crate) async fn start(shared: &Arc<Shared>) -> Result<JoinHandle<()>, ConnectError> {
        let now = Instant::now();
        let mut keeper = Self {
            shared: Arc::downgrade(shared),
            server: suited(&shared.server, Use::Keeping),
            instance: shared.instance,
            channel: format!("{}_outbox", shared.owner.program),
            presence: shared.presence,
            lease: shared.lease,
            waiting: Arc::clone(&shared.errands.waiting),
            stop: shared.stop.clone(),
            due: Due::at(now, shared.presence),
            heard_at: now,
            rounds: Rounds::default(),
            in_doubt_until: now,
        };
        let line = keeper.connect().await.map_err(|error| explain(&keeper.server.config, &error))?;
        let beaten = keeper.beat(shared, &line).await;
        beaten.map_err(|fault| explain(&keeper.server.config, &fault))?;
        Ok(tokio::spawn(async move { keeper.run(line).await }))
    }

    async fn run(mut self, mut line: Line) {
        let mut pause = BACKOFF_MIN;
        loop {
            match self.keep(&line).await {
                Ok(()) => return self.retire(&line).await,
                Err(fault) => tracing::warn!(%fault, "the database is away; claims cannot be renewed"),
            }
            // It may lead to a server that still answers and is no longer the one that takes writes.
            drop(line);
            loop {
                self.stop.sleep(pause).await;
                if self.stop.is_stopped() {
                    return;
                }
                match self.connect().await {
                    Ok(connected) => {
                        line = connected;
                        pause = BACKOFF_MIN;
                        self.after_outage();
                        break;
                    }
                    Err(_) => pause = (pause * 2).min(BACKOFF_MAX),
                }
            }
        }
    }

    /// Nobody was heard of, and the living get the time to say so. Claims may have come to light that nobody waits for.
    fn after_outage(&mut self) {
        let now = Instant::now();
        self.due = Due::at(now, self.presence);
        self.due.put(Duty::Bury, now + self.lease / 3);
        self.doubt(now);
    }

    fn doubt(&mut self, now: Instant) {
        self.in_doubt_until = now + self.server.answer_limit * 2;
        self.look_round(now);
    }

    fn look_round(&mut self, now: Instant) {
        self.rounds.want();
        if self.rounds.is_ready() {
            self.due.put(Duty::Audit, now);
        }
    }

    /// Until stopped.
    async fn keep(&mut self, line: &Line) -> Result<(), Fault> {
        while !self.stop.is_stopped() {
            // Nothing of the store is held while waiting, or it would never be dropped.
            let Some(shared) = self.shared.upgrade() else { return Ok(()) };
            self.run_errands(&shared, line).await?;
            self.do_what_is_due(&shared, line).await?;
            drop(shared);
            tokio::select! {
                () = self.stop.stopped() => {}
                () = tokio::time::sleep_until(self.due.next()) => {}
                () = self.waiting.notified() => self.stop.sleep(ANNOUNCE_PAUSE).await,
            }
        }
        Ok(())
    }

    async fn run_errands(&mut self, shared: &Shared, line: &Line) -> Result<(), Fault> {
        let Lists { give_up, announce } = shared.errands.take();
        if !give_up.is_empty() {
            let given_up = self.give_up(shared, line, &give_up).await;
            if given_up.is_err() {
                // The audit will find them.
                shared.errands.doubt();
            }
            outage(line, given_up.map(drop))?;
        }
        for queue in announce {
            // Whoever does not hear it looks by itself, a little later.
            let told =
                line.query("keeper.announce", "select pg_notify($1, $2)", &[&self.channel, &&*queue]).await;
            outage(line, told.map(drop))?;
        }
        if shared.errands.doubt.swap(false, Ordering::Relaxed) {
            self.doubt(Instant::now());
        }
        Ok(())
    }

    /// Does what is most urgent of what is due. Only a sign of life that cannot be given is an outage; what else fails on a
    /// connection that still answers is put off, so that one statement that takes too long keeps nothing else from its turn.
    async fn do_what_is_due(&mut self, shared: &Shared, line: &Line) -> Result<(), Fault> {
        let Some(duty) = self.due.first(Instant::now()) else { return Ok(()) };
        let done = self.fulfil(duty, shared, line).await;
        if duty == Duty::Beat {
            self.due.put(duty, Instant::now() + done?);
            return Ok(());
        }
        let pause = done.as_ref().copied().unwrap_or(PUT_OFF);
        self.due.put(duty, Instant::now() + pause);
        outage(line, done.map(drop))
    }

    /// Returns when to come again.
    async fn fulfil(&mut self, duty: Duty, shared: &Shared, line: &Line) -> Result<Duration, Fault> {
        match duty {
            Duty::Beat => self.beat(shared, line).await.map(|()| self.lease / 3),
            Duty::Poll => poll(shared, line).await.map(|()| POLL),
            Duty::Bury => self.bury(line).await.map(|()| self.lease / 3),
            Duty::Fold => line.query("keeper.fold", tally::FOLD, &[&FOLD_MAX]).await.map(|_| FOLD),
            Duty::Audit => self.audit(shared, line).await,
        }
    }

    /// Says that this process is alive, if it works here, and learns how many others are.
    async fn beat(&mut self, shared: &Shared, line: &Line) -> Result<(), Fault> {
        let sign = concat!(
            "with clock as (select ",
            server_now!(),
            " as now),
             beat as (
                 insert into instances (instance_id, started_at, alive_until) select $1, now, now + $2 from clock
                 on conflict (instance_id) do update set alive_until = excluded.alive_until
             )
             select count(*) from instances, clock where alive_until >= now and instance_id <> $1"
        );
        // A visitor may not even be allowed to write.
        let look = concat!(
            "select count(*) from instances where alive_until >= ",
            server_now!(),
            " and instance_id <> $1"
        );
        let lease = i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX);
        let rows = match self.presence {
            Presence::Worker => line.query("keeper.beat", sign, &[&self.instance, &lease]).await?,
            Presence::Visitor => line.query("keeper.beat", look, &[&self.instance]).await?,
        };
        let now = Instant::now();
        if now - self.heard_at > self.lease {
            // The server stood still, and the others get the time to say that they are alive.
            self.due.put(Duty::Bury, now + self.lease / 3);
        }
        self.heard_at = now;
        let others = rows.first().map_or(0, |row| row.get::<_, i64>(0));
        for queue in shared.queues.values() {
            queue.share(usize::try_from(others).unwrap_or(0));
        }
        Ok(())
    }

    /// Takes processes off the list that were not heard of for a lease. What they had claimed is found in a round.
    async fn bury(&mut self, line: &Line) -> Result<(), Fault> {
        let sql = concat!(
            "delete from instances where instance_id <> $1 and alive_until < ",
            server_now!(),
            " returning instance_id"
        );
        let dead = line.query("keeper.bury", sql, &[&self.instance]).await?;
        if !dead.is_empty() {
            self.rounds.bury(dead.iter().map(|row| row.get::<_, Uuid>(0)));
            self.look_round(Instant::now());
        }
        Ok(())
    }

    /// Gives up the claims that nobody is behind, as far as the next step of the round finds any.
    async fn audit(&mut self, shared: &Shared, line: &Line) -> Result<Duration, Fault> {
        let met = self.rounds.look(line, self.instance).await?;
        let known: HashSet<i64> = shared.queues.values().flat_map(|queue| queue.known()).collect();
        let Lost { of_the_dead, in_doubt } = self.rounds.judge(&met.claims, &known);
        if !of_the_dead.is_empty() {
            for (queue, rows) in self.give_up(shared, line, &of_the_dead).await? {
                tracing::warn!(queue, rows, "messages of a process that died are free again");
            }
        }
        if !in_doubt.is_empty() {
            let freed = self.give_up(shared, line, &in_doubt).await?;
            let rows: i64 = freed.iter().map(|(_, rows)| rows).sum();
            tracing::warn!(rows, "claims that ended in doubt are given up");
        }
        let now = Instant::now();
        Ok(match self.rounds.advance(met.goes_on_after) {
            Next::Step => Duration::ZERO,
            Next::Suspects => AUDIT_PAUSE,
            Next::Rest if self.in_doubt_until > now => AUDIT.min(self.in_doubt_until - now),
            Next::Rest => AUDIT,
        })
    }

    /// Leaves rows to whoever is free, this process included. Returns how many there were, by queue.
    async fn give_up(
        &self,
        shared: &Shared,
        line: &Line,
        positions: &[i64],
    ) -> Result<Vec<(String, i64)>, Fault> {
        let sql = "with freed as (
                 update outbox set claimed_by = null
                 where position = any($1) and (claimed_by = $2
                     or claimed_by not in (select instance_id from instances))
                 returning queue
             ), counted as (select queue, count(*) as rows from freed group by queue)
             select queue, rows, pg_notify($3, queue)::text from counted";
        let positions = Array::numbers(positions.iter().copied());
        let freed = line.query("keeper.give_up", sql, &[&positions, &self.instance, &self.channel]).await?;
        let freed: Vec<(String, i64)> = freed.iter().map(|row| (row.get(0), row.get(1))).collect();
        for (queue, _) in &freed {
            if let Some(queue) = shared.queues.get(queue.as_str()) {
                queue.spill();
            }
        }
        Ok(freed)
    }

    /// Leaves nothing behind that others would have to wait for. A visitor has nothing to leave.
    async fn retire(&self, line: &Line) {
        if self.presence == Presence::Visitor {
            return;
        }
        let sql = "with gone as (delete from instances where instance_id = $1),
                 freed as (update outbox set claimed_by = null where claimed_by = $1 returning queue)
             select pg_notify($2, queue)::text from (select distinct queue from freed) as queues";
        if let Err(fault) = line.query("keeper.retire", sql, &[&self.instance, &self.channel]).await {
            tracing::warn!(%fault, "the claims of this process are left to end by themselves");
        }
    }

    async fn connect(&self) -> Result<Line, NoConnection> {
        let (client, connection) = self.server.connect().await?;
        let driver = tokio::spawn(listen(connection, Weak::clone(&self.shared)));
        let line = Line::new(client, driver, self.server.answer_limit);
        line.run("keeper.listen", &format!("listen \"{}\"", self.channel))
            .await
            .map_err(NoConnection::Unusable)?;
        Ok(line)
    }
}

/// What failed on a connection that still answers is told, and is no reason to leave it.
fn outage(line: &Line, done: Result<(), Fault>) -> Result<(), Fault> {
    match done {
        Err(fault) if !line.is_lost() => {
            tracing::warn!(%fault, "claims are not kept as they should be; it is tried again");
            Ok(())
        }
        Ok(()) | Err(_) => done,
    }
}

/// Looks for rows that nobody has claimed, in the queues that are read here.
async fn poll(shared: &Shared, line: &Line) -> Result<(), Fault> {
    let read = shared.queues.values().filter(|queue| queue.is_read()).map(|queue| &*queue.name);
    let sql = "select wanted from unnest($1::text[]) as wanted
         where exists (select 1 from outbox where queue = wanted and claimed_by is null)";
    for row in line.query("keeper.poll", sql, &[&Array::texts(read)]).await? {
        if let Some(queue) = shared.queues.get(row.get::<_, &str>(0)) {
            queue.spill();
        }
    }
    Ok(())
}

/// Drives the connection and passes on what is said on the channel.
async fn listen(mut connection: Connection<Socket, Stream>, shared: Weak<Shared>) {
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(word) = message
            && let Some(shared) = shared.upgrade()
            && let Some(queue) = shared.queues.get(word.payload())
        {
            queue.spill();
        }
    }
}
