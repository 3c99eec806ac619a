//! The keeper of this process's claims: says again and again that the process is alive, takes back what dead processes had
//! claimed, listens for rows that nobody has claimed, and tells others of such rows. Has a connection of its own, so that
//! busy units of work cannot keep it from its word. Never touches a row that a living process works on.
//!
//! Time comes from the process's clock. Processes may disagree about it by less than a third of the lease (ten seconds of
//! thirty); should they disagree by more, a living process can lose its claims. Nothing is done twice even then: settling a
//! delivery that is no longer ours fails, and takes all that was done about it back.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bus::limits::{BACKOFF_MAX, BACKOFF_MIN};
use bus::{Fault, Stop};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use uuid::Uuid;

use super::array::Array;
use super::connect::{self, ConnectError, Presence};
use super::fault::{Taken, fault};
use super::server::{Server, Stream};
use super::store::{Lists, Shared};
use super::tally;

/// How often it is looked for rows of which no word came.
const POLL: Duration = Duration::from_millis(500);

/// Words to others are held back this long, so that many make one.
const ANNOUNCE_PAUSE: Duration = Duration::from_millis(5);

/// How often changes of counts are summed up, and how many at once.
const FOLD: Duration = Duration::from_secs(2);
const FOLD_MAX: i64 = 20_000;

/// Between the two looks that a row must be unknown in to be given up.
const AUDIT_PAUSE: Duration = Duration::from_secs(2);

/// How often the claims of this process are looked through without a reason.
const AUDIT: Duration = Duration::from_secs(300);

/// Where words are spoken.
const CHANNEL: &str = "orderwright_outbox";

/// Keeps one process's claims.
pub(super) struct Keeper {
    shared: Weak<Shared>,
    server: Server,
    instance: Uuid,
    lease: Duration,
    waiting: Arc<Notify>,
    stop: Stop,
    due: Due,
    suspects: HashSet<i64>,
}

/// When what is to be done next.
struct Due {
    poll: Instant,
    beat: Instant,
    bury: Instant,
    fold: Instant,
    audit: Instant,
}

impl Due {
    fn now() -> Self {
        let now = Instant::now();
        Self { poll: now, beat: now, bury: now, fold: now + FOLD, audit: now }
    }

    /// After an outage nobody was heard of, and the living get the time to say so.
    fn after_outage(lease: Duration) -> Self {
        let now = Self::now();
        Self { bury: now.bury + lease / 3, ..now }
    }

    fn next(&self) -> Instant {
        self.poll.min(self.beat).min(self.bury).min(self.fold).min(self.audit)
    }
}

impl Keeper {
    /// Registers the process, then keeps on in the background until the store is dropped or closed.
    pub(super) async fn start(shared: &Arc<Shared>) -> Result<JoinHandle<()>, ConnectError> {
        let keeper = Self {
            shared: Arc::downgrade(shared),
            server: shared.server.clone(),
            instance: shared.instance,
            lease: shared.lease,
            waiting: Arc::clone(&shared.errands.waiting),
            stop: shared.stop.clone(),
            due: Due::now(),
            suspects: HashSet::new(),
        };
        let client =
            keeper.connect().await.map_err(|error| connect::explain(&keeper.server.config, &error))?;
        keeper
            .beat(shared, &client)
            .await
            .map_err(|fault| connect::explain_any(&keeper.server.config, &fault))?;
        Ok(tokio::spawn(async move { keeper.run(client).await }))
    }

    async fn run(mut self, mut client: Client) {
        let mut pause = BACKOFF_MIN;
        loop {
            match self.keep(&client).await {
                Ok(()) => return self.retire(&client).await,
                Err(fault) => tracing::warn!(%fault, "the database is away; claims cannot be renewed"),
            }
            loop {
                self.stop.sleep(pause).await;
                if self.stop.is_stopped() {
                    return;
                }
                match self.connect().await {
                    Ok(connected) => {
                        client = connected;
                        pause = BACKOFF_MIN;
                        self.due = Due::after_outage(self.lease);
                        break;
                    }
                    Err(_) => pause = (pause * 2).min(BACKOFF_MAX),
                }
            }
        }
    }

