//! How one connection behaves: what it waits for and since when, hence how long it may stay and whether it may be asked to
//! leave. Knows no socket and no protocol; must never wait for anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::PROGRESS_BYTES;

/// How long connections may take over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From its acceptance to its first request, TLS included.
    pub first_request: Duration,
    /// Without a request, after the first.
    pub idle: Duration,
    /// For the body of a request to arrive.
    pub body: Duration,
    /// For the next part of an answer to be taken.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(60),
            answer: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// The shortest of them: so often a connection is looked at, at least.
    pub(super) fn shortest(&self) -> Duration {
        self.first_request.min(self.idle).min(self.answer)
    }
}

/// Why a connection is ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It sent no request in time.
    Silent,
    /// It has had no request for long.
    Idle,
    /// A body did not arrive in time.
    SlowBody,
    /// It does not take its answer.
    SlowReader,
    /// Others need its place.
    GaveWay,
}

impl Why {
    /// Its name in metrics and logs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Idle => "idle",
            Self::SlowBody => "slow_body",
            Self::SlowReader => "slow_reader",
            Self::GaveWay => "gave_way",
        }
    }
}

/// Whether a connection may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Until then, if nothing changes.
    Stays(Instant),
    /// It may not.
    Ends(Why),
}

/// What a connection that could leave waits for; those that come first leave first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waiting {
    /// For its client's next request.
    ForRequest,
    /// For its client to send the rest of a request, or to take an answer.
    ForClient,
}

/// How one connection behaves.
#[derive(Debug)]
pub(super) struct Conduct {
    state: Mutex<State>,
    told: Notify,
    cut: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Since when there is no request, while there is none.
    quiet_since: Instant,
    requests: usize,
    any_request: bool,
    /// Requests whose body has not arrived yet.
    arriving: usize,
    /// Since when each answer that was not taken to its end has been there; the oldest first.
    answers: Vec<(u64, Instant)>,
    answers_so_far: u64,
    /// Answers that go on for as long as the client looks on; it has to take what is written, and nothing more.
    streams: usize,
    /// Since when the client has read none of the written data.
    unread_since: Option<Instant>,
    /// When the client last read a good part of the written data.
    progress_at: Instant,
    leaves: Option<Why>,
}

impl Conduct {
    pub(super) fn begins(now: Instant) -> Arc<Self> {
        let state = State {
            quiet_since: now,
            requests: 0,
            any_request: false,
            arriving: 0,
            answers: Vec::new(),
            answers_so_far: 0,
            streams: 0,
            unread_since: None,
            progress_at: now,
            leaves: None,
        };
        Arc::new(Self { state: Mutex::new(state), told: Notify::new(), cut: AtomicBool::new(false) })
    }

    /// Whether it may stay, at this moment.
    pub(super) fn standing(&self, patience: &Patience, now: Instant) -> Standing {
        let state = self.lock();
        if let Some(why) = state.leaves {
            return Standing::Ends(why);
        }
        let (end, why) = state.end(patience);
        if end <= now { Standing::Ends(why) } else { Standing::Stays(end) }
    }

    /// What it waits for and since when, if it is its client that keeps it waiting.
    pub(super) fn waiting(&self) -> Option<(Waiting, Instant)> {
        let state = self.lock();
        if state.leaves.is_some() {
            return None;
        }
        if state.requests == 0 {
            return Some((Waiting::ForRequest, state.quiet_since));
        }
        let by_client = state.arriving + state.answers.len() + state.streams >= state.requests;
        by_client.then_some((Waiting::ForClient, state.quiet_since))
    }

    /// Whether it has ever sent a request.
    pub(super) fn has_begun(&self) -> bool {
        self.lock().any_request
    }

    /// Tells it to leave.
    pub(super) fn leave(&self, why: Why) {
        self.lock().leaves.get_or_insert(why);
        self.told.notify_one();
    }

    /// Ends when it was told to leave.
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// The data in its buffers is of no use any more.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// The client takes nothing at the moment.
    pub(super) fn unread(&self, now: Instant) {
        self.lock().unread_since.get_or_insert(now);
    }

    /// The client read a good part of the written data.
    pub(super) fn progress(&self, now: Instant) {
        self.lock().progress_at = now;
    }

    /// The client took all that was written.
    pub(super) fn all_read(&self, now: Instant) {
        let mut state = self.lock();
        if state.unread_since.take().is_some() {
            state.quiet_since = now;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When it has to end and why, if nothing changes.
    fn end(&self, patience: &Patience) -> (Instant, Why) {
        let untaken =
            self.answers.first().map(|(_, since)| *since).into_iter().chain(self.unread_since).min();
        if let Some(since) = untaken {
            return (since.max(self.progress_at) + patience.answer, Why::SlowReader);
        }
        if !self.any_request {
            return (self.quiet_since + patience.first_request, Why::Silent);
        }
        if self.requests == 0 {
            return (self.quiet_since + patience.idle, Why::Idle);
        }
        // A request is under way here, and each has limits of its own.
        (Instant::now() + patience.shortest(), Why::Idle)
    }
}

/// A request under way, until its answer was handed over or it is given up.
#[derive(Debug)]
pub(super) struct Underway {
    conduct: Arc<Conduct>,
    answer: AnswerUnderway,
}

/// What has come of a request so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerUnderway {
    /// No answer yet.
    None,
    /// An answer with an end, by its number.
    Whole(u64),
    /// An answer without one.
    Stream,
}

impl Underway {
    pub(super) fn begins(conduct: &Arc<Conduct>) -> Self {
        let mut state = conduct.lock();
        state.requests += 1;
        state.any_request = true;
        drop(state);
        Self { conduct: Arc::clone(conduct), answer: AnswerUnderway::None }
    }

