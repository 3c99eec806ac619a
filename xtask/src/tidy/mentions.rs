//! Paths, commands, settings and metrics that documents mention as code exist. The names come from the sources that define
//! them; what a document claims about them is not checked.

use std::collections::{HashMap, HashSet};

use super::markdown::{Code, code};
use crate::tree::{Finding, TextFile, Tree};

const CLI: &str = "crates/worker/src/cli/";
const SCHEMA: &str = "crates/worker/src/config/schema.json";
const METRICS: &str = "docs/metrics.md";

/// Folders at the root; what begins with one of them is a path.
const FOLDERS: &[&str] = &["catalogue/", "crates/", "deploy/", "docs/", "findings/", "xtask/", ".ci/"];

/// Endings of files that documents also name without their folder.
const BARE_FILES: &[&str] = &[".rs", ".sql"];

/// How the Prometheus names of our metrics begin.
const METRIC_FAMILIES: &[&str] = &["orderwright_", "messaging_", "http_server_", "db_client_"];

/// Exchanges and databases at a server, whose names look like metrics.
const NO_METRICS: &[&str] = &["orderwright_database", "orderwright_handled"];

/// Every path that a document names leads to a file or folder.
pub(super) fn paths_exist(tree: &Tree) -> Vec<Finding> {
    each_span(tree, |span| {
        let message = || format!("names the path `{span}`, which is not there; name one that is");
        (is_path(span) && !path_exists(tree, span)).then(message)
    })
}

/// Every `orderwright …` and `cargo xtask …` that a document shows can be typed.
pub(super) fn commands_exist(tree: &Tree) -> Vec<Finding> {
    let (program, tasks) = (program_commands(tree), variants(tree, "xtask/src/main.rs", "enum Task "));
    each_code(tree, |code| {
        let (Code::Span(text) | Code::Line(text)) = code;
        let typed = typed(text);
        let unknown = match typed.as_slice() {
            ["xtask", task, ..] => !tasks.contains_key(*task),
            ["orderwright", command, rest @ ..] => !is_command(&program, command, rest.first().copied()),
            _ => false,
        };
        unknown.then(|| format!("shows the command `{}`, which does not exist", typed.join(" ")))
    })
}

/// Every setting that a document names has its place in the schema.
pub(super) fn settings_exist(tree: &Tree) -> Vec<Finding> {
    let schema = tree.file(SCHEMA).map(settings).unwrap_or_default();
    let has = |section: &str, key: &str| schema.get(section).is_some_and(|keys| keys.contains(key));
    each_span(tree, |span| {
        let name = span.split(" = ").next().unwrap_or(span);
        let unknown = match variable(name) {
            Some((section, Some(key))) => section != "section" && !has(&section, &key),
            Some((key, None)) => !schema.contains_key(key.as_str()),
            None => {
                let (section, key) = name.split_once('.')?;
                let is_section = schema.get(section).is_some_and(|keys| !keys.is_empty());
                let is_setting = is_section && is_name(key) && !is_path(name);
                is_setting && !has(section, key)
            }
        };
        unknown.then(|| format!("names the setting `{name}`, which `orderwright config schema` lacks"))
    })
}

