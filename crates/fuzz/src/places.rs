//! The folders of seeds, one per parser: valid examples, and everything that was ever found to break something.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Parser;

/// The folder of a parser's seeds.
#[must_use]
pub fn folder(parser: Parser) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(parser.as_str())
}

/// The seeds of a parser, by the names of their files.
///
/// # Panics
/// If they cannot be read.
#[must_use]
pub fn seeds(parser: Parser) -> Vec<(String, Vec<u8>)> {
    let folder = folder(parser);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.expect("a file").path();
            (path.display().to_string(), fs::read(&path).expect("a seed can be read"))
        })
        .collect();
    seeds.sort();
    seeds
}
