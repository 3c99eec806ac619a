//! How many files and sockets this process may have open, and how many of them connections may be. Raises the limit where the
//! system lets it.

use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process needs beside the connections that come to it: the store, the broker, logs, calls to providers.
const RESERVE: usize = 64;

/// How many of the wanted connections there may be, beside this many concurrent calls to providers. The limit of open
/// files is raised as far as allowed; half of the rest is kept for the process if it needs that.
#[must_use]
pub fn seats(wanted: usize, calls_max: usize) -> usize {
    let reserve = RESERVE.saturating_add(calls_max.saturating_mul(2));
    let Some(open_max) = raised_to(wanted.saturating_add(reserve)) else { return wanted };
    let seats = allowed(wanted, reserve, open_max);
    if seats < wanted {
        // Several parts of the service ask.
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            tracing::warn!(
                wanted,
                seats,
                open_max,
                "fewer connections at a time: the limit of open files (ulimit -n) is low"
            );
        });
    }
    seats
}

fn allowed(wanted: usize, reserve: usize, open_max: usize) -> usize {
    wanted.min(open_max - reserve.min(open_max / 2)).max(1)
}

/// The limit of open files after it was raised as far as it may be and is needed; none if there is no limit.
fn raised_to(needed: usize) -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let (now, needed) = (limit.current?, needed as u64);
    if now >= needed {
        return usize::try_from(now).ok();
    }
    let raised = needed.min(limit.maximum.unwrap_or(needed));
    let wish = Rlimit { current: Some(raised), maximum: limit.maximum };
    let now = setrlimit(Resource::Nofile, wish).map_or(now, |()| raised);
    usize::try_from(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_half_of_a_low_limit_is_for_connections_and_never_more_than_are_wanted() {
        assert_eq!(allowed(4_096, 576, 1_048_576), 4_096);
        assert_eq!(allowed(4_096, 576, 4_096), 3_520);
        assert_eq!(allowed(4_096, 576, 256), 128);
        assert_eq!(allowed(4_096, 576, 0), 1);
        assert_eq!(allowed(10, 576, 256), 10);
    }
}