/// Every metric that a document names is defined.
pub(super) fn metrics_exist(tree: &Tree) -> Vec<Finding> {
    let page = tree.file(METRICS).map(code).unwrap_or_default();
    let known: HashSet<&str> = page
        .into_iter()
        .filter_map(|(_, code)| if let Code::Span(it) = code { Some(it) } else { None })
        .collect();
    let others = |file: &&TextFile| file.path != METRICS;
    let message = |name: &str| format!("names the metric `{name}`, which {METRICS} lacks");
    in_documents(tree, others, |code| {
        let Code::Span(span) = code else { return None };
        let name = span.split('{').next().unwrap_or(span);
        let is_metric = is_name(name) && METRIC_FAMILIES.iter().any(|family| name.starts_with(family));
        let is_other = NO_METRICS.iter().any(|other| name.starts_with(other));
        let series =
            ["_count", "_sum", "_bucket"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        (is_metric && !is_other && !known.contains(name) && !known.contains(series)).then(|| message(name))
    })
}

fn each_span(tree: &Tree, wrong: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    each_code(tree, |code| match code {
        Code::Span(span) => wrong(span),
        Code::Line(_) => None,
    })
}

fn each_code(tree: &Tree, wrong: impl Fn(Code<'_>) -> Option<String>) -> Vec<Finding> {
    in_documents(tree, |_| true, wrong)
}

fn in_documents(
    tree: &Tree,
    chosen: impl Fn(&&TextFile) -> bool,
    wrong: impl Fn(Code<'_>) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.ending(".md").filter(chosen) {
        let found =
            code(file).into_iter().filter_map(|(number, code)| Some(file.finding(number, wrong(code)?)));
        findings.extend(found);
    }
    findings
}

fn is_path(span: &str) -> bool {
    let is_plain = span.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
    let has_name = |ending: &&str| span.len() > ending.len() && span.ends_with(*ending);
    is_plain && (FOLDERS.iter().any(|folder| span.starts_with(folder)) || BARE_FILES.iter().any(has_name))
}

fn path_exists(tree: &Tree, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    tree.contains(path) || tree.files.iter().any(|file| file.path.ends_with(&format!("/{path}")))
}

/// The words of a command line, from the program's name on and without what `cargo` takes for itself.
fn typed(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["cargo", "xtask", ..] | ["orderwright", ..] => {
            words.into_iter().skip_while(|word| *word == "cargo").take_while(|word| is_word(word)).collect()
        }
        ["cargo", "run", ..] => {
            let own = words.into_iter().skip_while(|word| *word != "--").skip(1);
            ["orderwright"].into_iter().chain(own.take_while(|word| is_word(word))).collect()
        }
        _ => Vec::new(),
    }
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
}

/// The program's commands, each with those below it.
fn program_commands(tree: &Tree) -> HashMap<String, HashSet<String>> {
    let mut commands = HashMap::new();
    for (file, list, folder) in
        [("mod.rs", "enum Command ", ""), ("commands_on_orders.rs", "enum OnOrders ", "commands_on_orders/")]
    {
        for (name, module) in variants(tree, &format!("{CLI}{file}"), list) {
            let below = variants(tree, &format!("{CLI}{folder}{module}.rs"), "Subcommand)]");
            commands.insert(name, below.into_keys().collect());
        }
    }
    commands
}

/// What follows a command without others below it is its argument.
fn is_command(known: &HashMap<String, HashSet<String>>, command: &str, next: Option<&str>) -> bool {
    known.get(command).is_some_and(|below| below.is_empty() || next.is_none_or(|next| below.contains(next)))
}

/// The variants of the first enum after `mark`, as the command line spells them, each with the module of what it holds.
fn variants(tree: &Tree, path: &str, mark: &str) -> HashMap<String, String> {
    let text = tree.file(path).map_or("", |file| &file.text);
    let body = text.split_once(mark).map_or("", |(_, after)| after).split("\n}").next().unwrap_or_default();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    lines
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| {
            let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
            let module = line[end..].trim_start_matches('(').split("::").next().unwrap_or_default();
            (kebab(&line[..end]), module.to_owned())
        })
        .collect()
}

fn kebab(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// Sections of the schema with their keys, by the indentation of its printed form; keys outside of sections have none.
fn settings(schema: &TextFile) -> HashMap<&str, HashSet<&str>> {
    let mut sections: HashMap<&str, HashSet<&str>> = HashMap::new();
    let mut section = "";
    for (_, line) in schema.lines() {
        if let Some(name) = member(line, "    ") {
            section = name;
            sections.entry(section).or_default();
        } else if let Some(key) = member(line, "        ") {
            sections.entry(section).or_default().insert(key);
        }
    }
    sections
}

/// The name of an object that begins in this line, at this indentation exactly.
fn member<'a>(line: &'a str, indentation: &str) -> Option<&'a str> {
    line.strip_prefix(indentation)?.strip_prefix('"')?.strip_suffix("\": {")
}

