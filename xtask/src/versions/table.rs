//! The table of what was seen, between two marks of a page. A line is written when its release was tried, and stays as it is until
//! that is tried again.

use anyhow::{Context, Result};

use super::releases::{RELEASES, Release};
use super::trial::Seen;
use crate::steps::Ran;

const BEGINS: &str = "<!-- Written by cargo xtask versions. -->\n";
const ENDS: &str = "<!-- Until here. -->\n";

const HEAD: &str = "| engine | taken from | the server says | tests passed, failed | chaos | seconds | on |\n\
    |---|---|---|---|---|---|---|\n";

pub(super) fn tried(release: &Release, seen: &Seen, on: &str) -> String {
    let chaos = match seen.chaos {
        Ran::Well => "holds",
        Ran::Badly => "**fails**",
    };
    let failed = match seen.tests.failed {
        0 => "0".to_owned(),
        some => format!("**{some}**"),
    };
    let (says, passed, seconds) = (&seen.release, seen.tests.passed, seen.seconds);
    cells(release, &format!("{says} | {passed}, {failed} | {chaos} | {seconds} | {on}"))
}

/// The line of what nobody could try.
pub(super) fn absent(release: &Release) -> String {
    cells(release, "not tried | – | – | – | –")
}

fn cells(release: &Release, rest: &str) -> String {
    format!("{} {} | {rest} |", begins(release), release.origin())
}

fn begins(release: &Release) -> String {
    format!("| {} |", release.title())
}

/// The page with this line for this release, and for the others what it had.
pub(super) fn with_line(page: &str, release: &Release, line: &str) -> Result<String> {
    let marks = || format!("the page has no lines {BEGINS}and {ENDS}");
    let (before, rest) = page.split_once(BEGINS).with_context(marks)?;
    let (table, after) = rest.split_once(ENDS).with_context(marks)?;
    let kept =
        |other: &Release| table.lines().find(|line| line.starts_with(&begins(other))).map(str::to_owned);
    let lines = RELEASES.iter().map(|other| match other.name == release.name {
        true => line.to_owned(),
        false => kept(other).unwrap_or_else(|| absent(other)),
    });
    let lines: Vec<String> = lines.collect();
    Ok(format!("{before}{BEGINS}\n{HEAD}{}\n\n{ENDS}{after}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    fn seen(failed: u64) -> Seen {
        Seen { release: "17.6".to_owned(), tests: Tally { passed: 9, failed }, chaos: Ran::Well, seconds: 70 }
    }

    #[test]
    fn a_line_is_written_and_the_others_stay() {
        let empty = format!("# Engines\n\n{BEGINS}{ENDS}\nMore.\n");
        let (first, last) = (&RELEASES[0], &RELEASES[RELEASES.len() - 1]);
        let page = with_line(&empty, first, &tried(first, &seen(0), "2026-11-30")).unwrap();
        let page = with_line(&page, last, &tried(last, &seen(2), "2026-12-01")).unwrap();
        assert!(page.starts_with("# Engines\n") && page.ends_with("\nMore.\n"));
        assert_eq!(page.lines().filter(|line| line.starts_with("| ")).count(), RELEASES.len() + 1);
        assert!(page.contains("| 17.6 | 9, 0 | holds | 70 | 2026-11-30 |\n"));
        assert!(page.contains("| 17.6 | 9, **2** | holds | 70 | 2026-12-01 |\n"));
        assert_eq!(page.matches("not tried").count(), RELEASES.len() - 2);
    }

    #[test]
    fn a_page_without_marks_is_not_touched() {
        assert!(with_line("# Engines\n", &RELEASES[0], "| x |").is_err());
    }
}
