//! Who may depend on whom, read from the manifests. Cargo is the wall; this file only watches that nobody opens a door in it.

use crate::tree::{Finding, TextFile, Tree};

/// A crate of ours and what it may not or may only name.
struct Wall {
    name: &'static str,
    /// The only crates of the workspace it may depend on.
    looks_up_to: &'static [&'static str],
    /// Crates from outside it must do without.
    does_without: &'static [&'static [&'static str]],
}

const DRIVERS: &[&str] = &[
    "rusqlite",
    "refinery",
    "tokio-postgres",
    "postgres",
    "deadpool-postgres",
    "lapin",
    "reqwest",
    "lettre",
];
const HTTP: &[&str] = &["axum", "hyper", "hyper-util", "tower", "tower-http", "utoipa"];
const RUNTIME: &[&str] =
    &["tokio", "tokio-util", "futures-util", "async-trait", "tracing", "tracing-subscriber"];
const IMPURE: &[&str] = &["serde", "serde_json", "rand", "log", "libc"];
const VAGUE_ERRORS: &[&str] = &["anyhow"];

const WALLS: &[Wall] = &[
    Wall { name: "domain", looks_up_to: &[], does_without: &[DRIVERS, HTTP, RUNTIME, IMPURE, VAGUE_ERRORS] },
    Wall {
        name: "bus-derive",
        looks_up_to: &[],
        does_without: &[DRIVERS, HTTP, RUNTIME, IMPURE, VAGUE_ERRORS],
    },
    Wall { name: "bus", looks_up_to: &["bus-derive"], does_without: &[DRIVERS, HTTP, VAGUE_ERRORS] },
    Wall { name: "bus-laws", looks_up_to: &["bus"], does_without: &[DRIVERS, HTTP, VAGUE_ERRORS] },
    Wall { name: "bus-page", looks_up_to: &["bus"], does_without: &[DRIVERS, RUNTIME, VAGUE_ERRORS] },
    Wall { name: "bus-postgres", looks_up_to: &["bus"], does_without: &[HTTP, VAGUE_ERRORS] },
    Wall { name: "bus-sqlite", looks_up_to: &["bus"], does_without: &[HTTP, VAGUE_ERRORS] },
    Wall { name: "bus-rabbitmq", looks_up_to: &["bus"], does_without: &[HTTP, VAGUE_ERRORS] },
    Wall {
        name: "application",
        looks_up_to: &["domain", "bus"],
        does_without: &[DRIVERS, HTTP, VAGUE_ERRORS],
    },
    Wall {
        name: "infrastructure",
        looks_up_to: &["domain", "bus", "bus-postgres", "bus-sqlite", "application"],
        does_without: &[VAGUE_ERRORS],
    },
    Wall { name: "providers", looks_up_to: &["domain", "bus", "application"], does_without: &[VAGUE_ERRORS] },
    Wall { name: "sandbox", looks_up_to: &[], does_without: &[DRIVERS, VAGUE_ERRORS] },
    Wall {
        name: "worker",
        looks_up_to: &[
            "domain",
            "bus",
            "bus-page",
            "bus-rabbitmq",
            "application",
            "infrastructure",
            "providers",
            "sandbox",
        ],
        does_without: &[DRIVERS],
    },
    Wall {
        name: "fuzz",
        looks_up_to: &[
            "domain",
            "bus",
            "bus-rabbitmq",
            "application",
            "infrastructure",
            "providers",
            "worker",
        ],
        does_without: &[DRIVERS, HTTP],
    },
    Wall {
        name: "load",
        looks_up_to: &["domain", "bus", "application", "sandbox", "worker", "testkit"],
        does_without: &[DRIVERS],
    },
    Wall {
        name: "testkit",
        looks_up_to: &[
            "domain",
            "bus",
            "bus-laws",
            "bus-postgres",
            "bus-sqlite",
            "bus-rabbitmq",
            "application",
            "infrastructure",
            "providers",
            "sandbox",
            "worker",
        ],
        does_without: &[DRIVERS],
    },
];

/// The document with a picture of the crates.
const PICTURE: &str = "ARCHITECTURE.md";

/// Whether a dependency ends up in what is shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shipped,
    Development,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    line: usize,
    kind: Kind,
}

