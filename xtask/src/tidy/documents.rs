//! Rules about the documents: a reader who follows a link arrives, and who opens the README sees how to start.

use crate::tree::{Finding, TextFile, Tree};

const COMMANDS: &[&str] = &["cargo run --release -- demo", "cargo xtask test"];

/// Every relative link in a document leads to a file or folder of the tree.
pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    tree.ending(".md").flat_map(|file| broken_links(tree, file)).collect()
}

/// The first thing a newcomer reads has the two commands to type.
pub(super) fn readme_shows_the_two_commands(tree: &Tree) -> Vec<Finding> {
    let Some(readme) = tree.file("README.md") else {
        return vec![Finding { path: "README.md".into(), line: 1, message: "is missing; write it".into() }];
    };
    let absent = COMMANDS.iter().filter(|command| !readme.text.contains(**command));
    absent.map(|command| readme.finding(1, format!("does not show `{command}`; say how to start"))).collect()
}

fn broken_links(tree: &Tree, file: &TextFile) -> Vec<Finding> {
    let mut in_code = false;
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let targets = if in_code { Vec::new() } else { link_targets(line) };
        let broken = targets.into_iter().filter(|target| !leads_somewhere(tree, &file.path, target));
        findings.extend(broken.map(|target| file.finding(number, broken_message(target))));
    }
    findings
}

fn broken_message(target: &str) -> String {
    format!("links to `{target}`, which is not there; link to a file of this tree, relative to this document")
}

/// What stands in the round brackets of `[text](target)`, outside of `code`.
fn link_targets(line: &str) -> Vec<&str> {
    let prose = line.split('`').step_by(2);
    let after = prose.flat_map(|piece| piece.split("](").skip(1));
    after.filter_map(|rest| rest.split([')', ' ']).next()).collect()
}

fn leads_somewhere(tree: &Tree, from: &str, target: &str) -> bool {
    let is_address = target.contains("://") || target.starts_with("mailto:");
    let path = target.split('#').next().unwrap_or_default();
    is_address || path.is_empty() || resolve(from, path).is_some_and(|path| tree.contains(&path))
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
        let tree = tree_of(&[("docs/a.md", text), ("docs/decisions/b.md", ""), ("README.md", "")]);
        links_lead_somewhere(&tree).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_link_to_nothing_is_found_with_its_line() {
        assert_eq!(broken("text\nsee [one](missing.md) and [two](decisions/c.md#part)\n"), [2, 2]);
        assert_eq!(broken("[`code`](missing.md)"), [1]);
        assert_eq!(broken("[out](../../secret.md)"), [1]);
    }

    #[test]
    fn links_that_lead_somewhere_are_left_alone() {
        let text =
            "[a](decisions/b.md) [b](../README.md#top) [c](#here) [d](https://example.org) [e](decisions/)";
        assert!(broken(text).is_empty());
    }

    #[test]
    fn code_holds_no_links() {
        assert!(broken("```\n[a](missing.md)\n```\n`[b](missing.md)`\n").is_empty());
    }

    #[test]
    fn a_readme_without_a_command_is_found_and_so_is_none_at_all() {
        let count = |files| readme_shows_the_two_commands(&tree_of(files)).len();
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[("README.md", "cargo xtask test")]), 1);
        assert_eq!(count(&[("README.md", "cargo xtask test\ncargo run --release -- demo\n")]), 0);
    }
}
