//! The files of the workspace as text, read once and handed to every rule of `tidy`.
//! It never writes, and never looks into what is built or generated at run time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold no source, by path from the root.
const SKIPPED: &[&str] = &["target", "data", ".git"];

/// Anything larger is data, and no rule reads it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// All text files below the root of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<TextFile>,
    /// Paths of what is no text, such as pictures.
    pub(crate) others: Vec<String>,
}

/// One file: its path from the root, with slashes, and its text.
#[derive(Clone, Debug)]
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Something that is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// The first line is 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Tree {
    /// Reads every UTF-8 file below the root, sorted by path.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Tree::default();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            tree.read_folder(root, &folder, &mut folders)?;
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// The file at this path, if the tree has it.
    pub(crate) fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Files whose name ends so, for instance `.rs`.
    pub(crate) fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a TextFile> {
        self.files.iter().filter(move |file| file.path.ends_with(ending))
    }

    /// Whether a file or folder lies at this path.
    pub(crate) fn contains(&self, path: &str) -> bool {
        let texts = self.files.iter().map(|file| file.path.as_str());
        path.is_empty()
            || texts.chain(self.others.iter().map(String::as_str)).any(|file| is_at_or_below(file, path))
    }

    fn read_folder(&mut self, root: &Path, folder: &Path, folders: &mut Vec<PathBuf>) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
            let name = path_from(root, &path);
            if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Some(text) = read_text(&path) {
                self.files.push(TextFile { path: name, text });
            } else {
                self.others.push(name);
            }
        }
        Ok(())
    }
}

impl TextFile {
    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .split_inclusive('\n')
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim_end_matches('\n')))
    }

    /// A finding in this file.
    pub(crate) fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, message: message.into() }
    }

    /// Whether the whole file belongs to tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.split('/').any(|part| part == "tests")
    }
}

/// A file that vanishes while we look (an editor's, a build's) or holds no text is nobody's source.
fn read_text(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    if size > FILE_BYTES_MAX {
        return None;
    }
    fs::read_to_string(path).ok()
}

fn path_from(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

fn is_at_or_below(file: &str, path: &str) -> bool {
    file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A tree of one file, for the tests of the rules.
#[cfg(test)]
pub(crate) fn tree_of(files: &[(&str, &str)]) -> Tree {
    let files = files.iter().map(|(path, text)| TextFile { path: (*path).into(), text: (*text).into() });
    Tree { files: files.collect(), others: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_contained_but_a_mere_prefix_of_a_name_is_not() {
        let tree = tree_of(&[("docs/decisions/one.md", "")]);
        assert!(tree.contains("docs/decisions"));
        assert!(tree.contains("docs/decisions/one.md"));
        assert!(!tree.contains("docs/dec"));
    }

    #[test]
    fn lines_are_counted_from_one_and_empty_ones_too() {
        let file = TextFile { path: "a".into(), text: "x\n\ny".into() };
        assert_eq!(file.lines().collect::<Vec<_>>(), [(1, "x"), (2, ""), (3, "y")]);
    }

    #[test]
    fn only_tests_folders_and_tests_files_are_tests() {
        let is_test = |path: &str| TextFile { path: path.into(), text: String::new() }.is_test();
        assert!(is_test("crates/bus/tests/laws.rs"));
        assert!(is_test("crates/bus/src/saga/tests.rs"));
        assert!(!is_test("crates/bus/src/latests.rs"));
    }
}
