//! Reads Markdown for the rules about documents: links, headings, and text shown as code. Judges nothing.

use std::collections::{HashMap, HashSet};

use crate::tree::TextFile;

/// A piece of code in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code<'a> {
    /// Text between two backticks.
    Span(&'a str),
    /// A line of a fenced block.
    Line(&'a str),
}

/// All code of a document, with line numbers.
pub(super) fn code(file: &TextFile) -> Vec<(usize, Code<'_>)> {
    let mut found = Vec::new();
    for (number, line, place) in places(file) {
        match place {
            Place::Fence => {}
            Place::Block => found.push((number, Code::Line(line))),
            Place::Prose => {
                let spans = line.split('`').skip(1).step_by(2);
                found.extend(spans.map(|span| (number, Code::Span(span))));
            }
        }
    }
    found
}

/// The target of every `[text](target)` outside of code, with line numbers.
pub(super) fn links(file: &TextFile) -> Vec<(usize, &str)> {
    let prose = places(file).filter(|(_, _, place)| *place == Place::Prose);
    prose.flat_map(|(number, line, _)| targets(line).map(move |target| (number, target))).collect()
}

/// The anchors of a document's headings, as GitHub makes them.
pub(super) fn anchors(file: &TextFile) -> HashSet<String> {
    let mut times: HashMap<String, usize> = HashMap::new();
    let prose = places(file).filter(|(_, _, place)| *place == Place::Prose);
    let headings = prose.filter_map(|(_, line, _)| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let anchor = anchor(heading.trim_start_matches('#').trim());
            let before = times.entry(anchor.clone()).or_default();
            *before += 1;
            if *before == 1 { anchor } else { format!("{anchor}-{}", *before - 1) }
        })
        .collect()
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Prose,
    /// The line that opens or closes a block.
    Fence,
    Block,
}

fn places(file: &TextFile) -> impl Iterator<Item = (usize, &str, Place)> {
    file.lines().scan(Place::Prose, |state, (number, line)| {
        if line.trim_start().starts_with("```") {
            *state = if *state == Place::Prose { Place::Block } else { Place::Prose };
            return Some((number, line, Place::Fence));
        }
        Some((number, line, *state))
    })
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    let prose = line.split('`').step_by(2);
    let after = prose.flat_map(|piece| piece.split("](").skip(1));
    after.filter_map(|rest| rest.split([')', ' ']).next())
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn document(text: &str) -> TextFile {
        tree_of(&[("a.md", text)]).files.remove(0)
    }

    #[test]
    fn code_is_what_backticks_and_fences_hold() {
        let file = document("use `one` and `two`\n```\nthree `four`\n```\n`five`\n");
        let found = [
            (1, Code::Span("one")),
            (1, Code::Span("two")),
            (3, Code::Line("three `four`")),
            (5, Code::Span("five")),
        ];
        assert_eq!(code(&file), found);
    }

    #[test]
    fn links_are_found_outside_of_code_only() {
        let file = document("[a](b.md) `[c](d.md)` [`e`](f.md#g)\n```\n[h](i.md)\n```\n");
        assert_eq!(links(&file), [(1, "b.md"), (1, "f.md#g")]);
    }

    #[test]
    fn headings_are_reached_by_the_names_that_github_gives_them() {
        let file = document("# What's `new` in 4.x?\n## Costs\n## Costs\n```\n# no heading\n```\n");
        let wanted = ["whats-new-in-4x", "costs", "costs-1"].map(str::to_owned);
        assert_eq!(anchors(&file), HashSet::from(wanted));
    }
}
