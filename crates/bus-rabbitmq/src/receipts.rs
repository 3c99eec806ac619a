//! Which deliveries of a channel are in our hands, and what is said to the broker when some of them are done.
//! A delivery tag means something on its own channel only, so a receipt carries the channel's generation beside it.

use std::collections::BTreeSet;

/// Bits of a receipt's token that are the delivery tag: enough for a hundred thousand a second over two years.
const TAG_BITS: u32 = 43;

/// Generations before they repeat.
const GENERATIONS: u64 = 1 << (63 - TAG_BITS);

/// A delivery of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The channel, counted over the life of the process.
    pub(super) generation: u64,
    /// The delivery tag on it.
    pub(super) tag: u64,
}

impl Mark {
    /// As a token; none when the channel has delivered more than a token can tell apart.
    pub(super) fn token(self) -> Option<i64> {
        if self.tag >= 1 << TAG_BITS {
            return None;
        }
        i64::try_from((self.generation % GENERATIONS) << TAG_BITS | self.tag).ok()
    }

    /// From a token.
    pub(super) fn of(token: i64) -> Self {
        let token = token.cast_unsigned();
        Self { generation: token >> TAG_BITS, tag: token & ((1 << TAG_BITS) - 1) }
    }

    /// Whether the token was given on the channel with this generation.
    pub(super) const fn is_of(self, generation: u64) -> bool {
        self.generation == generation % GENERATIONS
    }
}

/// One word to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// This delivery is done.
    One(u64),
    /// This delivery and every earlier one of the channel are done.
    UpTo(u64),
}

/// Deliveries of one channel that the broker waits to hear about, those included that we have not looked at yet.
#[derive(Debug, Default)]
pub(super) struct Outstanding(BTreeSet<u64>);

impl Outstanding {
    /// Notes a delivery.
    pub(super) fn add(&mut self, tag: u64) {
        self.0.insert(tag);
    }

    /// The broker was told otherwise.
    pub(super) fn forget(&mut self, tag: u64) {
        self.0.remove(&tag);
    }

    /// Whether this one is not done.
    pub(super) fn holds(&self, tag: u64) -> bool {
        self.0.contains(&tag)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What to say so that exactly these are done. Those that are not outstanding are passed over: a second word about a
    /// delivery would close the channel.
    pub(super) fn settle(&mut self, tags: impl IntoIterator<Item = u64>) -> Vec<Ack> {
        let done: BTreeSet<u64> = tags.into_iter().filter(|tag| self.0.contains(tag)).collect();
        let prefix = self.0.iter().zip(&done).take_while(|(held, done)| held == done).count();
        let mut acks = Vec::new();
        match done.iter().take(prefix).next_back() {
            Some(last) if prefix > 1 => acks.push(Ack::UpTo(*last)),
            Some(only) => acks.push(Ack::One(*only)),
            None => {}
        }
        acks.extend(done.iter().skip(prefix).map(|tag| Ack::One(*tag)));
        self.0.retain(|tag| !done.contains(tag));
        acks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a broker makes of it: an error if a word is about a delivery that it does not wait for.
    fn hear(broker: &mut BTreeSet<u64>, ack: Ack) -> Result<(), Ack> {
        match ack {
            Ack::One(tag) => broker.remove(&tag).then_some(()).ok_or(ack),
            Ack::UpTo(last) if broker.contains(&last) => {
                broker.retain(|tag| *tag > last);
                Ok(())
            }
            Ack::UpTo(_) => Err(ack),
        }
    }

    proptest! {
        #[test]
        fn the_broker_is_told_exactly_what_is_done_and_never_twice(
            rounds in prop::collection::vec((0_u64..6, prop::collection::vec(1_u64..40, 0..8)), 0..20),
        ) {
            let (mut ours, mut broker, mut last) = (Outstanding::default(), BTreeSet::new(), 0);
            for (delivered, done) in rounds {
                for _ in 0..delivered {
                    last += 1;
                    ours.add(last);
                    broker.insert(last);
                }
                let expected: BTreeSet<u64> = broker.iter().copied().filter(|tag| !done.contains(tag)).collect();
                for ack in ours.settle(done) {
                    prop_assert_eq!(hear(&mut broker, ack), Ok(()));
                }
                prop_assert_eq!(&broker, &expected);
                prop_assert_eq!(&ours.0, &expected);
            }
        }

        #[test]
        fn a_token_names_its_channel_and_its_delivery(generation in 0_u64..GENERATIONS * 3, tag in 0_u64..1 << TAG_BITS) {
            let mark = Mark::of(Mark { generation, tag }.token().unwrap());
            prop_assert_eq!(mark.tag, tag);
            prop_assert!(mark.is_of(generation));
            prop_assert!(!mark.is_of(generation + 1));
        }
    }

    #[test]
    fn a_run_from_the_oldest_on_is_one_word() {
        let mut outstanding = Outstanding::default();
        (1..=5).for_each(|tag| outstanding.add(tag));
        assert_eq!(outstanding.settle([3, 1, 2, 5]), [Ack::UpTo(3), Ack::One(5)]);
        assert_eq!(outstanding.len(), 1);
    }

    #[test]
    fn a_channel_that_counted_too_far_gives_no_token() {
        assert_eq!(Mark { generation: 1, tag: 1 << TAG_BITS }.token(), None);
    }
}
