//! Pass criteria of a stress test, each a function from measurements to a check. They measure nothing themselves,
//! so a test can show each of them something that it must condemn.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::pages::{PageTimes, Seen};
use super::series::{Series, Window};
use super::step::StepReport;
use crate::totals::Totals;

/// Allowed memory growth in steady state, MiB (allocator slack).
const SLACK_MIB: f64 = 24.0;

/// Memory up to this factor of the earlier value counts as flat.
const FLAT: f64 = 1.10;

/// Share of the offered orders that were delivered; above it a step is not saturated.
const SATURATED: f64 = 0.9;

/// Share of the due requests that the load generator itself may fail to send.
const UNSENT: f64 = 0.02;

/// Minimum share of the initial throughput after recovery.
const SPEED_AGAIN: f64 = 0.9;

/// The same for the maximum throughput, which is measured in a few seconds and varies more.
const CAPACITY_AGAIN: f64 = 0.75;

/// Factor on the initial latency, and extra milliseconds, that count as equal; for the median and for the p99.
const MEDIAN_AGAIN: (f64, f64) = (1.5, 25.0);
const SLOWEST_AGAIN: (f64, f64) = (3.0, 150.0);

/// Factor on the initial latency from which the fault was felt.
const FELT: f64 = 2.0;

/// Minimum share of a small store's throughput on a large store.
const KEPT: f64 = 0.9;

/// Most places by which a charge may be away from its order's age, as a share of all orders.
const DISPLACED: f64 = 0.01;

/// MiB that the last quarter of a backlog may need more than the end of acceptance.
const BACKLOG_MIB: f64 = 8.0;

/// Minimum share of the throughput without waiting orders.
const LEFT: f64 = 0.9;

/// Milliseconds within which 95 of 100 answers of each page are there.
const PAGE_MS: f64 = 50.0;

/// Bytes of a page at most.
const PAGE_BYTES: usize = 30_000;

/// Minimum share of the throughput without people who look on.
const UNDISTURBED: f64 = 0.98;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) holds: bool,
    pub(crate) seen: String,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.holds { "holds " } else { "FAILS " };
        write!(f, "{mark} {}: {}", self.name, self.seen)
    }
}

/// Every accepted order has ended, and both sides' totals agree.
pub(crate) fn nothing_lost(totals: &Totals) -> Check {
    let wrongs = totals.wrongs();
    let seen = if wrongs.is_empty() { totals.to_string() } else { wrongs.join("; ") };
    Check { name: "nothing accepted is lost", holds: wrongs.is_empty(), seen }
}

/// Memory stays below its initial value plus an allowance, whatever comes in.
pub(crate) fn memory_bounded(series: &Series, allowance_mib: f64) -> Check {
    let (first, most) =
        (series.0.first().map_or(0.0, |sample| sample.memory_mib), series.memory_most(series.whole()));
    Check {
        name: "memory is bounded",
        holds: most > 0.0 && most <= first + allowance_mib,
        seen: format!("{first:.0} MiB at first, {most:.0} at most, {allowance_mib:.0} more are allowed"),
    }
}

/// Memory does not grow in steady state.
pub(crate) fn memory_flat(series: &Series, window: Window) -> Check {
    let early = series.memory_median(window.part(0.2, 0.4));
    let late = series.memory_median(window.part(0.8, 1.0));
    Check {
        name: "memory is flat",
        holds: early > 0.0 && late <= early * FLAT + SLACK_MIB,
        seen: format!(
            "{early:.0} MiB in the second fifth of {:.0} s, {late:.0} in the last, {:.0} at most",
            window.seconds(),
            series.memory_most(window)
        ),
    }
}

/// The peak was beyond saturation; otherwise the test proves nothing. Requests that were never sent do not count.
pub(crate) fn saturated(steps: &[StepReport]) -> Check {
    let peak = steps.iter().max_by(|a, b| a.rate.cmp(&b.rate));
    let (sent, delivered) =
        peak.map_or((0.0, 0.0), |peak| (peak.sent() as f64 / peak.seconds.max(1e-9), peak.delivered_per_s));
    Check {
        name: "the peak was beyond saturation",
        holds: sent > 0.0 && delivered < sent * SATURATED,
        seen: format!("{sent:.0} orders/s sent, {delivered:.0} delivered"),
    }
}

