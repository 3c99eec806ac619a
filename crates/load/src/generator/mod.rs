//! The load: orders over real HTTP, in a closed loop (clients with one request at a time, which send a refused order again)
//! or an open one (requests leave when they are due). Both write the same orders and count the same answers.

mod closed_loop;
mod open_loop;

use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use hyper::StatusCode;
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::time::error::Elapsed;

use crate::client::Reply;

pub(crate) use closed_loop::{Accepted, ClosedLoop, Insistence};
pub(crate) use open_loop::{OpenLoop, StepCounts};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Goods {
    /// Products; one is a hot product.
    pub(crate) products: u32,
    pub(crate) lines: usize,
    pub(crate) kinds: Kinds,
}

/// Which kinds of orders there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// Orders with which nobody has anything to do.
    Plain,
    /// Of eight orders one waits before its payment, one before its shipping, and one for goods that are short.
    Varied,
}

/// The sku of the product with this number.
pub(crate) fn sku(number: u32) -> String {
    format!("BENCH-{number:04}")
}

impl Goods {
    /// An order, as a client writes it.
    pub(crate) fn order(self, ordinal: u64, random: &mut SmallRng) -> Bytes {
        let first = random.random_range(0..self.products);
        let lines: Vec<String> = (0..self.lines)
            .map(|line| {
                let product = (first + u32::try_from(line).unwrap_or(0)) % self.products;
                format!("{{\"sku\":\"{}\",\"quantity\":{}}}", sku(product), random.random_range(1..4))
            })
            .collect();
        let (customer, lines) = (ordinal % 10_000, lines.join(","));
        let more = match self.kinds {
            Kinds::Plain => String::new(),
            Kinds::Varied => match random.random_range(0..8) {
                0 => held_before("payment"),
                1 => held_before("shipping"),
                2 => r#","when_short":"wait""#.to_owned(),
                _ => String::new(),
            },
        };
        Bytes::from(format!("{{\"customer_id\":\"C{customer:05}\",\"lines\":[{lines}]{more}}}"))
    }
}

fn held_before(step: &str) -> String {
    format!(r#","holds":[{{"before":"{step}","reason":"a check"}}]"#)
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    /// Told to come again, and perhaps when.
    Refused {
        says_when: bool,
    },
    Failed,
    Absent,
    /// The connection ended before there was an answer; a client cannot know what became of its order.
    CutOff,
    /// There was no answer in time.
    Silent,
}

impl Answer {
    pub(crate) fn of(reply: &Result<Reply>) -> Self {
        match reply {
            Ok(reply) => Self::of_status(reply.status, reply.has_retry_after),
            Err(error) if error.is::<Elapsed>() => Self::Silent,
            Err(error) => {
                let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
                match io.map(std::io::Error::kind) {
                    Some(std::io::ErrorKind::ConnectionRefused) => Self::Absent,
                    Some(_) | None => Self::CutOff,
                }
            }
        }
    }

    fn of_status(status: StatusCode, says_when: bool) -> Self {
        match status {
            StatusCode::CREATED => Self::Accepted,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Self::Refused { says_when },
            // Another request with the same key is under way.
            StatusCode::CONFLICT => Self::Refused { says_when: true },
            _ => Self::Failed,
        }
    }
}

/// What became of requests, by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Requests due so far.
    pub(crate) offered: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Of those, without a word of when.
    pub(crate) refused_without_retry_after: u64,
    pub(crate) failed: u64,
    pub(crate) absent: u64,
    /// Connections that ended without an answer.
    pub(crate) cut_off: u64,
    /// Requests without an answer in time.
    pub(crate) silent: u64,
    /// Requests for which the generator had no room.
    pub(crate) unsent: u64,
}

/// The same, counted while requests run.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<Counted>);

impl Counted {
    /// Requests without an answer, each of which may have become an order.
    pub(crate) const fn unanswered(&self) -> u64 {
        self.absent + self.cut_off + self.silent
    }
}

impl Counts {
    pub(crate) fn read(&self) -> Counted {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counted)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn note(&self, answer: Answer) {
        self.count(|counted| match answer {
            Answer::Accepted => counted.accepted += 1,
            Answer::Refused { says_when } => {
                counted.refused += 1;
                counted.refused_without_retry_after += u64::from(!says_when);
            }
            Answer::Failed => counted.failed += 1,
            Answer::Absent => counted.absent += 1,
            Answer::CutOff => counted.cut_off += 1,
            Answer::Silent => counted.silent += 1,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn every_answer_is_counted_as_what_it_is() {
        let counts = Counts::default();
        for (status, says_when) in
            [(201, false), (503, true), (429, true), (503, false), (500, true), (400, false)]
        {
            counts.note(Answer::of_status(StatusCode::from_u16(status).unwrap(), says_when));
        }
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let late = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await.unwrap_err();
        for error in [late.into(), refused.into(), reset.into(), anyhow::anyhow!("closed")] {
            counts.note(Answer::of(&Err(error)));
        }
        let counted = counts.read();
        assert_eq!((counted.accepted, counted.refused, counted.refused_without_retry_after), (1, 3, 1));
        assert_eq!((counted.failed, counted.silent, counted.absent, counted.cut_off), (2, 1, 1, 2));
        assert_eq!(counted.unanswered(), 4);
    }
}
