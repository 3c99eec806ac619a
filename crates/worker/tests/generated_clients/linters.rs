//! The document is without fault for two linters, in their recommended settings.

use crate::service::Folder;
use crate::tools::installed;

#[test]
fn redocly_finds_nothing_to_say_about_the_document() {
    let folder = Folder::new("redocly");
    let document = folder.document();
    let told = installed().run(
        folder.path(),
        "redocly",
        &["lint", &document, "--extends", "recommended", "--max-problems", "200"],
    );
    assert!(told.contains("Your API description is valid") && !told.contains("warning"), "{told}");
}

#[test]
fn spectral_finds_nothing_to_say_about_the_document() {
    let folder = Folder::new("spectral");
    let document = folder.document();
    let rules = folder.file("rules.yaml", "extends: [\"spectral:oas\"]\n");
    let told = installed().run(
        folder.path(),
        "spectral",
        &["lint", &document, "--ruleset", &rules, "--fail-severity", "hint"],
    );
    assert!(told.contains("No results with a severity of 'hint' or higher found"), "{told}");
}
