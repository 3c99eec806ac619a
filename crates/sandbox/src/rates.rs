//! Rate limits: how many calls of a group are let through per second. The limiter comes first, so a rejected call is
//! not even an attempt.

use std::sync::{Mutex, PoisonError};

use crate::faults::Group;

const SECOND_MICROS: i64 = 1_000_000;

/// For each group, when its next call would come if all came evenly.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<[i64; 4]>);

impl Rates {
    /// Lets a call through, or says that there were too many: more than a second's worth ahead of an even flow.
    pub(crate) fn admit(&self, group: Group, per_second: u32, now_micros: i64) -> Result<(), TooMany> {
        let Some(apart) = SECOND_MICROS.checked_div(i64::from(per_second)) else { return Ok(()) };
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = &mut due[group as usize];
        let next = (*due).max(now_micros);
        if next - now_micros > SECOND_MICROS - apart {
            return Err(TooMany);
        }
        *due = next + apart;
        Ok(())
    }
}

/// The rate is used up for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_goes_at_once_and_then_as_many_as_the_rate_allows() {
        let rates = Rates::default();
        let admitted = |from: i64, tries: i64, apart: i64| {
            let at = (0..tries).map(|nth| from + nth * apart);
            at.filter(|at| rates.admit(Group::Payments, 25, *at).is_ok()).count()
        };
        assert_eq!(admitted(0, 1_000, 0), 25, "at once");
        let later = admitted(1, 10_000, 1_000);
        assert!((249..=250).contains(&later), "{later} in ten seconds");
        assert_eq!(rates.admit(Group::Refunds, 25, 0), Ok(()), "each group has its own");
        assert_eq!(rates.admit(Group::Payments, 0, 0), Ok(()), "no rate, no limit");
    }
}
