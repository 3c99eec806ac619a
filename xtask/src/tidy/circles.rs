//! A rule about imports: within a crate no files form a circle, so that each can be read, moved and tested without the
//! others. A module and the parts below it count as one. Reads the `use` declarations and the paths in the code; it knows
//! no macro and no type.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Finding, TextFile, Tree};

/// Crates in which circles are not looked for: tools of development, read as a whole.
const EXEMPT: [&str; 2] = ["testkit", "load"];

/// The place of a module in its crate; empty for the root.
type Module = Vec<String>;

/// What each module of a crate imports, with the line of its file.
type Imports = BTreeMap<Module, BTreeMap<Module, usize>>;

/// The source files of one crate by module.
struct Crate<'a> {
    files: BTreeMap<Module, &'a TextFile>,
    /// By module and name: where a re-exported name comes from, and under which name if it is no module.
    exports: BTreeMap<(Module, String), (Module, Option<String>)>,
}

/// A `use` declaration, taken apart: one path for each name.
struct Use {
    line: usize,
    is_public: bool,
    path: Vec<String>,
    name: String,
}

/// No files of a crate import one another in a circle.
pub(super) fn files_form_no_circle(tree: &Tree) -> Vec<Finding> {
    let names: BTreeSet<&str> = tree
        .files
        .iter()
        .filter_map(|file| file.path.strip_prefix("crates/")?.split_once("/src/"))
        .map(|(name, _)| name)
        .filter(|name| !EXEMPT.contains(name))
        .collect();
    names.into_iter().flat_map(|name| Crate::read(tree, name).circles()).collect()
}

impl<'a> Crate<'a> {
    fn read(tree: &'a Tree, name: &str) -> Self {
        let folder = format!("crates/{name}/src/");
        let files = tree.ending(".rs").filter(|file| !file.is_test());
        let modules = files.filter_map(|file| Some((module(file.path.strip_prefix(&folder)?)?, file)));
        let mut this = Self { files: modules.collect(), exports: BTreeMap::new() };
        this.exports = this.re_exports();
        this
    }

    fn re_exports(&self) -> BTreeMap<(Module, String), (Module, Option<String>)> {
        let mut exports = BTreeMap::new();
        for (module, file) in &self.files {
            for used in uses(&file.text).into_iter().filter(|used| used.is_public) {
                if let Some((from, rest)) =
                    self.resolve(module, &used.path).filter(|(from, _)| from != module)
                {
                    exports.insert((module.clone(), used.name), (from, rest.first().cloned()));
                }
            }
        }
        exports
    }

    /// The module that a path leads to, and what is left of the path; none if it leads out of the crate.
    fn resolve(&self, module: &Module, path: &[String]) -> Option<(Module, Vec<String>)> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (Module::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => (module[..module.len().checked_sub(supers)?].to_vec(), &path[supers..]),
            first if self.files.contains_key(&child(module, first)) => (module.clone(), path),
            _ => return None,
        };
        while let Some(next) =
            rest.first().map(|name| child(&at, name)).filter(|next| self.files.contains_key(next))
        {
            (at, rest) = (next, &rest[1..]);
        }
        Some((at, rest.to_vec()))
    }

    /// The module that a path means in the end, behind all re-exports.
    fn origin(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (mut at, mut rest) = self.resolve(module, path)?;
        let mut seen = BTreeSet::new();
        while let Some(name) = rest.first().cloned().filter(|name| seen.insert((at.clone(), name.clone()))) {
            let Some((from, as_name)) = self.exports.get(&(at.clone(), name)) else { break };
            (at, rest) = (from.clone(), as_name.iter().cloned().collect());
        }
        Some(at)
    }

    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (module, file) in &self.files {
            let used = uses(&file.text).into_iter().filter(|used| !used.is_public);
            let paths = used.map(|used| (used.line, used.path)).chain(paths(&file.text));
            let found = imports.entry(module.clone()).or_default();
            for (line, path) in paths {
                let Some(from) = self.origin(module, &path) else { continue };
                if !from.starts_with(module) && !module.starts_with(&from) {
                    found.entry(from).or_insert(line);
                }
            }
        }
        imports
    }

    /// One finding for each circle, at the first import that is part of it.
    fn circles(&self) -> Vec<Finding> {
        let imports = self.imports();
        let mut told = BTreeSet::new();
        let mut findings = Vec::new();
        for (module, used) in &imports {
            for (other, line) in used {
                let Some(way_back) = way(&imports, other, module) else { continue };
                if !told.insert(way_back.iter().cloned().collect::<BTreeSet<_>>()) {
                    continue;
                }
                let names: Vec<_> = way_back.iter().map(|part| part.join("::")).collect();
                let message = format!(
                    "`{}` imports {}: a circle; move what both need to a file below both",
                    module.join("::"),
                    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", which imports ")
                );
                findings.push(self.files[module].finding(*line, message));
            }
        }
        findings
    }
}

