//! What lies in `deploy/` is well-formed and fits the program: dashboards, Compose files, the settings of the profiles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use orderwright::config::{Config, Overrides, Place, Profile};
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

/// Files with secrets, gone with the test.
struct Secrets(PathBuf);

impl Secrets {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("orderwright-deployment-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        for (name, text) in [
            ("database", "postgres://orderwright:secret@postgres:5432/orderwright\n"),
            ("admin_key", "a key that is long enough to be one of a deployment\n"),
            ("webhook_secret", "a secret that nobody can guess\n"),
            ("payment_webhook_secret", "the gateway's, which nobody can guess\n"),
            ("shipping_webhook_secret", "the carrier's, which nobody can guess\n"),
            ("notification_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"),
            (
                "rabbitmq_addresses",
                "amqp://o:secret@rabbitmq-1:5672/%2f,amqp://o:secret@rabbitmq-2:5672/%2f\n",
            ),
        ] {
            std::fs::write(folder.join(name), text).expect("a file for the test");
        }
        Self(folder)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_settings_of_every_profile_work() {
    let secrets = Secrets::new("profiles");
    for profile in Profile::ALL {
        let found = variables(&deploy().join(format!("env/{}.env", profile.as_str())), &secrets.0);
        let named = found.iter().find(|(name, _)| name == "ORDERWRIGHT_PROFILE");
        assert_eq!(named.map(|(_, value)| value.as_str()), Some(profile.as_str()));
        let loaded = Config::load(&Overrides { environment: found, ..Overrides::default() });
        let loaded = loaded.unwrap_or_else(|mistakes| panic!("{}: {mistakes}", profile.as_str()));
        assert_eq!(loaded.config.profile, profile);
    }
}

/// What the image sets.
fn of_the_image() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(deploy().join("Dockerfile")).expect("a file");
    let text = text.replace("\\\n", " ");
    let set = text.lines().filter_map(|line| line.strip_prefix("ENV "));
    let pairs = set.flat_map(str::split_whitespace).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or_else(|| panic!("{pair} sets nothing"));
        (name.to_owned(), value.to_owned())
    });
    pairs.collect()
}

/// What a container of this service finds in its environment: the image's words, the file's, the service's own.
fn environment(compose: &str, service: &str, secrets: &Secrets) -> Vec<(String, String)> {
    let document = yaml(&deploy().join(compose));
    let service = &document["services"][service];
    let mut all: BTreeMap<String, String> = of_the_image().into_iter().collect();
    let file = service["env_file"].as_str().expect("it has a file of settings");
    all.extend(variables(&deploy().join(file), &secrets.0));
    for (name, value) in service["environment"].as_hash().into_iter().flatten() {
        let (name, value) = (name.as_str().expect("a name"), value.as_str().expect("a text"));
        let value = value.replace("/run/secrets", &secrets.0.display().to_string());
        all.insert(name.to_owned(), value);
    }
    all.into_iter().collect()
}

#[test]
fn what_image_and_compose_set_together_is_the_database_and_the_broker_that_they_mean() {
    let secrets = Secrets::new("compose");
    for (compose, service, brokers) in [
        ("compose.yml", "orderwright", "rabbitmq:5672"),
        ("compose.production.yml", "worker", "rabbitmq-1:5672"),
    ] {
        let environment = environment(compose, service, &secrets);
        let loaded = Config::load(&Overrides { environment: environment.clone(), ..Overrides::default() });
        let config = loaded.unwrap_or_else(|mistakes| panic!("{compose}: {mistakes}")).config;
        let Some(Place::Postgres(address)) = config.database.place() else {
            panic!("{compose} leads to {}: {environment:?}", config.database)
        };
        assert!(address.contains("@postgres:5432/orderwright"), "{compose}");
        assert!(config.rabbitmq.addresses.expose().contains(brokers), "{compose}");
        assert_eq!(config.listen, "0.0.0.0:8080", "{compose}");
    }
}

