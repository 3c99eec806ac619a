//! Statements sent in a row: all of them are on their way before the first is answered, so that a transaction costs as many
//! round trips as it has questions, and not as many as it has writes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bus::Fault;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use crate::fault::Taken;
use crate::lent::Lent;

/// A value for a statement.
pub type Param = Box<dyn ToSql + Sync + Send>;

/// A statement, its values, and what its failure is called.
pub struct Act {
    operation: &'static str,
    sql: &'static str,
    params: Vec<Param>,
    taken: Taken,
}

impl Act {
    /// A statement for which a key that is there already is a mistake.
    #[must_use]
    pub const fn new(operation: &'static str, sql: &'static str, params: Vec<Param>) -> Self {
        Self { operation, sql, params, taken: Taken::GiveUp }
    }

    /// What its failure is called.
    pub(crate) const fn operation(&self) -> &'static str {
        self.operation
    }

    /// The same, where a key that is there already means that somebody else was first.
    #[must_use]
    pub fn conflict_if_taken(self) -> Self {
        Self { taken: Taken::Conflict, ..self }
    }
}

/// Where a run of statements stands in its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It begins one.
    Begin,
    /// One is open, or none is wanted.
    None,
}

/// How a run of statements ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With the commit.
    Commit,
    /// More is to come, or each statement stands for itself.
    None,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

/// A statement on its way.
struct Sent<'a> {
    operation: &'static str,
    taken: Taken,
    answer: State<'a>,
}

enum State<'a> {
    Waiting(Answer<'a>),
    Answered(Result<Vec<Row>, Error>),
}

/// Runs statements in order and returns the rows of each. After the first that fails none has any effect, and the failure
/// is its own: within a transaction the database refuses all that follow, the commit included.
pub(crate) async fn run(
    client: &Lent,
    opening: Opening,
    acts: &[Act],
    ending: Ending,
) -> Result<Vec<Vec<Row>>, Fault> {
    let mut statements = Vec::with_capacity(acts.len());
    for act in acts {
        let prepared = client.prepare_cached(act.sql);
        statements.push(client.answer(act.operation, act.taken, prepared).await?);
    }
    tracing::trace!(
        begins = opening == Opening::Begin,
        operations = acts.iter().map(|act| act.operation).collect::<Vec<_>>().join(", "),
        commits = ending == Ending::Commit,
        "a round trip"
    );
    let params: Vec<Vec<&(dyn ToSql + Sync)>> = acts.iter().map(values).collect();
    let mut sent = Vec::with_capacity(acts.len() + 2);
    if opening == Opening::Begin {
        sent.push(Sent::start("unit.begin", Taken::GiveUp, plain(client, "begin")).await);
    }
    for ((act, statement), params) in acts.iter().zip(&statements).zip(&params) {
        let answer: Answer<'_> = Box::pin(client.query(statement, params));
        sent.push(Sent::start(act.operation, act.taken, answer).await);
    }
    if ending == Ending::Commit {
        sent.push(Sent::start("unit.commit", Taken::GiveUp, plain(client, "commit")).await);
    }
    let mut answers = Vec::with_capacity(sent.len());
    for statement in sent {
        answers.push(statement.answer(client).await?);
    }
    let first = usize::from(opening == Opening::Begin);
    answers.truncate(first + acts.len());
    Ok(answers.split_off(first))
}

fn values(act: &Act) -> Vec<&(dyn ToSql + Sync)> {
    act.params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect()
}

fn plain<'a>(client: &'a Lent, sql: &'static str) -> Answer<'a> {
    Box::pin(async move { client.batch_execute(sql).await.map(|()| Vec::new()) })
}

impl<'a> Sent<'a> {
    /// A query is sent when it is first polled, and is polled here once, so that queries leave in the order of their calls.
    async fn start(operation: &'static str, taken: Taken, mut answer: Answer<'a>) -> Self {
        let polled = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        let answer = match polled {
            Poll::Ready(answered) => State::Answered(answered),
            Poll::Pending => State::Waiting(answer),
        };
        Self { operation, taken, answer }
    }

    async fn answer(self, client: &Lent) -> Result<Vec<Row>, Fault> {
        let answered = async {
            match self.answer {
                State::Waiting(answer) => answer.await,
                State::Answered(answered) => answered,
            }
        };
        client.answer(self.operation, self.taken, answered).await
    }
}