/// The load generator could send its load; otherwise the rate means nothing.
pub(crate) fn all_was_sent(steps: &[StepReport]) -> Check {
    let share = |step: &StepReport| step.unsent as f64 / (step.offered as f64).max(1.0);
    let worst = steps.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
    Check {
        name: "what was due was sent",
        holds: worst.is_some_and(|worst| worst.offered > 0 && share(worst) <= UNSENT),
        seen: worst.map_or_else(String::new, |worst| {
            let (name, unsent, offered) = (&worst.name, worst.unsent, worst.offered);
            format!(
                "at worst {unsent} of {offered} orders were not sent ({name}), as too many had no answer yet"
            )
        }),
    }
}

/// A shed request is told so, with a time to come again.
pub(crate) fn refuses_politely(steps: &[StepReport]) -> Check {
    let sum = |of: fn(&StepReport) -> u64| steps.iter().map(of).sum::<u64>();
    let (refused, silent) = (sum(|step| step.refused), sum(|step| step.refused_without_retry_after));
    let (failed, unanswered) = (sum(|step| step.failed), sum(|step| step.unanswered));
    Check {
        name: "sheds or queues, never fails",
        holds: silent + failed + unanswered == 0,
        seen: format!(
            "{refused} told to come again ({silent} of them not when), {failed} failed, {unanswered} not answered"
        ),
    }
}

/// After recovery one measurement is as good as each one before; and nothing is refused.
pub(crate) fn recovered(before: &[StepReport], after: &[StepReport]) -> Check {
    let all_taken = after.iter().all(|look| look.accepted == look.offered);
    let found = after.iter().find(|look| before.iter().all(|then| as_before(then, look)));
    let told = |step: &StepReport| {
        format!(
            "{:.0} orders/s delivered, accepted in {:.0} ms (p99 {:.0}), delivered in {:.0} ms (p99 {:.0})",
            step.delivered_per_s,
            step.accept_ms.p50,
            step.accept_ms.p99,
            step.delivered_ms.p50,
            step.delivered_ms.p99
        )
    };
    let shown = |look: Option<&StepReport>| look.map_or_else(|| "nobody looked".to_owned(), told);
    let calmest = before.iter().min_by(|one, other| one.delivered_ms.p99.total_cmp(&other.delivered_ms.p99));
    Check {
        name: "recovers by itself",
        holds: !before.is_empty() && found.is_some() && all_taken,
        seen: format!("before: {}; afterwards: {}", shown(calmest), shown(found.or(after.last()))),
    }
}

fn as_before(before: &StepReport, after: &StepReport) -> bool {
    let same = |now: f64, then: f64, (times, more): (f64, f64)| now <= then * times + more;
    let speed = after.delivered_per_s >= before.delivered_per_s * SPEED_AGAIN && before.delivered_per_s > 0.0;
    let accepting = same(after.accept_ms.p50, before.accept_ms.p50, MEDIAN_AGAIN)
        && same(after.accept_ms.p99, before.accept_ms.p99, SLOWEST_AGAIN);
    let delivering = same(after.delivered_ms.p50, before.delivered_ms.p50, MEDIAN_AGAIN)
        && same(after.delivered_ms.p99, before.delivered_ms.p99, SLOWEST_AGAIN);
    speed && accepting && delivering
}

/// The maximum throughput is restored.
pub(crate) fn capacity_again(before_per_s: f64, after_per_s: f64) -> Check {
    Check {
        name: "as fast as before",
        holds: before_per_s > 0.0 && after_per_s >= before_per_s * CAPACITY_AGAIN,
        seen: format!("at most {before_per_s:.0} orders/s before, {after_per_s:.0} afterwards"),
    }
}

