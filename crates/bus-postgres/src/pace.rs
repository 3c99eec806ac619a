//! How quickly units of work follow one another. Each costs the server about the same whatever it carries, and what arrives until
//! one begins joins it; so a little time between their beginnings is paid back many times over, and only under load: whoever comes
//! after a time of rest waits for nobody.

use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

/// Gives out the moments at which a unit may begin, first come, first served.
#[derive(Debug)]
pub(crate) struct Pace {
    gap: Duration,
    wait_max: Duration,
    /// The earliest moment for the next one.
    next: Mutex<Option<Instant>>,
}

/// Too many others wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many units of work wait to begin: not this one's turn within {0:?}")]
pub(crate) struct Crowded(Duration);

impl Pace {
    /// So much time lies between two moments at least, and nobody waits for one longer than `wait_max`.
    pub(crate) fn new(gap: Duration, wait_max: Duration) -> Self {
        Self { gap, wait_max, next: Mutex::default() }
    }

    /// Waits for a moment. Whoever stops waiting has used none up.
    ///
    /// # Errors
    /// [`Crowded`] if it takes too long.
    pub(crate) async fn turn(&self) -> Result<(), Crowded> {
        if self.gap.is_zero() {
            return Ok(());
        }
        timeout(self.wait_max, self.moment()).await.map_err(|_| Crowded(self.wait_max))
    }

    async fn moment(&self) {
        let mut next = self.next.lock().await;
        if let Some(next) = *next {
            sleep_until(next).await;
        }
        *next = Some(Instant::now() + self.gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(2);
    const LONG: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn who_comes_after_a_rest_waits_for_nobody_and_the_others_come_a_gap_apart() {
        let pace = Pace::new(GAP, LONG);
        for _ in 0..3 {
            let begun = Instant::now();
            let mut met = Vec::new();
            for _ in 0..4 {
                pace.turn().await.unwrap();
                met.push(begun.elapsed());
            }
            assert_eq!(met, [Duration::ZERO, GAP, GAP * 2, GAP * 3]);
            tokio::time::advance(GAP * 10).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_to_come_is_the_first_to_begin_and_who_goes_away_delays_nobody() {
        let pace = Pace::new(GAP, LONG);
        pace.turn().await.unwrap();
        let begun = Instant::now();
        let order = std::sync::Mutex::new(Vec::new());
        let one = |number: usize| {
            let (pace, order) = (&pace, &order);
            async move {
                pace.turn().await.unwrap();
                order.lock().unwrap().push((number, begun.elapsed()));
            }
        };
        let leaving = tokio::time::timeout(GAP / 2, one(1));
        let (left, (), ()) = tokio::join!(leaving, one(2), one(3));
        assert!(left.is_err());
        assert_eq!(order.into_inner().unwrap(), [(2, GAP), (3, GAP * 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_gap_nobody_waits() {
        let (pace, begun) = (Pace::new(Duration::ZERO, LONG), Instant::now());
        for _ in 0..1_000 {
            pace.turn().await.unwrap();
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_crowd_nobody_waits_without_end_and_who_gave_up_leaves_the_others_their_turns() {
        let (pace, begun) = (Pace::new(GAP, GAP * 3), Instant::now());
        let turns = futures_util::future::join_all((0..10).map(|_| pace.turn())).await;
        assert_eq!(begun.elapsed(), GAP * 3);
        let (went, crowded) = turns.split_at(4);
        assert_eq!(went, [Ok(()); 4]);
        assert_eq!(crowded, [Err(Crowded(GAP * 3)); 6]);
        pace.turn().await.unwrap();
        assert_eq!(begun.elapsed(), GAP * 4);
    }
}