/// Each crate depends only on those above it; the test kit is for tests alone, and there the adapters of the bus may meet.
pub(super) fn crates_look_only_upwards(tree: &Tree) -> Vec<Finding> {
    each_dependency(tree, |wall, dependency| {
        let ours = WALLS.iter().find(|other| is_named(other, &dependency.name))?;
        let beside = wall.name.starts_with("bus-") && ours.name.starts_with("bus");
        let helps = beside || ["testkit", "sandbox"].contains(&ours.name);
        let in_tests = dependency.kind == Kind::Development && helps;
        let allowed = in_tests || ours.name == wall.name || wall.looks_up_to.contains(&ours.name);
        (!allowed).then(|| {
            format!(
                "`{}` depends on `{}`; it may look up to {:?} only, and to testkit and sandbox in tests",
                wall.name, ours.name, wall.looks_up_to
            )
        })
    })
}

/// Drivers stay in infrastructure, HTTP at the edges, and the domain stays pure.
pub(super) fn crates_stay_pure(tree: &Tree) -> Vec<Finding> {
    each_dependency(tree, |wall, dependency| {
        let banned = wall.does_without.iter().any(|list| list.contains(&dependency.name.as_str()));
        let shipped = dependency.kind == Kind::Shipped;
        (banned && shipped).then(|| {
            format!(
                "`{}` must do without `{}`; put what needs it behind a port of a crate that may have it",
                wall.name, dependency.name
            )
        })
    })
}

/// The picture of the crates in the architecture document has an arrow for every dependency, and no other.
pub(super) fn picture_shows_the_dependencies(tree: &Tree) -> Vec<Finding> {
    let Some(document) = tree.file(PICTURE) else { return Vec::new() };
    let drawn: Vec<(usize, &str)> = document
        .lines()
        .map(|(number, line)| (number, line.trim()))
        .filter(|(_, line)| is_arrow(line))
        .collect();
    let real = arrows(tree);
    let surplus = drawn.iter().filter(|(_, arrow)| !real.iter().any(|one| one == arrow));
    let missing = real.iter().filter(|arrow| !drawn.iter().any(|(_, one)| one == arrow));
    let remove = |(number, arrow): &(usize, &str)| {
        document.finding(*number, format!("draws `{arrow}`, which no manifest has"))
    };
    let add = |arrow: &String| document.finding(1, format!("does not draw `{arrow}`; a manifest has it"));
    surplus.map(remove).chain(missing.map(add)).collect()
}

/// Whether a line of a picture joins two of our crates.
fn is_arrow(line: &str) -> bool {
    let is_ours = |name: &str| WALLS.iter().any(|wall| wall.name == name);
    line.split_once(" --> ").is_some_and(|(from, to)| is_ours(from) && is_ours(to))
}

/// What is shipped of each crate's dependencies on others of ours, as the picture draws it.
fn arrows(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for wall in WALLS {
        let Some(manifest) = tree.file(&format!("crates/{}/Cargo.toml", wall.name)) else { continue };
        let shipped = dependencies(manifest).into_iter().filter(|it| it.kind == Kind::Shipped);
        let ours = shipped.filter_map(|it| WALLS.iter().find(|other| is_named(other, &it.name)));
        found.extend(ours.map(|other| format!("{} --> {}", wall.name, other.name)));
    }
    found
}

fn each_dependency(tree: &Tree, wrong: impl Fn(&Wall, &Dependency) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wall in WALLS {
        let Some(manifest) = tree.file(&format!("crates/{}/Cargo.toml", wall.name)) else { continue };
        let dependencies = dependencies(manifest);
        findings
            .extend(dependencies.iter().filter_map(|it| Some(manifest.finding(it.line, wrong(wall, it)?))));
    }
    findings
}

/// The binary's crate carries the product's name alone.
fn is_named(wall: &Wall, dependency: &str) -> bool {
    let package = dependency.strip_prefix("orderwright-").unwrap_or(dependency);
    package == wall.name || (wall.name == "worker" && dependency == "orderwright")
}