#[test]
fn the_image_alone_keeps_its_orders_in_its_volume_and_whatever_anybody_sets_goes_before_what_it_sets() {
    let load = |more: &[(&str, &str)]| {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = of_the_image().into_iter().chain(more).collect();
        Config::load(&Overrides { environment, ..Overrides::default() }).expect("it is right").config
    };
    let alone = load(&[]);
    assert_eq!(alone.database.to_string(), "/data/orderwright.db");
    assert_eq!(alone.listen, "0.0.0.0:8080");
    for name in ["ORDERWRIGHT_DATABASE", "ORDERWRIGHT__DATABASE"] {
        assert_eq!(load(&[(name, "/mine.db")]).database.to_string(), "/mine.db");
    }
    for name in ["ORDERWRIGHT_LISTEN", "ORDERWRIGHT__LISTEN"] {
        assert_eq!(load(&[(name, "127.0.0.1:9")]).listen, "127.0.0.1:9");
    }
}

#[test]
fn no_secret_of_a_deployment_is_part_of_what_a_build_may_see() {
    for file in ["../.dockerignore", "Dockerfile.dockerignore"] {
        let text = std::fs::read_to_string(deploy().join(file)).expect("every builder finds its list");
        let lines: Vec<&str> = text.lines().collect();
        assert!(!lines.contains(&"!deploy"), "{file}");
        let last_taken = lines.iter().rposition(|line| line.starts_with('!'));
        let left_out = lines.iter().rposition(|line| *line == "**/secrets");
        assert!(left_out > last_taken, "{file}: what is taken in later goes before");
    }
}

#[test]
fn the_lines_for_production_work_as_they_are_printed() {
    let root = Secrets::new("readme");
    let printed = std::fs::read_to_string(deploy().join("README.md")).expect("a file");
    let lines = printed.split("```").find(|block| block.contains("mkdir -p deploy/secrets")).expect("lines");
    std::fs::create_dir_all(root.0.join("bin")).expect("a folder");
    std::fs::create_dir_all(root.0.join("deploy")).expect("a folder");
    std::fs::copy(deploy().join("compose.production.yml"), root.0.join("deploy/compose.production.yml"))
        .expect("a copy");
    // What is not on every machine is played: one prints random text, the other reads the file that it is given.
    for (name, does) in
        [("openssl", "echo 0123456789abcdef0123456789abcdef"), ("docker", "cat \"$3\" > started")]
    {
        let place = root.0.join("bin").join(name);
        std::fs::write(&place, format!("#!/bin/sh\n{does}\n")).expect("a program");
        std::fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    }
    let path = format!("{}:{}", root.0.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let ran = Command::new("sh").args(["-euc", lines]).current_dir(&root.0).env("PATH", path).output();
    let ran = ran.expect("there is a shell");
    assert!(ran.status.success(), "{ran:?}");
    assert!(root.0.join("started").exists(), "the last line finds the file that it names");
    let compose = yaml(&deploy().join("compose.production.yml"));
    for (name, secret) in compose["secrets"].as_hash().expect("secrets") {
        let file = secret["file"].as_str().expect("a file");
        let text = std::fs::read_to_string(root.0.join("deploy").join(file));
        assert!(text.is_ok_and(|text| !text.trim().is_empty()), "{name:?} is not made");
    }
}

#[test]
fn a_database_is_waited_for_where_the_service_reaches_it() {
    for compose in ["compose.yml", "compose.production.yml"] {
        let probe = &yaml(&deploy().join(compose))["services"]["postgres"]["healthcheck"]["test"];
        let words: Vec<&str> = probe.as_vec().into_iter().flatten().filter_map(Yaml::as_str).collect();
        assert!(words.windows(2).any(|pair| pair == ["-h", "127.0.0.1"]), "{compose}: {words:?}");
    }
}

#[test]
fn neither_image_nor_unit_sets_what_would_go_before_the_words_of_whoever_runs_them() {
    let unit = std::fs::read_to_string(deploy().join("systemd/orderwright.service")).expect("a file");
    let set = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
    let of_the_unit = set.flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('='));
    let of_the_unit = of_the_unit.map(|(name, _)| name.to_owned());
    let names = of_the_image().into_iter().map(|(name, _)| name).chain(of_the_unit);
    for name in names.filter(|name| name != "ORDERWRIGHT_CONFIG") {
        assert!(name.starts_with("ORDERWRIGHT_DEFAULT__"), "{name}");
    }
}
