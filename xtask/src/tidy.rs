//! The rules of the house that no compiler checks. Each rule is one function from the tree to findings and stands in one
//! table; a rule never changes a file and never depends on another rule.

mod catalogue;
mod circles;
mod documents;
mod logging;
mod markdown;
mod mentions;
mod owed;
mod source;
mod vocabulary;
mod walls;

use std::path::Path;

use anyhow::Result;

use crate::steps::Ran;
use crate::tree::{Finding, Tree};

/// A rule: everything in the tree that breaks it.
type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    source::opens_with_its_purpose,
    source::is_short_enough,
    source::has_clean_whitespace,
    source::has_nothing_unfinished,
    source::never_sleeps_in_tests,
    source::names_no_path_of_a_machine,
    logging::has_one_message,
    vocabulary::bus_knows_no_trade,
    walls::crates_look_only_upwards,
    walls::crates_stay_pure,
    walls::picture_shows_the_dependencies,
    circles::files_form_no_circle,
    documents::links_lead_somewhere,
    documents::readme_shows_the_two_commands,
    documents::decisions_say_what_and_when,
    mentions::paths_exist,
    mentions::commands_exist,
    mentions::settings_exist,
    mentions::metrics_exist,
    owed::names_are_there,
    catalogue::lines_name_known_things,
];

/// Checks the tree below the root and prints what is wrong, one line each.
pub(crate) fn run(root: &Path) -> Result<Ran> {
    let findings = check(&Tree::read(root)?);
    for finding in &findings {
        println!("{}:{}: {}", finding.path, finding.line, finding.message);
    }
    Ok(if findings.is_empty() { Ran::Well } else { Ran::Badly })
}

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings: Vec<_> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}
