//! What the broker said of each message of a sending. Decides which are safe; publishes nothing itself.

use std::collections::{BTreeMap, BTreeSet};

use bus::{Fault, Unsent};
use lapin::Confirmation;
use lapin::message::BasicReturnMessage;
use lapin::types::ShortString;

use super::post::{Demand, Post};
use super::refusal::{self, Refusal};

/// The fate of each message of a sending, by its place.
pub(super) struct Heard {
    outcomes: Vec<Outcome>,
    /// What came back, by what it says of itself: the driver hands it to whichever confirm comes next.
    returned: BTreeMap<String, String>,
    broken: Option<lapin::Error>,
    /// Why some of it waits.
    held: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing was heard of it.
    Silent,
    Confirmed,
    /// The broker did not take it on.
    Refused,
    /// Nothing can be sent to its exchange at the moment.
    Held,
}

/// Why some of what was sent is not safe.
pub(super) enum Failure {
    /// These came back: no queue wants them.
    Returned(Vec<String>),
    /// These the broker did not take on.
    Refused(Vec<String>),
    /// So many had no answer in time.
    Silent(usize),
    /// The channel broke.
    Broken(lapin::Error),
    /// Some waits, for these reasons.
    Held(Vec<String>),
}

impl Heard {
    pub(super) fn nothing_of(count: usize) -> Self {
        let (outcomes, returned) = (vec![Outcome::Silent; count], BTreeMap::new());
        Self { outcomes, returned, broken: None, held: BTreeSet::new() }
    }

    /// What came of the message at this place.
    pub(super) fn note(&mut self, place: usize, confirmation: lapin::Result<Confirmation>) {
        let (outcome, returned) = match confirmation {
            Ok(Confirmation::Ack(returned)) => (Outcome::Confirmed, returned),
            Ok(Confirmation::Nack(returned)) => (Outcome::Refused, returned),
            Ok(Confirmation::NotRequested) => (Outcome::Silent, None),
            Err(error) => {
                self.broken.get_or_insert(error);
                (Outcome::Silent, None)
            }
        };
        self.outcomes[place] = outcome;
        if let Some(message) = returned {
            self.note_returned(&message);
        }
    }

    fn note_returned(&mut self, message: &BasicReturnMessage) {
        let id = message.delivery.properties.message_id().as_ref().map_or("", ShortString::as_str);
        self.returned.insert(id.to_owned(), message.delivery.exchange.to_string());
    }

    /// The places of what came back.
    pub(super) fn returned(&self, posts: &[Post]) -> Vec<usize> {
        let came_back = |post: &Post| self.returned.contains_key(id_of(post));
        posts.iter().enumerate().filter(|(_, post)| came_back(post)).map(|(place, _)| place).collect()
    }

    /// Nothing can be sent to the exchange of the message at this place.
    pub(super) fn hold(&mut self, posts: &[Post], place: usize, why: String) {
        self.outcomes[place] = Outcome::Held;
        self.returned.remove(id_of(&posts[place]));
        self.held.insert(why);
    }

    /// The message at this place has no reader, so it is as good as sent.
    pub(super) fn pass_over(&mut self, place: usize) {
        self.outcomes[place] = Outcome::Confirmed;
    }

    /// The error that closed the channel, if that was for an exchange that one of the messages was for.
    pub(super) fn take_exchange_error(&mut self) -> Option<lapin::Error> {
        self.broken.take_if(|error| matches!(refusal::read(error), Refusal::Forbidden | Refusal::Unknown))
    }

    /// Those of these places of which nothing was heard.
    pub(super) fn silent(&self, places: &[usize]) -> Vec<usize> {
        places.iter().copied().filter(|place| self.outcomes[*place] == Outcome::Silent).collect()
    }

    /// Whether the message at this place is safe.
    pub(super) fn is_confirmed(&self, posts: &[Post], place: usize) -> bool {
        self.outcomes[place] == Outcome::Confirmed && !self.returned.contains_key(id_of(&posts[place]))
    }

    /// What came of these, which were sent apart from the others.
    pub(super) fn take_back(&mut self, posts: &[Post], places: &[usize], again: Self) {
        for (place, outcome) in places.iter().zip(again.outcomes) {
            self.outcomes[*place] = outcome;
            self.returned.remove(id_of(&posts[*place]));
        }
        self.returned.extend(again.returned);
        self.broken = self.broken.take().or(again.broken);
        self.held.extend(again.held);
    }

    /// Succeeds if everything is confirmed; otherwise returns what is not, with the verdict of `judge` on the worst
    /// failure.
    pub(super) fn unsent(self, posts: &[Post], judge: impl FnOnce(Failure) -> Fault) -> Result<(), Unsent> {
        let (confirmed, refused) = self.settled(posts);
        self.failure(posts)
            .map_or(Ok(()), |failure| Err(Unsent { fault: judge(failure), confirmed, refused }))
    }

    /// Indices of confirmed and of individually refused messages. A message that another service's queue refuses, or whose exchange
    /// cannot be used, must not block the batch. One that a queue of ours refuses is in neither list and is sent again.
    fn settled(&self, posts: &[Post]) -> (Vec<usize>, Vec<usize>) {
        let is_answering = self.broken.is_none() && self.outcomes.contains(&Outcome::Confirmed);
        let (mut confirmed, mut refused) = (Vec::new(), Vec::new());
        for (place, (outcome, post)) in self.outcomes.iter().zip(posts).enumerate() {
            match (outcome, post.demand) {
                (Outcome::Confirmed, _) if self.returned.contains_key(id_of(post)) => {}
                (Outcome::Confirmed, _) => confirmed.push(place),
                (Outcome::Held, _) => refused.push(place),
                (Outcome::Refused | Outcome::Silent, Demand::Wanted) => {}
                (Outcome::Refused, Demand::Optional | Demand::Answer | Demand::Fault { .. }) => {
                    refused.push(place);
                }
                (Outcome::Silent, Demand::Optional | Demand::Answer | Demand::Fault { .. })
                    if is_answering =>
                {
                    refused.push(place);
                }
                (Outcome::Silent, Demand::Optional | Demand::Answer | Demand::Fault { .. }) => {}
            }
        }
        (confirmed, refused)
    }

    fn failure(self, posts: &[Post]) -> Option<Failure> {
        if let Some(error) = self.broken {
            return Some(Failure::Broken(error));
        }
        if !self.returned.is_empty() {
            let names = self.returned.iter().map(|(id, exchange)| format!("{id} for {exchange}"));
            return Some(Failure::Returned(names.collect()));
        }
        let ids_of = |sought| {
            let all = self.outcomes.iter().zip(posts).filter(move |(outcome, _)| **outcome == sought);
            all.map(|(_, post)| id_of(post).to_owned()).collect::<Vec<String>>()
        };
        let (silent, refused) = (ids_of(Outcome::Silent), ids_of(Outcome::Refused));
        match (silent.len(), refused.len()) {
            (0, 0) if self.held.is_empty() => None,
            (0, 0) => Some(Failure::Held(self.held.into_iter().collect())),
            (0, _) => Some(Failure::Refused(refused)),
            (silent, _) => Some(Failure::Silent(silent)),
        }
    }
}

fn id_of(post: &Post) -> &str {
    post.id()
}