/// The fault was felt; otherwise the test proves nothing.
pub(crate) fn felt(before: &StepReport, during: &StepReport) -> Check {
    let slower = |now: f64, then: f64| then > 0.0 && now >= then * FELT;
    Check {
        name: "the slowness was felt",
        holds: slower(during.delivered_ms.p50, before.delivered_ms.p50)
            || slower(during.accept_ms.p50, before.accept_ms.p50),
        seen: format!(
            "half were accepted within {:.1} ms and delivered within {:.0} ms before, {:.1} and {:.0} meanwhile; {:.0} orders/s delivered before, {:.0} meanwhile",
            before.accept_ms.p50,
            before.delivered_ms.p50,
            during.accept_ms.p50,
            during.delivered_ms.p50,
            before.delivered_per_s,
            during.delivered_per_s
        ),
    }
}

/// Waiting orders cost the running ones next to nothing.
pub(crate) fn waiting_is_cheap(waiting: u64, without_per_s: f64, with_per_s: f64) -> Check {
    Check {
        name: "waiting orders cost the others less than 10 %",
        holds: waiting > 0 && without_per_s > 0.0 && with_per_s > without_per_s * LEFT,
        seen: format!(
            "{without_per_s:.0} orders/s without, {with_per_s:.0} beside {waiting} that wait: {:+.1} %",
            (with_per_s / without_per_s.max(1e-9) - 1.0) * 100.0
        ),
    }
}

/// Throughput is kept as the store grows: a large store is compared with a small one, measured in turn.
pub(crate) fn keeps_speed(stored: u64, grown_per_s: f64, small_per_s: f64) -> Check {
    Check {
        name: "a grown store has at least 90 % of the speed of a small one",
        holds: small_per_s > 0.0 && grown_per_s >= small_per_s * KEPT,
        seen: format!(
            "{grown_per_s:.0} orders/s with {stored} orders stored, {small_per_s:.0} with few, in turn: {:.0} %",
            grown_per_s / small_per_s.max(1e-9) * 100.0
        ),
    }
}

/// Every page was looked at, and answered soon enough.
pub(crate) fn pages_are_quick(seen: &Seen, pages: usize) -> Check {
    let p95_ms = |times: &PageTimes| times.took_us.value_at_quantile(0.95) as f64 / 1e3;
    let mut slowest: Vec<(&String, f64)> = seen.iter().map(|(path, times)| (path, p95_ms(times))).collect();
    slowest.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let told: Vec<String> = slowest.iter().take(3).map(|(path, ms)| format!("{path} {ms:.1} ms")).collect();
    Check {
        name: "95 of 100 answers of each page are there within 50 ms",
        holds: pages > 0 && seen.len() == pages && slowest.iter().all(|(_, ms)| *ms < PAGE_MS),
        seen: format!("{} of {pages} pages were looked at; the slowest: {}", seen.len(), told.join(", ")),
    }
}

pub(crate) fn pages_are_small(seen: &Seen) -> Check {
    let largest = seen.iter().max_by_key(|(_, times)| times.bytes_max);
    Check {
        name: "no page is larger than 30 kB",
        holds: largest.is_some_and(|(_, times)| times.bytes_max <= PAGE_BYTES),
        seen: largest.map_or_else(String::new, |(path, times)| format!("{path}: {} bytes", times.bytes_max)),
    }
}

/// People who look on cost the orders next to nothing: the median of pairs of bursts, orders/s with nobody and with
/// people. Single pairs vary by a fifth on a machine that others use too.
pub(crate) fn people_cost_nothing(pairs: &[(f64, f64)]) -> Check {
    let mut ratios: Vec<f64> = pairs.iter().map(|(nobody, people)| people / nobody.max(1e-9)).collect();
    ratios.sort_by(f64::total_cmp);
    let median = match (ratios.len(), ratios.len() / 2) {
        (0, _) => 0.0,
        (count, middle) if count % 2 == 0 => f64::midpoint(ratios[middle - 1], ratios[middle]),
        (_, middle) => ratios[middle],
    };
    let told: Vec<String> = ratios.iter().map(|ratio| format!("{:+.1}", (ratio - 1.0) * 100.0)).collect();
    Check {
        name: "people who look on slow the orders down by less than 2 %",
        holds: pairs.iter().all(|(nobody, _)| *nobody > 0.0) && median >= UNDISTURBED,
        seen: format!(
            "{:+.1} % in the median of {} pairs of bursts: {} %",
            (median - 1.0) * 100.0,
            pairs.len(),
            told.join(", ")
        ),
    }
}

