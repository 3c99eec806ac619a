//! Our books against the gateway's, as `check` asks for it: both looks, the pause between them, and patience with a gateway that
//! is busy.

use std::time::Duration;

use application::against_gateway::{Comparer, Comparison, Incomparable};
use application::ports::{GatewayBooks, ListedCharge, Listing, Readers, Unanswered};
use async_trait::async_trait;

/// Between the two looks: time for a webhook that is on its way to arrive.
pub const SECOND_LOOK_AFTER: Duration = Duration::from_secs(2);

/// How often a question is asked that was not answered. It changes nothing, so that asking again does no harm.
const TRIES_MAX: u32 = 6;
/// Pause before the next try, if the gateway names none.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that a gateway gets.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Compares both books; lists up to `max` differences.
///
/// # Errors
/// A gateway that has no list or does not answer, and what the store says.
pub async fn compare(
    readers: &dyn Readers,
    books: &dyn GatewayBooks,
    pause: Duration,
    max: usize,
) -> Result<Comparison, Incomparable> {
    let comparer = Comparer { readers, books: &Patient(books), max };
    let first = comparer.first_look().await?;
    if !first.is_clear() {
        tokio::time::sleep(pause).await;
    }
    comparer.second_look(first).await
}

/// A gateway that is asked again while it does not answer.
struct Patient<'a>(&'a dyn GatewayBooks);

#[async_trait]
impl GatewayBooks for Patient<'_> {
    async fn listed_charges(&self, after: Option<&str>, max: usize) -> Result<Listing, Unanswered> {
        let mut tries = 0;
        loop {
            match self.0.listed_charges(after, max).await {
                Err(unanswered) => tries = wait(tries, unanswered).await?,
                Ok(listing) => return Ok(listing),
            }
        }
    }

    async fn listed_charge(&self, key: &str) -> Result<Option<ListedCharge>, Unanswered> {
        let mut tries = 0;
        loop {
            match self.0.listed_charge(key).await {
                Err(unanswered) => tries = wait(tries, unanswered).await?,
                Ok(charge) => return Ok(charge),
            }
        }
    }
}

/// Waits as long as the gateway wants, and counts the try; a refusal, and the last of many tries, are the answer.
async fn wait(tries: u32, unanswered: Unanswered) -> Result<u32, Unanswered> {
    if matches!(unanswered, Unanswered::Refused { .. }) || tries + 1 >= TRIES_MAX {
        return Err(unanswered);
    }
    tokio::time::sleep(unanswered.retry_after().unwrap_or(PAUSE).min(PAUSE_MAX)).await;
    Ok(tries + 1)
}
