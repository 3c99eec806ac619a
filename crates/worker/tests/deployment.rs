//! What lies in `deploy/` is well-formed and fits the program: dashboards, Compose files, the settings of the profiles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use orderwright::config::{Config, Overrides, Profile};
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            match entry.is_dir() {
                true => folders.push(entry),
                false if entry.to_string_lossy().ends_with(ending) => found.push(entry),
                false => {}
            }
        }
    }
    assert!(!found.is_empty(), "no {ending} in {}", folder.display());
    found
}

fn yaml(path: &Path) -> Yaml {
    let text = std::fs::read_to_string(path).expect("a file");
    let mut documents =
        YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(documents.len(), 1, "{}", path.display());
    documents.remove(0)
}

#[test]
fn every_dashboard_is_whole_and_none_is_another_s() {
    let mut uids = BTreeSet::new();
    for path in files(&deploy().join("grafana/dashboards"), ".json") {
        let text = std::fs::read_to_string(&path).expect("a file");
        let board: Value = serde_json::from_str(&text).expect("JSON");
        assert!(uids.insert(board["uid"].as_str().expect("a uid").to_owned()), "{}", path.display());
        let panels = board["panels"].as_array().expect("panels");
        let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len(), "{}", path.display());
        for panel in panels {
            for target in panel["targets"].as_array().expect("targets") {
                let query = target["expr"].as_str().expect("a query");
                let count = |letter: char| query.chars().filter(|found| *found == letter).count();
                assert!(count('(') == count(')') && count('{') == count('}'), "{query}");
            }
        }
    }
    assert_eq!(uids.len(), 4);
}

#[test]
fn every_yaml_is_well_formed_and_compose_names_only_what_is_there() {
    for path in files(&deploy(), ".yml") {
        let document = yaml(&path);
        let Some(services) = document["services"].as_hash() else { continue };
        let names: BTreeSet<&str> = services.keys().filter_map(Yaml::as_str).collect();
        for (name, service) in services {
            let waited_for = service["depends_on"].as_hash().into_iter().flat_map(|wanted| wanted.keys());
            for wanted in waited_for.filter_map(Yaml::as_str) {
                assert!(names.contains(wanted), "{name:?} of {} waits for {wanted}", path.display());
            }
            for secret in service["secrets"].as_vec().into_iter().flatten().filter_map(Yaml::as_str) {
                assert!(!document["secrets"][secret].is_badvalue(), "{secret} of {}", path.display());
            }
            if let Some(file) = service["env_file"].as_str() {
                assert!(deploy().join(file).exists(), "{file} of {}", path.display());
            }
        }
    }
}

/// The variables of a file, each secret's file replaced by one that is there.
fn variables(file: &Path, secrets: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file).expect("a file");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line} of {}", file.display()));
        let value = value
            .strip_prefix("/run/secrets")
            .map_or_else(|| value.to_owned(), |secret| format!("{}{secret}", secrets.display()));
        (name.to_owned(), value)
    };
    lines.map(pair).collect()
}

#[test]
fn the_settings_of_every_profile_work() {
    let secrets = std::env::temp_dir().join(format!("orderwright-deployment-{}", std::process::id()));
    std::fs::create_dir_all(&secrets).expect("a folder for the test");
    for (name, text) in [
        ("database", "postgres://orderwright:secret@postgres:5432/orderwright\n"),
        ("admin_key", "a key that is long enough to be one of a deployment\n"),
        ("webhook_secret", "a secret that nobody can guess\n"),
        ("notification_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"),
    ] {
        std::fs::write(secrets.join(name), text).expect("a file for the test");
    }
    for profile in Profile::ALL {
        let mut found = variables(&deploy().join(format!("env/{}.env", profile.as_str())), &secrets);
        let named =
            found.iter().position(|(name, _)| name == "ORDERWRIGHT_PROFILE").expect("it names its profile");
        assert_eq!(found.remove(named).1, profile.as_str());
        assert!(found.iter().all(|(name, _)| name.starts_with("ORDERWRIGHT__")), "{found:?}");
        let overrides = Overrides { profile: Some(profile), environment: found, ..Overrides::default() };
        let loaded = Config::load(&overrides);
        assert!(loaded.is_ok(), "{}: {}", profile.as_str(), loaded.map(drop).expect_err("it is not"));
    }
    std::fs::remove_dir_all(&secrets).expect("the folder is ours");
}