/// Section and key of a variable of the environment, in small letters.
fn variable(name: &str) -> Option<(String, Option<String>)> {
    let rest = name.strip_prefix("ORDERWRIGHT__").or_else(|| name.strip_prefix("ORDERWRIGHT_DEFAULT__"))?;
    let rest = rest.split('=').next().unwrap_or(rest).to_lowercase();
    Some(match rest.split_once("__") {
        Some((section, key)) => (section.to_owned(), Some(key.to_owned())),
        None => (rest, None),
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    const COMMANDS: &str = "#[derive(Debug, Subcommand)]\nenum Command {\n    /// It.\n    Serve(serve::Serve),\n    Check,\n}\n";
    const ON_ORDERS: &str = "enum OnOrders {\n    DeadLetters(dead_letters::DeadLetters),\n}\n";
    const BELOW: &str =
        "#[derive(Debug, Subcommand)]\nenum DeadLetters {\n    List {\n        max: u8,\n    },\n}\n";
    const SCHEMA_TEXT: &str = "{\n  \"properties\": {\n    \"listen\": {\n      \"type\": \"string\"\n    },\n    \"limits\": {\n      \
         \"properties\": {\n        \"order_ms\": {\n        }\n      }\n    }\n  }\n}\n";

    fn lines(rule: fn(&Tree) -> Vec<Finding>, text: &str) -> Vec<usize> {
        let tree = tree_of(&[
            ("README.md", text),
            ("docs/metrics.md", "| `orderwright_orders_total` | `orderwright.orders` |\n"),
            (SCHEMA, SCHEMA_TEXT),
            ("crates/worker/src/cli/mod.rs", COMMANDS),
            ("crates/worker/src/cli/commands_on_orders.rs", ON_ORDERS),
            ("crates/worker/src/cli/commands_on_orders/dead_letters.rs", BELOW),
            ("xtask/src/main.rs", "enum Task {\n    Test(TestArgs),\n}\n"),
        ]);
        rule(&tree).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_path_to_nothing_is_found_whole_or_bare() {
        assert_eq!(lines(paths_exist, "`crates/worker/src/cli/no.rs`\n`no.rs`\n`docs/no`\n"), [1, 2, 3]);
        assert!(
            lines(paths_exist, "`docs/`, `cli/mod.rs`, `mod.rs`, `crates/{a,b}`, `.rs`, `a/b.csv`")
                .is_empty()
        );
    }

    #[test]
    fn a_command_that_cannot_be_typed_is_found() {
        let wrong = "`orderwright server`\n```\norderwright dead-letters show 3\ncargo run --release -- fly\n```\n`cargo xtask fly`\n";
        assert_eq!(lines(commands_exist, wrong), [1, 3, 4, 6]);
        let right = "`orderwright serve x` `orderwright --help` `orderwright dead-letters list --max 3` `cargo xtask test`\n";
        assert!(lines(commands_exist, right).is_empty());
        assert!(
            lines(commands_exist, "```\ncargo run --release -- check\ncargo test\n```\n`orderwright`")
                .is_empty()
        );
    }

    #[test]
    fn a_setting_that_the_schema_lacks_is_found() {
        let wrong =
            "`limits.no_ms`\n`limits.no_ms = 3`\n`ORDERWRIGHT__LIMITS__NO_MS=3`\n`ORDERWRIGHT_DEFAULT__NO`\n";
        assert_eq!(lines(settings_exist, wrong), [1, 2, 3, 4]);
        let right = "`limits.order_ms = 3` `ORDERWRIGHT__LIMITS__ORDER_MS` `ORDERWRIGHT_DEFAULT__LISTEN` `other.key` `limits.rs` `limits.no failed`";
        assert!(lines(settings_exist, right).is_empty());
    }

    #[test]
    fn a_metric_that_is_not_defined_is_found() {
        assert_eq!(lines(metrics_exist, "`orderwright_no_total`\n`orderwright_no_total{a=\"b\"}`\n"), [1, 2]);
        let right = "`orderwright_orders_total` `orderwright_orders_total_count{a=\"b\"}` `orderwright_handled` `go_threads`";
        assert!(lines(metrics_exist, right).is_empty());
    }
}
