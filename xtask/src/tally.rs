//! The sum of what the test runner says about itself. It counts nothing of its own: only the runner knows.

use std::fmt;

/// How many tests passed and failed, over all test programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds the numbers of a summary line; any other line changes nothing.
    pub(crate) fn add_line(&mut self, line: &str) {
        let plain = without_colour(line);
        let Some(summary) = plain.strip_prefix("test result: ") else { return };
        self.passed += number_before(summary, " passed");
        self.failed += number_before(summary, " failed");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn number_before(summary: &str, label: &str) -> u64 {
    let Some((before, _)) = summary.split_once(label) else { return 0 };
    before.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut pieces = line.split("\u{1b}[");
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or("", |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.add_line(line));
        tally
    }

    #[test]
    fn summaries_of_several_programs_add_up() {
        let lines = [
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ];
        assert_eq!(tally(&lines).to_string(), "15 passed, 2 failed");
    }

    #[test]
    fn a_coloured_summary_counts_like_a_plain_one() {
        let line = "test result: \u{1b}[32mok\u{1b}[m. 4 passed; 1 failed; 0 ignored";
        assert_eq!(tally(&[line]), Tally { passed: 4, failed: 1 });
    }

    #[test]
    fn other_lines_count_nothing() {
        let lines = ["running 3 tests", "test a::b ... ok", "prints test result: ok. 9 passed; 9 failed", ""];
        assert_eq!(tally(&lines), Tally::default());
    }
}