    /// Until stopped.
    async fn keep(&mut self, client: &Client) -> Result<(), Fault> {
        while !self.stop.is_stopped() {
            // Nothing of the store is held while waiting, or it would never be dropped.
            let Some(shared) = self.shared.upgrade() else { return Ok(()) };
            self.run_errands(&shared, client).await?;
            self.do_what_is_due(&shared, client).await?;
            drop(shared);
            tokio::select! {
                () = self.stop.stopped() => {}
                () = tokio::time::sleep_until(self.due.next()) => {}
                () = self.waiting.notified() => self.stop.sleep(ANNOUNCE_PAUSE).await,
            }
        }
        Ok(())
    }

    async fn run_errands(&mut self, shared: &Shared, client: &Client) -> Result<(), Fault> {
        let Lists { give_up, announce } = shared.errands.take();
        if !give_up.is_empty()
            && let Err(fault) = self.give_up(shared, client, &give_up).await
        {
            // The audit will find them.
            shared.errands.doubt();
            return Err(fault);
        }
        for queue in announce {
            client
                .execute("select pg_notify($1, $2)", &[&CHANNEL, &&*queue])
                .await
                .map_err(fault("keeper.announce", Taken::GiveUp))?;
        }
        if shared.errands.doubt.swap(false, Ordering::Relaxed) {
            self.due.audit = Instant::now();
        }
        Ok(())
    }

    async fn do_what_is_due(&mut self, shared: &Shared, client: &Client) -> Result<(), Fault> {
        let now = Instant::now();
        if self.due.beat <= now {
            self.beat(shared, client).await?;
            self.due.beat = now + shared.lease / 3;
        }
        if self.due.bury <= now {
            self.bury(shared, client).await?;
            self.due.bury = now + shared.lease / 3;
        }
        if self.due.poll <= now {
            poll(shared, client).await?;
            self.due.poll = now + POLL;
        }
        if self.due.fold <= now {
            fold(client).await?;
            self.due.fold = now + FOLD;
        }
        if self.due.audit <= now {
            self.audit(shared, client).await?;
            self.due.audit = now + if self.suspects.is_empty() { AUDIT } else { AUDIT_PAUSE };
        }
        Ok(())
    }

