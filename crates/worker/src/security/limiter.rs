//! Request limits per caller: a rate in the long run, and a burst. It stores one timestamp per caller (the generic
//! cell rate algorithm) and forgets quiet callers. Never waits.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Callers remembered in each part; beyond that the quiet ones are forgotten, and then all others share one moment.
const CALLERS_MAX: usize = 4_096;

/// Parts that are locked apart from each other.
const PARTS: usize = 16;

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// The owner of a key.
    Key(Arc<str>),
    /// A caller by address; for IPv6 by its network of 64 bits, where a caller has many addresses.
    Address(IpAddr),
    /// A caller without an entry.
    Crowd,
}

impl Caller {
    pub(super) fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::Address(address.into()),
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Self::Address(std::net::Ipv6Addr::from_bits(network).into())
            }
        }
    }
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a second, in the long run; 0 is no limit.
    pub per_second: u32,
    /// Requests at once, after a rest.
    pub burst: u32,
}

/// Counts.
pub struct Limiter {
    rate: Option<Rate>,
    hasher: RandomState,
    /// For each caller the moment at which all that it asked will have been paid for.
    parts: [Mutex<HashMap<Caller, Instant>>; PARTS],
}

impl Limiter {
    /// Allows every caller this rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let rate = (rate.per_second > 0).then_some(rate);
        Self { rate, hasher: RandomState::new(), parts: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Counts a request. If it is one too many, it does not count, and how long to wait comes back.
    pub(super) fn admit(&self, caller: Caller, now: Instant) -> Result<(), Duration> {
        let Some(rate) = self.rate else { return Ok(()) };
        let cost = Duration::from_secs(1) / rate.per_second;
        let ahead_max = cost * rate.burst.max(1);
        let part = usize::try_from(self.hasher.hash_one(&caller) % PARTS as u64).unwrap_or(0);
        let mut paid = self.parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        if paid.len() >= CALLERS_MAX && !paid.contains_key(&caller) {
            paid.retain(|_, paid_at| *paid_at > now);
        }
        let full = paid.len() >= CALLERS_MAX && !paid.contains_key(&caller);
        let paid_at = paid.entry(if full { Caller::Crowd } else { caller }).or_insert(now);
        let next = (*paid_at).max(now) + cost;
        match next.duration_since(now).checked_sub(ahead_max) {
            None | Some(Duration::ZERO) => {
                *paid_at = next;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn caller(last: u8) -> Caller {
        Caller::at(IpAddr::from([10, 0, 0, last]))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

        #[test]
        fn nobody_gets_more_than_the_burst_and_the_rate_and_nobody_pays_for_others(
            per_second in 1_u32..200, burst in 1_u32..50, pauses_ms in prop::collection::vec(0_u64..100, 1..200),
        ) {
            let limiter = Limiter::new(Rate { per_second, burst });
            let begin = Instant::now();
            let (mut now, mut taken) = (begin, 0_u64);
            for pause_ms in pauses_ms {
                now += Duration::from_millis(pause_ms);
                if let Err(wait) = limiter.admit(caller(1), now) {
                    now += wait;
                    prop_assert!(limiter.admit(caller(1), now).is_ok(), "it was told to come again now");
                }
                taken += 1;
                let earned = now.duration_since(begin).as_secs_f64() * f64::from(per_second);
                prop_assert!(taken as f64 <= earned + f64::from(burst) + 0.001, "{taken} after {earned}");
            }
            prop_assert!(limiter.admit(caller(2), now).is_ok());
        }
    }

    #[test]
    fn memory_is_bounded_whoever_asks() {
        let limiter = Limiter::new(Rate { per_second: 1, burst: 1 });
        let now = Instant::now();
        for number in 0..200_000_u32 {
            let _ = limiter.admit(Caller::at(IpAddr::from(number.to_be_bytes())), now);
        }
        for part in &limiter.parts {
            assert!(part.lock().expect("nobody panicked").len() <= CALLERS_MAX + 1);
        }
    }

    #[test]
    fn neighbours_in_one_network_are_one_caller_and_no_rate_is_no_limit() {
        let of = |text: &str| Caller::at(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        let limiter = Limiter::new(Rate { per_second: 0, burst: 0 });
        assert!((0..1_000).all(|_| limiter.admit(caller(1), Instant::now()).is_ok()));
    }
}