    /// There is an answer; it is the client's turn to take it.
    pub(super) fn answered(&mut self, now: Instant) {
        let mut state = self.conduct.lock();
        let number = state.answers_so_far;
        state.answers_so_far += 1;
        state.answers.push((number, now));
        drop(state);
        self.answer = AnswerUnderway::Whole(number);
    }

    /// There is an answer that goes on for as long as the client looks on.
    pub(super) fn streams(&mut self) {
        self.conduct.lock().streams += 1;
        self.answer = AnswerUnderway::Stream;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut state = self.conduct.lock();
        state.requests -= 1;
        match self.answer {
            AnswerUnderway::None => {}
            AnswerUnderway::Whole(number) => state.answers.retain(|(known, _)| *known != number),
            AnswerUnderway::Stream => state.streams -= 1,
        }
        if state.requests == 0 {
            state.quiet_since = Instant::now();
        }
    }
}

/// A body that has not arrived yet.
#[derive(Debug)]
pub(super) struct Arriving(Arc<Conduct>);

impl Arriving {
    pub(super) fn begins(conduct: &Arc<Conduct>) -> Self {
        conduct.lock().arriving += 1;
        Self(Arc::clone(conduct))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.lock().arriving -= 1;
    }
}

/// Counts what the client reads, and reports it now and then.
#[derive(Debug, Default)]
pub(super) struct Taken(usize);

impl Taken {
    /// Whether that makes a good part.
    pub(super) fn add(&mut self, bytes: usize) -> bool {
        self.0 += bytes;
        let much = self.0 >= PROGRESS_BYTES;
        if much {
            self.0 = 0;
        }
        much
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn patience() -> Patience {
        Patience { first_request: 10 * S, idle: 75 * S, body: 60 * S, answer: 30 * S }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_connection_waits_for_decides_how_long_it_stays() {
        let begin = Instant::now();
        let conduct = Conduct::begins(begin);
        assert_eq!(conduct.standing(&patience(), begin), Standing::Stays(begin + 10 * S));
        assert_eq!(conduct.standing(&patience(), begin + 10 * S), Standing::Ends(Why::Silent));
        let mut first = Underway::begins(&conduct);
        assert!(matches!(conduct.standing(&patience(), begin + 5 * S), Standing::Stays(_)));
        first.answered(begin + 5 * S);
        assert_eq!(conduct.standing(&patience(), begin + 35 * S), Standing::Ends(Why::SlowReader));
        conduct.progress(begin + 20 * S);
        assert_eq!(conduct.standing(&patience(), begin + 35 * S), Standing::Stays(begin + 50 * S));
        drop(first);
        assert_eq!(conduct.standing(&patience(), begin), Standing::Stays(begin + 75 * S));
        assert_eq!(conduct.standing(&patience(), begin + 75 * S), Standing::Ends(Why::Idle));
        conduct.unread(begin + 40 * S);
        assert_eq!(conduct.standing(&patience(), begin + 70 * S), Standing::Ends(Why::SlowReader));
        conduct.all_read(begin + 60 * S);
        assert_eq!(conduct.standing(&patience(), begin + 70 * S), Standing::Stays(begin + 135 * S));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_stays_for_as_long_as_its_client_takes_what_is_written_and_gives_way_to_others() {
        let conduct = Conduct::begins(Instant::now());
        let later = async |seconds| {
            tokio::time::advance(seconds * S).await;
            conduct.standing(&patience(), Instant::now())
        };
        let mut watched = Underway::begins(&conduct);
        watched.streams();
        assert!(conduct.waiting().is_some_and(|(waiting, _)| waiting == Waiting::ForClient));
        assert!(matches!(later(1_000).await, Standing::Stays(_)));
        conduct.unread(Instant::now());
        assert_eq!(later(100).await, Standing::Ends(Why::SlowReader));
        conduct.all_read(Instant::now());
        assert!(matches!(later(1_000).await, Standing::Stays(_)));
        drop(watched);
        assert!(conduct.waiting().is_some_and(|(waiting, _)| waiting == Waiting::ForRequest));
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_keeps_us_waiting_may_be_asked_to_leave() {
        let conduct = Conduct::begins(Instant::now());
        let class = |conduct: &Conduct| conduct.waiting().map(|(waiting, _)| waiting);
        assert_eq!(class(&conduct), Some(Waiting::ForRequest));
        let mut one = Underway::begins(&conduct);
        assert_eq!(class(&conduct), None, "it is our turn");
        let body = Arriving::begins(&conduct);
        assert_eq!(class(&conduct), Some(Waiting::ForClient));
        let two = Underway::begins(&conduct);
        assert_eq!(class(&conduct), None, "one of two is ours");
        drop((body, two));
        one.answered(Instant::now());
        assert_eq!(class(&conduct), Some(Waiting::ForClient));
        conduct.leave(Why::GaveWay);
        assert_eq!(class(&conduct), None, "it leaves already");
        assert_eq!(conduct.standing(&patience(), Instant::now()), Standing::Ends(Why::GaveWay));
    }
}