/// No provider had to turn a call away, and each was asked once for each order.
pub(crate) fn asked_once(orders: u64, stats: &Value) -> Check {
    let count = |group: &str, name: &str| stats[group][name].as_u64();
    let turned_away = count("faults", "throttled");
    let (charges, parcels) = (count("payments", "charges"), count("shipping", "booked"));
    let told = |count: Option<u64>| count.map_or_else(|| "no count".to_owned(), |count| count.to_string());
    Check {
        name: "no provider is asked twice",
        holds: turned_away == Some(0) && charges == Some(orders) && parcels == Some(orders),
        seen: format!(
            "{} calls turned away; {} charges and {} parcels for {orders} orders",
            told(turned_away),
            told(charges),
            told(parcels)
        ),
    }
}

/// The oldest order is charged first, give or take a few places. A second's worth of calls may leave at once, and which of them
/// arrives first is chance.
pub(crate) fn by_age(orders: u64, per_second: u32, displaced: &[usize]) -> Check {
    let worst = displaced.iter().enumerate().max_by_key(|(_, places)| **places);
    let (at, most) = worst.map_or((0, 0), |(at, places)| (at + 1, *places));
    let mean = displaced.iter().sum::<usize>() as f64 / displaced.len().max(1) as f64;
    let allowed = (orders as f64 * DISPLACED).max(per_second.into());
    Check {
        name: "the oldest are charged first",
        holds: displaced.len() as u64 == orders && most as f64 <= allowed,
        seen: format!(
            "a charge is at most {most} places from its order's age (charge {at} of {orders}), {mean:.1} on average; {allowed:.0} are allowed"
        ),
    }
}

