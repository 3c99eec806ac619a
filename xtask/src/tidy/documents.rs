//! Rules about the documents: links lead somewhere, the README shows how to start, and every decision says what was chosen
//! and when.

use std::collections::HashMap;

use super::markdown::{anchors, links};
use crate::tree::{Finding, TextFile, Tree};

const COMMANDS: &[&str] = &["cargo run --release -- demo", "cargo xtask test"];
const DECISIONS: &str = "docs/decisions/";

/// Every relative link in a document leads to a file or folder of the tree, and to a heading of it if it names one.
pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    let documents = || tree.ending(".md");
    let headings: HashMap<_, _> = documents().map(|file| (file.path.as_str(), anchors(file))).collect();
    let arrives = |from: &TextFile, target: &str| {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { Some(from.path.clone()) } else { resolve(&from.path, path) };
        path.is_some_and(|path| {
            let known = headings.get(path.as_str());
            tree.contains(&path) && (heading.is_empty() || known.is_none_or(|them| them.contains(heading)))
        })
    };
    let mut findings = Vec::new();
    for file in documents() {
        let broken = links(file).into_iter().filter(|(_, to)| !is_address(to) && !arrives(file, to));
        findings.extend(broken.map(|(number, target)| file.finding(number, broken_message(target))));
    }
    findings
}

/// The first thing a newcomer reads has the two commands to type.
pub(super) fn readme_shows_the_two_commands(tree: &Tree) -> Vec<Finding> {
    let Some(readme) = tree.file("README.md") else {
        return vec![Finding { path: "README.md".into(), line: 1, message: "is missing; write it".into() }];
    };
    let absent = COMMANDS.iter().filter(|command| !readme.text.contains(**command));
    absent.map(|command| readme.finding(1, format!("does not show `{command}`; say how to start"))).collect()
}

/// Every decision is titled "subject: choice", has a status and a date, and is listed under its title.
pub(super) fn decisions_say_what_and_when(tree: &Tree) -> Vec<Finding> {
    let list = tree.file(&format!("{DECISIONS}README.md")).map_or("", |list| &list.text);
    let records = tree.ending(".md").filter(|file| file.path.starts_with(DECISIONS));
    let records = records.filter(|file| !file.path.ends_with("/README.md"));
    records.filter_map(|file| Some(file.finding(1, decision_message(file, list)?))).collect()
}

fn decision_message(file: &TextFile, list: &str) -> Option<String> {
    let title = file.text.lines().next().unwrap_or_default().strip_prefix("# ")?;
    let name = file.path.strip_prefix(DECISIONS)?;
    let Some((number, title)) = title.split_once(". ").filter(|(_, title)| title.contains(": ")) else {
        return Some("is not titled \"# number. subject: choice\"; say what was chosen".into());
    };
    let status = file.text.lines().nth(2).unwrap_or_default();
    if !(status.starts_with("Status: ") && status.contains("Date: 20")) {
        return Some("has no \"Status: …. Date: ….\" in its third line; add it".into());
    }
    let row = format!("| [{number}]({name}) | {title} |");
    (!list.contains(&row)).then(|| format!("is not listed under its title; add `{row}` to the list"))
}

fn is_address(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

fn broken_message(target: &str) -> String {
    format!(
        "links to `{target}`, which is not there; link to a file of this tree, relative to this document, and to one of \
         its headings"
    )
}

/// The path from the root, or nothing if it leads out of the tree.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn broken(text: &str) -> Vec<usize> {
        let tree = tree_of(&[("docs/a.md", text), ("docs/decisions/b.md", "# Top\n"), ("README.md", "")]);
        links_lead_somewhere(&tree).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_link_to_nothing_is_found_with_its_line() {
        assert_eq!(broken("text\nsee [one](missing.md) and [two](decisions/c.md#part)\n"), [2, 2]);
        assert_eq!(broken("[`code`](missing.md)"), [1]);
        assert_eq!(broken("[out](../../secret.md)"), [1]);
    }

    #[test]
    fn a_link_to_a_heading_that_is_not_there_is_found() {
        assert_eq!(broken("# Here\n[a](#there)\n[b](decisions/b.md#bottom)\n"), [2, 3]);
    }

    #[test]
    fn links_that_lead_somewhere_are_left_alone() {
        let text = "# Here\n[a](decisions/b.md#top) [b](../README.md) [c](#here) [d](https://example.org#x) [e](decisions/)";
        assert!(broken(text).is_empty());
    }

    #[test]
    fn a_readme_without_a_command_is_found_and_so_is_none_at_all() {
        let count = |files| readme_shows_the_two_commands(&tree_of(files)).len();
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[("README.md", "cargo xtask test")]), 1);
        assert_eq!(count(&[("README.md", "cargo xtask test\ncargo run --release -- demo\n")]), 0);
    }

    #[test]
    fn a_decision_without_choice_date_or_place_in_the_list_is_found() {
        let count = |text, list| {
            let files = [("docs/decisions/0007-a.md", text), ("docs/decisions/README.md", list)];
            decisions_say_what_and_when(&tree_of(&files)).len()
        };
        let (good, list) =
            ("# 7. A: b\n\nStatus: accepted. Date: 2026-11-23.\n", "| [7](0007-a.md) | A: b |\n");
        assert_eq!(count(good, list), 0);
        assert_eq!(count(good, "| [7](0007-a.md) | A: c |\n"), 1);
        assert_eq!(count("# 7. A b\n\nStatus: accepted. Date: 2026-11-23.\n", list), 1);
        assert_eq!(count("# 7. A: b\n\nAccepted.\n", list), 1);
    }
}
