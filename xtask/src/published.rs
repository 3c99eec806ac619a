//! The crates that stand on their own: each has what a registry asks of it, and cargo can pack them all. Nothing is uploaded, and
//! nothing is built.

use std::path::Path;

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::steps::Ran;

/// In the order in which they would be published: each after those that it needs.
const CRATES: &[&str] = &["bus-derive", "bus", "bus-sqlite", "bus-postgres", "bus-rabbitmq"];

/// What each manifest says about its crate.
const KEYS: &[&str] = &["description", "license", "readme", "keywords", "categories"];

/// What lies beside each manifest.
const FILES: &[&str] = &["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Checks what each crate says of itself, then packs them together.
pub(crate) fn run(root: &Path) -> Result<Ran> {
    let mut lacking = Vec::new();
    for name in CRATES {
        let folder = root.join("crates").join(name);
        let manifest = folder.join("Cargo.toml");
        let manifest = std::fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        let files = FILES.iter().filter(|file| !folder.join(file).is_file()).copied();
        lacking
            .extend(missing_keys(&manifest).chain(files).map(|what| format!("crates/{name} has no {what}")));
    }
    lacking.iter().for_each(|line| eprintln!("{line}"));
    if !lacking.is_empty() {
        return Ok(Ran::Badly);
    }
    let packages = CRATES.iter().flat_map(|name| ["-p".to_owned(), format!("orderwright-{name}")]);
    let how = ["package", "--offline", "--no-verify", "--allow-dirty", "--quiet"].map(str::to_owned);
    cargo(root, how.into_iter().chain(packages))
}

/// The keys that the `[package]` table lacks.
fn missing_keys(manifest: &str) -> impl Iterator<Item = &'static str> + '_ {
    let table = manifest.split("[package]").nth(1).unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let has = move |key: &str| table.lines().any(|line| key_of(line) == Some(key));
    KEYS.iter().copied().filter(move |key| !has(key))
}

fn key_of(line: &str) -> Option<&str> {
    let key = line.split_once('=')?.0.trim();
    key.split('.').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "[package]\nname = \"bus\"\ndescription = \"Messages\"\nlicense.workspace = true\n\
        readme = \"README.md\"\nkeywords = [\"saga\"]\ncategories = [\"asynchronous\"]\n\n[dependencies]\n";

    #[test]
    fn a_manifest_that_lacks_something_is_told_what() {
        assert_eq!(missing_keys(WHOLE).count(), 0);
        let without =
            WHOLE.replace("description = \"Messages\"\n", "").replace("license.workspace = true\n", "");
        assert_eq!(missing_keys(&without).collect::<Vec<_>>(), ["description", "license"]);
        let elsewhere = format!("{without}description = \"of something else\"\n");
        assert_eq!(missing_keys(&elsewhere).collect::<Vec<_>>(), ["description", "license"]);
    }
}