/// What waits lies in the store, not in memory.
pub(crate) fn backlog_costs_no_memory(series: &Series, accepting: Window, backlog: Window) -> Check {
    let accepted = series.at(accepting.to_s, |sample| sample.memory_mib);
    let late = series.memory_most(backlog.part(0.75, 1.0));
    Check {
        name: "a backlog costs no memory",
        holds: accepted > 0.0 && late > 0.0 && late <= accepted + BACKLOG_MIB,
        seen: format!(
            "{accepted:.1} MiB when all were accepted, {late:.1} at most in the last quarter of {:.0} s; {BACKLOG_MIB:.0} more are allowed",
            backlog.seconds()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report_tests::step;
    use super::super::series::tests::series;
    use super::*;

    #[test]
    fn memory_that_grows_with_the_load_is_condemned() {
        let grown = series(&[(10, 50.0), (10, 200.0), (10, 351.0), (10, 60.0)]);
        assert!(!memory_bounded(&grown, 300.0).holds);
        assert!(memory_bounded(&grown, 302.0).holds);
        assert!(!memory_bounded(&Series::default(), 300.0).holds, "nobody looked");
    }

    #[test]
    fn memory_that_never_stops_growing_is_condemned_and_a_warm_up_is_not() {
        let leak: Vec<(u64, f64)> = (0..100).map(|at| (10, 100.0 + f64::from(at) * 2.0)).collect();
        let leak = series(&leak);
        assert!(!memory_flat(&leak, leak.whole()).holds);
        let warm: Vec<(u64, f64)> = (0..100).map(|at| (10, if at < 10 { 30.0 } else { 170.0 })).collect();
        let warm = series(&warm);
        assert!(memory_flat(&warm, warm.whole()).holds);
    }

    #[test]
    fn a_peak_that_everything_took_is_condemned() {
        assert!(!saturated(&[step(100, 100.0, 10.0), step(1_000, 990.0, 10.0)]).holds);
        assert!(saturated(&[step(100, 100.0, 10.0), step(1_000, 700.0, 10.0)]).holds);
        assert!(!saturated(&[]).holds);
    }

    #[test]
    fn a_peak_that_was_mostly_not_sent_is_condemned() {
        let peak = StepReport { unsent: 9_000, accepted: 1_000, ..step(1_000, 99.0, 10.0) };
        assert!(!saturated(&[step(90, 90.0, 10.0), peak.clone()]).holds, "all that was sent was delivered");
        assert!(!all_was_sent(&[step(90, 90.0, 10.0), peak]).holds);
        for (unsent, holds) in [(0, true), (200, true), (201, false)] {
            let peak = StepReport { unsent, ..step(1_000, 700.0, 10.0) };
            assert_eq!(all_was_sent(&[peak, step(90, 90.0, 10.0)]).holds, holds, "{unsent} of 10000");
        }
        assert!(!all_was_sent(&[]).holds);
    }

    #[test]
    fn refusing_without_a_word_of_when_failing_and_silence_are_condemned() {
        let polite = StepReport { refused: 7, ..step(100, 100.0, 10.0) };
        assert!(refuses_politely(std::slice::from_ref(&polite)).holds);
        for rude in [
            StepReport { refused_without_retry_after: 1, ..polite.clone() },
            StepReport { failed: 1, ..polite.clone() },
            StepReport { unanswered: 1, ..polite.clone() },
        ] {
            assert!(!refuses_politely(&[polite.clone(), rude]).holds);
        }
    }

    #[test]
    fn a_service_that_stays_slow_or_refuses_afterwards_is_condemned() {
        let before = step(100, 100.0, 10.0);
        let (slower, later) = (step(100, 85.0, 10.0), step(100, 100.0, 200.0));
        let refusing = StepReport { accepted: before.offered - 1, ..before.clone() };
        let owned = |looks: &[&StepReport]| looks.iter().map(|look| (*look).clone()).collect::<Vec<_>>();
        let holds = |looks: &[&StepReport]| recovered(std::slice::from_ref(&before), &owned(looks)).holds;
        assert!(holds(&[&before, &before, &before]));
        assert!(holds(&[&slower, &later, &before]), "a machine that stood still in two looks");
        assert!(!holds(&[&slower, &later, &slower]), "one is slower, one is later, none is as before");
        assert!(!holds(&[&before, &refusing, &before]), "nothing is refused in any");
        assert!(!holds(&[]), "nobody looked");
        let nothing = step(100, 0.0, 10.0);
        assert!(!recovered(&owned(&[&nothing]), &owned(&[&nothing])).holds, "nothing was delivered at all");
        let stalled = owned(&[&before, &later, &slower]);
        assert!(recovered(&stalled, &owned(&[&before])).holds);
        assert!(
            !recovered(&stalled, &owned(&[&later, &slower])).holds,
            "a look before that was bad excuses nothing"
        );
        assert!(!recovered(&[], &owned(&[&before])).holds, "nobody looked before");
    }

    #[test]
    fn a_capacity_that_does_not_come_back_is_condemned() {
        assert!(capacity_again(1_000.0, 900.0).holds);
        assert!(!capacity_again(1_000.0, 700.0).holds);
        assert!(!capacity_again(0.0, 0.0).holds);
    }

    #[test]
    fn slowness_that_nobody_felt_is_condemned() {
        let before = step(100, 100.0, 10.0);
        assert!(!felt(&before, &step(100, 100.0, 15.0)).holds);
        assert!(felt(&before, &step(100, 60.0, 25.0)).holds);
    }

    #[test]
    fn waiting_orders_that_cost_a_tenth_are_condemned_and_so_is_none_that_waits() {
        assert!(waiting_is_cheap(100, 1_000.0, 950.0).holds);
        assert!(!waiting_is_cheap(100, 1_000.0, 900.0).holds);
        assert!(!waiting_is_cheap(0, 1_000.0, 1_000.0).holds);
    }

    #[test]
    fn a_call_that_is_turned_away_or_made_twice_is_condemned_and_so_is_a_provider_that_does_not_say() {
        let stats = |throttled: u64, charges: u64, booked: u64| serde_json::json!({"faults": {"throttled": throttled}, "payments": {"charges": charges}, "shipping": {"booked": booked}});
        assert!(asked_once(10, &stats(0, 10, 10)).holds);
        for (throttled, charges, booked) in [(1, 10, 10), (0, 11, 10), (0, 10, 9)] {
            assert!(!asked_once(10, &stats(throttled, charges, booked)).holds);
        }
        assert!(!asked_once(0, &Value::Null).holds);
    }

    #[test]
    fn a_charge_far_from_its_age_is_condemned_and_so_is_a_missing_one() {
        let mut places = vec![0; 200];
        places[7] = 2;
        assert!(by_age(200, 1, &places).holds);
        places[7] = 3;
        assert!(!by_age(200, 1, &places).holds);
        assert!(by_age(200, 3, &places).holds, "they may have left at once");
        assert!(!by_age(201, 1, &[0; 200]).holds);
    }

    #[test]
    fn a_backlog_that_lies_in_memory_is_condemned_and_so_is_one_that_was_not_seen() {
        let (accepting, backlog) = (Window { from_s: 0.0, to_s: 2.0 }, Window { from_s: 2.0, to_s: 10.0 });
        let late = |mib: f64| {
            let seconds: Vec<(u64, f64)> = (0..=10).map(|at| (10, if at < 8 { 40.0 } else { mib })).collect();
            backlog_costs_no_memory(&series(&seconds), accepting, backlog).holds
        };
        assert!(late(48.0) && !late(48.1));
        assert!(!backlog_costs_no_memory(&Series::default(), accepting, backlog).holds);
    }

    #[test]
    fn a_grown_store_below_nine_tenths_of_a_small_one_is_condemned() {
        assert!(keeps_speed(1_000, 90.0, 100.0).holds);
        assert!(!keeps_speed(1_000, 89.0, 100.0).holds);
        assert!(!keeps_speed(1_000, 89.0, 0.0).holds, "nothing to compare with");
    }

    fn page(took_us: &[u64], bytes_max: usize) -> PageTimes {
        let mut page = PageTimes { bytes_max, ..PageTimes::new() };
        took_us.iter().for_each(|took_us| page.took_us.record(*took_us).expect("it grows"));
        page
    }

    #[test]
    fn a_page_that_is_slow_large_or_was_not_looked_at_is_condemned() {
        let mut took = vec![1_000; 95];
        took.resize(100, 900_000);
        let mut seen = Seen::from([("/ui".to_owned(), page(&took, 30_000))]);
        assert!(pages_are_quick(&seen, 1).holds && pages_are_small(&seen).holds);
        assert!(!pages_are_quick(&seen, 2).holds, "one was not looked at");
        took[94] = 900_000;
        seen.insert("/ui/orders".to_owned(), page(&took, 30_001));
        assert!(!pages_are_quick(&seen, 2).holds && !pages_are_small(&seen).holds);
        assert!(!pages_are_quick(&Seen::new(), 0).holds && !pages_are_small(&Seen::new()).holds);
    }

    #[test]
    fn people_who_cost_the_orders_more_than_a_fiftieth_are_condemned() {
        assert!(people_cost_nothing(&[(1_000.0, 980.0)]).holds);
        assert!(!people_cost_nothing(&[(1_000.0, 979.0)]).holds);
        assert!(people_cost_nothing(&[(1_000.0, 700.0), (900.0, 891.0), (500.0, 600.0)]).holds);
        assert!(!people_cost_nothing(&[(1_000.0, 980.0), (1_000.0, 970.0)]).holds);
        assert!(!people_cost_nothing(&[(0.0, 979.0)]).holds && !people_cost_nothing(&[]).holds);
    }
}