fn dependencies(manifest: &TextFile) -> Vec<Dependency> {
    let mut table = None;
    let mut found = Vec::new();
    for (line, text) in manifest.lines() {
        if let Some(header) = text.strip_prefix('[') {
            table = kind_of_table(header);
            let single = header.trim_end().trim_end_matches(']').split_once("dependencies.");
            found.extend(table.zip(single).map(|(kind, (_, name))| Dependency {
                name: name.into(),
                line,
                kind,
            }));
            table = table.filter(|_| single.is_none());
        } else if let Some((kind, name)) = table.zip(dependency_name(text)) {
            found.push(Dependency { name, line, kind });
        }
    }
    found
}

fn kind_of_table(header: &str) -> Option<Kind> {
    if header.contains("dev-dependencies") {
        return Some(Kind::Development);
    }
    header.contains("dependencies").then_some(Kind::Shipped)
}

/// The package a line of a dependency table names, under its real name if it is renamed.
fn dependency_name(line: &str) -> Option<String> {
    let key = line.split_once('=')?.0.split('.').next()?.trim();
    if key.is_empty() || key.starts_with('#') {
        return None;
    }
    let renamed = line.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
    Some(renamed.unwrap_or(key).trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn lines(rule: fn(&Tree) -> Vec<Finding>, name: &str, manifest: &str) -> Vec<usize> {
        let path = format!("crates/{name}/Cargo.toml");
        rule(&tree_of(&[(&path, manifest)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_crate_that_looks_down_is_found_however_the_dependency_is_written() {
        for manifest in [
            "[dependencies]\nbus.workspace = true\n",
            "[dependencies]\nbus = { workspace = true }\n",
            "[dependencies]\norderwright-bus = \"0.1\"\n",
            "[dependencies]\nother = { path = \"../bus\", package = \"orderwright-bus\" }\n",
            "[target.'cfg(unix)'.dependencies]\nbus.workspace = true\n",
            "[build-dependencies]\nbus.workspace = true\n",
            "[dev-dependencies]\nbus.workspace = true\n",
        ] {
            assert_eq!(lines(crates_look_only_upwards, "domain", manifest), [2], "{manifest}");
        }
        assert_eq!(lines(crates_look_only_upwards, "domain", "[dependencies.bus]\nworkspace = true\n"), [1]);
    }

    #[test]
    fn the_test_kit_is_for_tests_only() {
        assert_eq!(
            lines(crates_look_only_upwards, "worker", "[dependencies]\ntestkit.workspace = true\n"),
            [2]
        );
        assert!(
            lines(crates_look_only_upwards, "worker", "[dev-dependencies]\ntestkit.workspace = true\n")
                .is_empty()
        );
    }

    #[test]
    fn looking_up_is_allowed() {
        let manifest = "[dependencies]\ndomain.workspace = true\nbus.workspace = true\n";
        assert!(lines(crates_look_only_upwards, "application", manifest).is_empty());
        assert_eq!(lines(crates_look_only_upwards, "sandbox", manifest), [2, 3]);
    }

    #[test]
    fn drivers_http_and_runtime_are_found_where_they_must_not_be() {
        let manifest =
            "[dependencies]\ntokio.workspace = true\nrusqlite.workspace = true\naxum.workspace = true\n";
        assert_eq!(lines(crates_stay_pure, "domain", manifest), [2, 3, 4]);
        assert_eq!(lines(crates_stay_pure, "application", manifest), [3, 4]);
        assert_eq!(lines(crates_stay_pure, "worker", manifest), [3]);
        assert!(lines(crates_stay_pure, "infrastructure", manifest).is_empty());
    }

    #[test]
    fn a_picture_with_an_arrow_too_many_or_too_few_is_found() {
        let manifest =
            "[dependencies]\ndomain.workspace = true\n[dev-dependencies]\ntestkit.workspace = true\n";
        let findings = |picture| {
            let files = [("ARCHITECTURE.md", picture), ("crates/application/Cargo.toml", manifest)];
            picture_shows_the_dependencies(&tree_of(&files)).len()
        };
        assert_eq!(findings("```mermaid\n    application --> domain\n    client --> api\n```\n"), 0);
        assert_eq!(findings("    application --> domain\n    application --> bus\n"), 1);
        assert_eq!(findings("text\n"), 1);
    }

    #[test]
    fn other_tables_and_comments_name_no_dependencies() {
        let manifest = "[features]\nrusqlite = []\n[dependencies]\n# tokio = \"1\"\nuuid.workspace = true\n";
        assert!(lines(crates_stay_pure, "domain", manifest).is_empty());
    }
}