/// The shortest way along imports, both ends included.
fn way(imports: &Imports, from: &Module, to: &Module) -> Option<Vec<Module>> {
    let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut next = std::collections::VecDeque::from([from]);
    while let Some(module) = next.pop_front() {
        if module == to {
            let mut way = vec![module.clone()];
            let mut at = module;
            while let Some(before) = came_from.get(at).filter(|_| at != from) {
                way.push((*before).clone());
                at = before;
            }
            way.reverse();
            return Some(way);
        }
        for other in imports.get(module).into_iter().flat_map(BTreeMap::keys) {
            if other != from && !came_from.contains_key(other) {
                came_from.insert(other, module);
                next.push_back(other);
            }
        }
    }
    None
}

fn child(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// The module of a file, by its path below `src`; programs of their own are none.
fn module(path: &str) -> Option<Module> {
    let path = path.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" | "main" => Some(Module::new()),
        _ if path.starts_with("bin/") => None,
        _ => Some(path.split('/').map(str::to_owned).collect()),
    }
}

/// The code of a file without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split_once("#[cfg(test)]\nmod tests {").map_or(text, |(code, _)| code);
    text.lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

fn uses(text: &str) -> Vec<Use> {
    let code = code(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let start = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let before = code[start..at].trim();
        if !before.is_empty() && !before.starts_with("pub") {
            continue;
        }
        let Some((declaration, _)) = code[at + "use ".len()..].split_once(';') else { continue };
        let line = code[..at].matches('\n').count() + 1;
        let is_public = !before.is_empty();
        spread(&[], declaration, &mut |path, name| found.push(Use { line, is_public, path, name }));
    }
    found
}

/// Each name that a `use` tree names, with its path.
fn spread(prefix: &[String], tree: &str, found: &mut impl FnMut(Vec<String>, String)) {
    let tree = tree.trim();
    let (head, group) = match tree.split_once('{') {
        Some((head, group)) => (head, group.trim_end().strip_suffix('}')),
        None => (tree, None),
    };
    let (head, alias) = head.split_once(" as ").map_or((head, None), |(head, alias)| (head, Some(alias)));
    let parts =
        head.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self" || head == "self");
    let path: Vec<String> = prefix.iter().cloned().chain(parts.map(str::to_owned)).collect();
    match group {
        Some(group) => {
            let mut depth = 0_usize;
            let branches = group.split(|c: char| {
                depth = match c {
                    '{' => depth + 1,
                    '}' => depth.saturating_sub(1),
                    _ => depth,
                };
                c == ',' && depth == 0
            });
            branches
                .filter(|branch| !branch.trim().is_empty())
                .for_each(|branch| spread(&path, branch, found));
        }
        None => {
            let name =
                alias.or_else(|| path.last().map(String::as_str)).unwrap_or_default().trim().to_owned();
            found(path, name);
        }
    }
}

/// Paths within the code that begin at the crate or at the module above.
fn paths(text: &str) -> Vec<(usize, Vec<String>)> {
    let code = code(text);
    let begins = ["crate::", "super::"].into_iter().flat_map(|opening| code.match_indices(opening));
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let whole = begins.filter(|(at, _)| !code[..*at].ends_with(is_part));
    let path = |at: usize| {
        let path = code[at..].split(|c| !is_part(c)).next().unwrap_or_default();
        // The group behind it is a declaration's.
        let is_prefix = path.ends_with("::");
        let parts = path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        (!is_prefix).then(|| (code[..at].matches('\n').count() + 1, parts))
    };
    whole.filter_map(|(at, _)| path(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn found(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        let files: Vec<(String, &str)> =
            files.iter().map(|(path, text)| (format!("crates/shop/src/{path}"), *text)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        files_form_no_circle(&tree_of(&files))
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect()
    }

    #[test]
    fn a_circle_is_found_whichever_way_it_is_written() {
        let ways = [
            "use crate::b::B;",
            "use super::b::B;",
            "use crate::{b::{self, B}, c};",
            "fn f() { crate::b::g() }",
            "use crate::B;",
            "use crate::Other;",
        ];
        for way in ways {
            let root = "mod a;\nmod b;\nmod c;\npub use a::A;\npub use b::{B, B as Other};\n";
            let files = [("lib.rs", root), ("a.rs", way), ("b.rs", "\nuse crate::A;"), ("c.rs", "")];
            assert_eq!(found(&files), [("crates/shop/src/a.rs".to_owned(), 1)], "{way}");
        }
    }

    #[test]
    fn a_circle_of_three_is_told_once() {
        let files =
            [("a.rs", "use crate::b::B;"), ("b/mod.rs", "use crate::c::C;"), ("c.rs", "use crate::a::A;")];
        assert_eq!(found(&files).len(), 1);
    }

    #[test]
    fn a_module_and_its_parts_tests_and_comments_are_let_be() {
        let ends = [
            ("a.rs", "mod part;\nuse part::P;\nstruct A;"),
            ("a/part.rs", "use super::A;"),
            ("b.rs", "use crate::c::C;\n// use crate::d::D;"),
            ("c.rs", "#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}"),
            ("d.rs", "use crate::b::B;"),
            ("d/tests.rs", "use crate::b::B;"),
            ("e.rs", "mod own;\npub use own::Own;\nuse crate::f::F;"),
            ("e/own.rs", "struct Own;"),
            ("f.rs", "use super::e::{Own};"),
        ];
        assert_eq!(found(&ends), []);
    }
}
