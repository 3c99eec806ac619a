//! Rules about the text of source files: purpose, length, whitespace, nothing unfinished, no sleeping, no machine's paths.
//! The patterns are put together from halves, so that this file does not break the rules it states.

use crate::tree::{Finding, TextFile, Tree};

const LINES_MAX: usize = 600;
const TEST_LINES_MAX: usize = 800;

const UNFINISHED: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimpl", "emented!("),
    concat!("#[", "ignore"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

const SLEEPS: &[&str] = &[concat!("thread", "::sleep"), concat!("time", "::sleep")];

/// Folders that exist on one machine only, without the slash that opens such a path.
const MACHINE_FOLDERS: &[&str] = &["work/", "root/", "home/", "tmp/", "Users/"];

/// Endings of files written by hand; snapshots and data keep the whitespace they have.
const WRITTEN: &[&str] = &[
    ".rs",
    ".toml",
    ".md",
    ".sql",
    ".yml",
    ".yaml",
    ".sh",
    ".html",
    ".css",
    ".js",
    ".editorconfig",
    ".ci/run",
];

/// Every Rust file says first what it is for and what it must never do.
pub(super) fn opens_with_its_purpose(tree: &Tree) -> Vec<Finding> {
    let silent = tree.ending(".rs").filter(|file| !file.text.starts_with("//! "));
    let message = "opens without a purpose; the first line must be a `//!` comment: what this file is for and must never do";
    silent.map(|file| file.finding(1, message)).collect()
}

/// A file that no longer fits in a head is two files.
pub(super) fn is_short_enough(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs").filter_map(too_long).collect()
}

fn too_long(file: &TextFile) -> Option<Finding> {
    let limit = if file.is_test() { TEST_LINES_MAX } else { LINES_MAX };
    let count = file.lines().count();
    let message = || format!("has {count} lines, {limit} are allowed; split it by noun");
    (count > limit).then(|| file.finding(limit + 1, message()))
}

/// No tabs, nothing invisible at the end of a line.
pub(super) fn has_clean_whitespace(tree: &Tree) -> Vec<Finding> {
    let written = tree.files.iter().filter(|file| WRITTEN.iter().any(|end| file.path.ends_with(end)));
    written.flat_map(|file| each_line(file, unclean)).collect()
}

fn unclean(line: &str) -> Option<String> {
    if line.contains('\t') {
        return Some("contains a tab; indent with spaces, write `\\t` in a string".into());
    }
    let ends_clean = line.trim_end() == line;
    (!ends_clean).then(|| "ends in whitespace; remove it".into())
}

/// Nothing is left for later inside the code.
pub(super) fn has_nothing_unfinished(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs").flat_map(|file| each_line(file, unfinished)).collect()
}

fn unfinished(line: &str) -> Option<String> {
    let mark = UNFINISHED.iter().find(|mark| line.contains(**mark))?;
    Some(format!("contains `{mark}`; finish it, or leave it out and say so in the documentation"))
}

/// A test waits for the event itself.
pub(super) fn never_sleeps_in_tests(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs").flat_map(sleeping).collect()
}

fn sleeping(file: &TextFile) -> Vec<Finding> {
    let first = first_test_line(file);
    let findings = each_line(file, sleeps);
    findings.into_iter().filter(|finding| finding.line >= first).collect()
}

fn sleeps(line: &str) -> Option<String> {
    let named = SLEEPS.iter().any(|call| line.contains(call));
    let imported = line.contains("time::{") && line.contains("sleep");
    (named || imported)
        .then(|| "a test sleeps; wait for the event itself with a bound, or move the virtual clock".into())
}

/// Where a file's tests begin; past its end if it has none.
fn first_test_line(file: &TextFile) -> usize {
    if file.is_test() {
        return 1;
    }
    let mut gated = false;
    for (number, line) in file.lines() {
        if gated && line.starts_with("mod ") && line.ends_with('{') {
            return number;
        }
        gated = line.trim() == "#[cfg(test)]";
    }
    usize::MAX
}

/// What is written here has to hold on every machine.
pub(super) fn names_no_path_of_a_machine(tree: &Tree) -> Vec<Finding> {
    tree.files.iter().flat_map(|file| each_line(file, machine_path)).collect()
}

fn machine_path(line: &str) -> Option<String> {
    let folder = MACHINE_FOLDERS.iter().find(|folder| names_absolute(line, folder))?;
    Some(format!(
        "names a path under `/{folder}`; use a path relative to the workspace or a temporary folder"
    ))
}

/// Whether the line has `/folder/` as the start of a path, and not in the middle of one.
fn names_absolute(line: &str, folder: &str) -> bool {
    let begins = |at: usize| {
        let before = line[..at].strip_suffix('/')?.chars().next_back();
        Some(before.is_none_or(|c| !(c.is_alphanumeric() || "/.-_}>)".contains(c))))
    };
    line.match_indices(folder).any(|(at, _)| begins(at) == Some(true))
}

fn each_line(file: &TextFile, wrong: fn(&str) -> Option<String>) -> Vec<Finding> {
    file.lines().filter_map(|(number, line)| Some(file.finding(number, wrong(line)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn lines(rule: fn(&Tree) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        rule(&tree_of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_file_without_a_purpose_is_found() {
        assert_eq!(lines(opens_with_its_purpose, "a.rs", "use std::fs;\n//! Late.\n"), [1]);
        assert_eq!(lines(opens_with_its_purpose, "a.rs", ""), [1]);
        assert!(lines(opens_with_its_purpose, "a.rs", "//! Purpose.\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found_and_tests_may_be_longer() {
        let text = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(lines(is_short_enough, "crates/a/src/a.rs", &text), [LINES_MAX + 1]);
        assert!(lines(is_short_enough, "crates/a/tests/a.rs", &text).is_empty());
        assert!(lines(is_short_enough, "crates/a/src/a.rs", &"x\n".repeat(LINES_MAX)).is_empty());
        let longer = "x\n".repeat(TEST_LINES_MAX + 1);
        assert_eq!(lines(is_short_enough, "crates/a/tests/a.rs", &longer), [TEST_LINES_MAX + 1]);
    }

    #[test]
    fn tabs_and_trailing_spaces_are_found_with_their_line() {
        assert_eq!(lines(has_clean_whitespace, "a.toml", "ok\n\ttab\nend \nreturn\r\n"), [2, 3, 4]);
        assert!(lines(has_clean_whitespace, "a.snap", "end \n").is_empty());
    }

    #[test]
    fn every_mark_of_unfinished_work_is_found() {
        for mark in UNFINISHED {
            assert_eq!(lines(has_nothing_unfinished, "a.rs", &format!("ok\n  {mark}")), [2], "{mark}");
        }
    }

    #[test]
    fn sleeping_is_found_in_test_files_and_test_modules_only() {
        for call in SLEEPS {
            let text = format!("fn wait() {{ {call}(d) }}\n#[cfg(test)]\nmod tests {{\n {call}(d)\n}}\n");
            assert_eq!(lines(never_sleeps_in_tests, "crates/a/src/a.rs", &text), [4]);
            assert_eq!(lines(never_sleeps_in_tests, "crates/a/tests/a.rs", &text), [1, 4]);
        }
    }

    #[test]
    fn importing_sleep_in_a_group_is_found_too() {
        assert_eq!(
            lines(never_sleeps_in_tests, "a/tests.rs", concat!("use tokio::time", "::{Instant, sleep};")),
            [1]
        );
    }

    #[test]
    fn every_folder_of_a_machine_is_found_wherever_the_path_begins() {
        for folder in MACHINE_FOLDERS {
            for before in ["", "see ", "\"", "path=", "`", "("] {
                let text = format!("{before}/{folder}x");
                assert_eq!(lines(names_no_path_of_a_machine, "a.md", &text), [1], "{text}");
            }
        }
    }

    #[test]
    fn the_middle_of_a_path_or_address_is_not_a_path_of_a_machine() {
        for folder in MACHINE_FOLDERS {
            for before in ["https://example.org/", "crates/", "../", "{base}/", "net"] {
                let text = format!("{before}{folder}x");
                assert!(lines(names_no_path_of_a_machine, "a.md", &text).is_empty(), "{text}");
            }
        }
    }
}