    /// Says that this process is alive, if it works here, and learns how many others are.
    async fn beat(&self, shared: &Shared, client: &Client) -> Result<(), Fault> {
        let now = shared.clock.now();
        let row = client
            .query_one(
                "with beat as (
                     insert into instances (instance_id, started_at, alive_until) select $1, $2, $3 where $4
                     on conflict (instance_id) do update set alive_until = excluded.alive_until
                 )
                 select count(*) from instances where alive_until >= $2 and instance_id <> $1",
                &[
                    &self.instance,
                    &now.as_microsecond(),
                    &later(now, shared.lease).as_microsecond(),
                    &(shared.presence == Presence::Worker),
                ],
            )
            .await
            .map_err(fault("keeper.beat", Taken::GiveUp))?;
        let others = usize::try_from(row.get::<_, i64>(0)).unwrap_or(0);
        for queue in shared.queues.values() {
            queue.share(others);
        }
        Ok(())
    }

    /// Frees the claims of processes that were not heard of for a lease.
    async fn bury(&self, shared: &Shared, client: &Client) -> Result<(), Fault> {
        let freed = client
            .query(
                "with dead as (
                     delete from instances where alive_until < $1 and instance_id <> $2 returning instance_id
                 ), freed as (
                     update outbox set claimed_by = null where claimed_by in (select instance_id from dead)
                     returning queue
                 )
                 select queue, count(*) from freed group by queue",
                &[&shared.clock.now().as_microsecond(), &self.instance],
            )
            .await
            .map_err(fault("keeper.bury", Taken::GiveUp))?;
        for row in freed {
            let (queue, rows): (&str, i64) = (row.get(0), row.get(1));
            tracing::warn!(queue, rows, "messages of a process that died are free again");
            if let Some(queue) = shared.queues.get(queue) {
                queue.spill();
            }
        }
        Ok(())
    }

    /// Gives up rows that are claimed for this process without its knowing, and claims of processes that nobody knows. A
    /// row must be unknown twice: between a commit and the word of it there is always a moment.
    async fn audit(&mut self, shared: &Shared, client: &Client) -> Result<(), Fault> {
        let rows = client
            .query(
                "select position from outbox
                 where claimed_by = $1 or (claimed_by is not null
                     and claimed_by not in (select instance_id from instances))",
                &[&self.instance],
            )
            .await
            .map_err(fault("keeper.audit", Taken::GiveUp))?;
        let known: HashSet<i64> = shared.queues.values().flat_map(|queue| queue.known()).collect();
        let unknown: HashSet<i64> =
            rows.iter().map(|row| row.get(0)).filter(|position| !known.contains(position)).collect();
        let lost: Vec<i64> = unknown.intersection(&self.suspects).copied().collect();
        self.suspects = unknown.difference(&self.suspects).copied().collect();
        if lost.is_empty() {
            return Ok(());
        }
        tracing::warn!(rows = lost.len(), "claims that ended in doubt are given up");
        self.give_up(shared, client, &lost).await
    }

    /// Leaves rows to whoever is free, this process included.
    async fn give_up(&self, shared: &Shared, client: &Client, positions: &[i64]) -> Result<(), Fault> {
        let freed = client
            .query(
                "with freed as (
                     update outbox set claimed_by = null
                     where position = any($1) and (claimed_by = $2
                         or claimed_by not in (select instance_id from instances))
                     returning queue
                 )
                 select distinct queue, pg_notify($3, queue)::text from freed",
                &[&Array::numbers(positions.iter().copied()), &self.instance, &CHANNEL],
            )
            .await
            .map_err(fault("keeper.give_up", Taken::GiveUp))?;
        for row in freed {
            if let Some(queue) = shared.queues.get(row.get::<_, &str>(0)) {
                queue.spill();
            }
        }
        Ok(())
    }

    /// Leaves nothing behind that others would have to wait for.
    async fn retire(&self, client: &Client) {
        let retired = client
            .execute(
                "with gone as (delete from instances where instance_id = $1),
                     freed as (update outbox set claimed_by = null where claimed_by = $1 returning queue)
                 select pg_notify($2, queue) from (select distinct queue from freed) as queues",
                &[&self.instance, &CHANNEL],
            )
            .await;
        if let Err(error) = retired {
            tracing::warn!(%error, "the claims of this process are left to end by themselves");
        }
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.server.connect().await?;
        tokio::spawn(listen(connection, Weak::clone(&self.shared)));
        client.batch_execute(&format!("listen {CHANNEL}")).await?;
        Ok(client)
    }
}

/// Looks for rows that nobody has claimed, in the queues that are read here.
async fn poll(shared: &Shared, client: &Client) -> Result<(), Fault> {
    let read = shared.queues.values().filter(|queue| queue.is_read()).map(|queue| &*queue.name);
    let found = client
        .query(
            "select wanted from unnest($1::text[]) as wanted
             where exists (select 1 from outbox where queue = wanted and claimed_by is null)",
            &[&Array::texts(read)],
        )
        .await
        .map_err(fault("keeper.poll", Taken::GiveUp))?;
    for row in found {
        if let Some(queue) = shared.queues.get(row.get::<_, &str>(0)) {
            queue.spill();
        }
    }
    Ok(())
}

async fn fold(client: &Client) -> Result<(), Fault> {
    client.execute(tally::FOLD, &[&FOLD_MAX]).await.map_err(fault("keeper.fold", Taken::GiveUp)).map(drop)
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

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}
