//! Moments as a file tells them: by an offset, or by the clock of a place. A clock that was put back shows some times
//! twice; the earlier one is taken. One that was put forward never showed some times; those are refused.

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// The name of the standard form.
const RFC_3339: &str = "rfc3339";

/// The zone of this name: one of the IANA database, or an offset such as `+01:00`.
///
/// # Errors
/// If there is none.
pub(super) fn zone(name: &str) -> Result<TimeZone> {
    if name.eq_ignore_ascii_case("utc") {
        return Ok(TimeZone::UTC);
    }
    if name.starts_with(['+', '-']) {
        let (offset, _) = BrokenDownTime::parse_prefix("%:z", name)
            .with_context(|| format!("time_zone = '{name}' is no offset; write it as +01:00"))?;
        return Ok(offset.offset().map_or(TimeZone::UTC, Offset::to_time_zone));
    }
    TimeZone::get(name).with_context(|| {
        format!("time_zone = '{name}' is no time zone; write one such as Europe/Berlin, or +01:00")
    })
}

/// The moment that a field names.
///
/// # Errors
/// What is wrong with it.
pub(super) fn moment(format: &str, zone: Option<&TimeZone>, field: &str) -> Result<Timestamp> {
    let (offset, local) = if format == RFC_3339 {
        if let Ok(moment) = field.parse() {
            return Ok(moment);
        }
        match zone {
            None => bail!(
                "is no time of RFC 3339, such as 2026-01-31T12:00:00+01:00; a time without an offset needs time_zone"
            ),
            Some(_) => (None, field.parse::<DateTime>().context("is no time of RFC 3339")?),
        }
    } else {
        match BrokenDownTime::parse(format, field) {
            Ok(parsed) => (parsed.offset(), parsed.to_datetime().context("names no day")?),
            // Cells of workbooks that are dates come in the standard form.
            Err(error) => match standard(field) {
                Some(local) => (None, local),
                None => {
                    return Err(error)
                        .with_context(|| format!("does not look like time_format = '{format}'"));
                }
            },
        }
    };
    match offset {
        Some(offset) => Ok(offset.to_timestamp(local)?),
        None => at_the_clock(local, zone.unwrap_or(&TimeZone::UTC)),
    }
}

fn standard(field: &str) -> Option<DateTime> {
    if field.contains('T') { field.parse().ok() } else { None }
}

fn at_the_clock(local: DateTime, zone: &TimeZone) -> Result<Timestamp> {
    let shown = zone.to_ambiguous_timestamp(local);
    match shown.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => Ok(shown.earlier()?),
        AmbiguousOffset::Gap { .. } => {
            let name = zone.iana_name().unwrap_or("this time zone");
            bail!("never was in {name}: the clock was put forward past it; is time_zone right?")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, named: Option<&str>, field: &str) -> Result<String, String> {
        let zone = named.map(|name| zone(name).expect("a zone"));
        moment(format, zone.as_ref(), field).map(|at| at.to_string()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn times_are_read_by_their_offset_or_by_the_clock_of_the_place() {
        let pattern = "%Y-%m-%d %H:%M:%S";
        let cases = [
            (pattern, None, "2024-07-05 23:30:00", "2024-07-05T23:30:00Z"),
            (pattern, Some("Europe/Berlin"), "2024-07-05 23:30:00", "2024-07-05T21:30:00Z"),
            (pattern, Some("Europe/Berlin"), "2024-01-05 23:30:00", "2024-01-05T22:30:00Z"),
            (pattern, Some("+05:30"), "2024-01-05 23:30:00", "2024-01-05T18:00:00Z"),
            // The clock was put back: 02:30 was shown at 00:30 and at 01:30 UTC.
            (pattern, Some("Europe/Berlin"), "2024-10-27 02:30:00", "2024-10-27T00:30:00Z"),
            ("%Y-%m-%d %H:%M:%S %z", None, "2024-01-05 22:30:00 -0500", "2024-01-06T03:30:00Z"),
            ("%Y-%m-%d %H:%M:%S %z", Some("Asia/Tokyo"), "2024-01-05 22:30:00 -0500", "2024-01-06T03:30:00Z"),
            ("%m/%d/%y", Some("America/New_York"), "01/05/24", "2024-01-05T05:00:00Z"),
            ("%b-%d-%y", None, "Jan-05-24", "2024-01-05T00:00:00Z"),
            (RFC_3339, None, "2026-01-01T10:50:49-08:00", "2026-01-01T18:50:49Z"),
            (RFC_3339, Some("Europe/Berlin"), "2026-01-01T10:50:49", "2026-01-01T09:50:49Z"),
        ];
        for (format, zone, field, right) in cases {
            assert_eq!(read(format, zone, field), Ok(right.to_owned()), "{field}");
        }
    }

    #[test]
    fn times_that_never_were_or_say_too_little_are_refused_with_words() {
        let gap = read("%Y-%m-%d %H:%M", Some("Europe/Berlin"), "2024-03-31 02:30").expect_err("never was");
        assert!(gap.contains("Europe/Berlin") && gap.contains("put forward"), "{gap}");
        assert!(read(RFC_3339, None, "2026-01-01T10:50:49").expect_err("no offset").contains("time_zone"));
        assert!(read("%Y-%m-%d", None, "05/01/2023").expect_err("another form").contains("time_format"));
        assert!(zone("Europe/Berlim").is_err() && zone("+1").is_err());
    }
}
