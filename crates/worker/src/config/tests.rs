//! The laws of the configuration: the shipped files are whole, later words count, every mistake is named, no secret shows.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::schema::{FILE_SUFFIX, Schema};
use super::*;

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orderwright-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file for the test");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn mistakes(overrides: &Overrides) -> Vec<String> {
    Config::load(overrides).expect_err("something is wrong").0
}

#[test]
fn the_file_as_it_ships_says_exactly_the_defaults() {
    let shipped: Config = toml::from_str(DEFAULT_FILE).expect("the shipped file is well-formed");
    assert_eq!(shipped, Config::default());
}

#[test]
fn the_file_as_it_ships_names_every_key_and_no_other() {
    let mut section = String::new();
    let mut named = BTreeSet::new();
    for line in DEFAULT_FILE.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            named.insert(format!("{section}{key}"));
        }
    }
    let keys: BTreeSet<String> = Schema::of_config().keys().into_iter().collect();
    assert_eq!(named.difference(&keys).collect::<Vec<_>>(), Vec::<&String>::new(), "these are no keys");
    assert_eq!(keys.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "these are not explained");
}

#[test]
fn the_schema_beside_the_file_is_that_of_the_types() {
    let shipped: serde_json::Value = serde_json::from_str(SCHEMA_FILE).expect("the shipped schema is JSON");
    assert!(
        shipped == document(),
        "write it anew: cargo run -- config schema > crates/worker/src/config/schema.json"
    );
}

#[test]
fn every_key_can_be_set_in_the_environment_and_every_profile_is_right() {
    let shown = serde_json::to_value(Config::default()).expect("it can be shown");
    for path in Schema::of_config().keys() {
        let value = path.split('.').fold(&shown, |value, step| &value[step]);
        if value.is_null() {
            continue;
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = format!("ORDERWRIGHT__{}", path.to_uppercase().replace('.', "__"));
        let overrides = Overrides { environment: vec![(name.clone(), text)], ..Overrides::default() };
        let loaded = Config::load(&overrides);
        assert!(loaded.is_ok(), "{name}: {loaded:?}");
    }
    for profile in Profile::ALL {
        let secret = Some("one that nobody can guess".to_owned());
        let environment = variables(&[(
            "ORDERWRIGHT__PROVIDERS__SHIPPING_WEBHOOK_SECRET",
            "another that nobody can guess",
        )]);
        let overrides =
            Overrides { profile: Some(profile), webhook_secret: secret, environment, ..Overrides::default() };
        assert_eq!(Config::load(&overrides).map(|loaded| loaded.config.profile), Ok(profile));
    }
}

#[test]
fn later_words_count() {
    let folder = Folder::new("layers");
    let file = folder.file("o.toml", "listen = \"127.0.0.1:1\"\n[limits]\norder_ms = 700_000\nundo_ms = 7\n");
    let mut overrides = Overrides {
        profile: Some(Profile::Staging),
        file: Some(file),
        environment: variables(&[
            ("ORDERWRIGHT__LIMITS__UNDO_MS", "80000"),
            ("ORDERWRIGHT__LISTEN", "127.0.0.1:2"),
        ]),
        listen: Some("127.0.0.1:3".to_owned()),
        ..Overrides::default()
    };
    let config = Config::load(&overrides).expect("all is right").config;
    assert_eq!((config.limits.order_ms, config.limits.undo_ms), (700_000, 80_000));
    assert_eq!((config.listen.as_str(), config.retention.idempotency_hours), ("127.0.0.1:3", 72));
    overrides.listen = None;
    assert_eq!(Config::load(&overrides).expect("all is right").config.listen, "127.0.0.1:2");
}

#[test]
fn every_mistake_is_named_at_once_with_its_place() {
    let folder = Folder::new("mistakes");
    let file = folder.file(
        "bad.toml",
        "listen = \"nowhere\"\ndatabase = \"oracle://x\"\n\n[limits]\norder_mss = 5\norder_ms = \"long\"\n         [pipelin]\nbatch_max = 1\n[providers]\nlisten = 1\nwebhook_secret = 5\n",
    );
    let environment = variables(&[
        ("ORDERWRIGHT__PIPELINE__BATCH_MAX", "0"),
        ("ORDERWRIGHT__POSTGRES__POOL_MAX", "many"),
        ("ORDERWRIGHT__POSTGRES__UNIT_GAP_MS", "51"),
        ("ORDERWRIGHT__RETENTION__INBOX_HOURS", "-1"),
        ("ORDERWRIGHT__COLOUR", "red"),
        ("ORDERWRIGHT__PROFILE", "live"),
    ]);
    let found = mistakes(&Overrides { file: Some(file), environment, ..Overrides::default() }).join("\n");
    for named in [
        "listen = 'nowhere'",
        "database is like the address of a server",
        "bad.toml:5: there is no key limits.order_mss; did you mean limits.order_ms?",
        "bad.toml:6: limits.order_ms = \"long\" is not a whole number",
        "bad.toml:8: there is no key pipelin.batch_max; did you mean pipeline.batch_max?",
        "bad.toml:10: there is no key providers.listen; did you mean listen?",
        "bad.toml:11: providers.webhook_secret is not a text",
        "pipeline.batch_max = 0 is too small",
        "postgres.unit_gap_ms = 51 is too large; at most 50",
        "ORDERWRIGHT__POSTGRES__POOL_MAX: postgres.pool_max = \"many\" is not a whole number",
        "ORDERWRIGHT__RETENTION__INBOX_HOURS: retention.inbox_hours = -1 is out of range",
        "ORDERWRIGHT__COLOUR: there is no key colour; `orderwright config default` lists every key",
        "ORDERWRIGHT__PROFILE: profile = 'live' is none of development, staging, production",
    ] {
        assert!(found.contains(named), "'{named}' is missing in:\n{found}");
    }
}

#[test]
fn a_gap_between_transactions_leaves_time_for_all_who_wait() {
    let with = |gap: &str, limit: &str| {
        let environment = variables(&[
            ("ORDERWRIGHT__POSTGRES__UNIT_GAP_MS", gap),
            ("ORDERWRIGHT__POSTGRES__CONNECT_LIMIT_MS", limit),
        ]);
        Overrides { environment, ..Overrides::default() }
    };
    for (gap, limit) in [("0", "100"), ("2", "100"), ("50", "2500")] {
        assert!(Config::load(&with(gap, limit)).is_ok(), "{gap} {limit}");
    }
    let told = mistakes(&with("50", "2499")).join("\n");
    assert!(
        told.contains("connect_limit_ms = 2499 is too small for unit_gap_ms = 50; at least 2500"),
        "{told}"
    );
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let folder = Folder::new("garbage");
    let file = folder.file("bad.toml", "listen = \"127.0.0.1:1\"\n[limits\n");
    let found = mistakes(&Overrides { file: Some(file), ..Overrides::default() });
    assert!(found[0].contains("bad.toml:2"), "{found:?}");
}

#[test]
fn a_secret_may_lie_in_a_file_of_its_own() {
    let folder = Folder::new("secrets");
    let secret = folder.file("secret", "from the file\n");
    let path = secret.display().to_string();
    let in_file = ("ORDERWRIGHT__PROVIDERS__WEBHOOK_SECRET_FILE", path.as_str());
    let load = |environment: &[(&str, &str)], flag: Option<&str>| {
        let webhook_secret = flag.map(str::to_owned);
        let environment = variables(environment);
        let loaded = Config::load(&Overrides { environment, webhook_secret, ..Overrides::default() })?;
        Ok::<_, Mistakes>(loaded.config.providers.webhook_secret.expose().to_owned())
    };
    assert_eq!(load(&[in_file], None).as_deref(), Ok("from the file"));
    assert_eq!(load(&[in_file], Some("from the flag")).as_deref(), Ok("from the flag"));
    let twice = load(&[in_file, ("ORDERWRIGHT__PROVIDERS__WEBHOOK_SECRET", "x")], None);
    let told = twice.expect_err("one of them has to go").to_string();
    assert!(
        told.contains("ORDERWRIGHT__PROVIDERS__WEBHOOK_SECRET_FILE and")
            || told.contains("by ORDERWRIGHT__PROVIDERS__WEBHOOK_SECRET_FILE"),
        "{told}"
    );
    let missing = load(&[("ORDERWRIGHT__DATABASE_FILE", "/nowhere/at/all")], None);
    assert!(missing.is_err_and(|mistakes| mistakes.to_string().contains("/nowhere/at/all")));
}

#[test]
fn no_secret_is_ever_shown_and_every_secret_may_lie_in_a_file() {
    let mut config = Config { database: "postgres://me:hush@host/db".into(), ..Config::default() };
    config.providers.webhook_secret = Secret::from("hush".to_owned());
    let shown =
        format!("{config:?} {} {}", toml::to_string(&config).expect("TOML"), serde_json::json!(config));
    assert!(!shown.contains("hush") && shown.contains("******"), "{shown}");
    let keys = Schema::of_config().keys();
    for secret in Schema::of_config().secrets() {
        assert!(keys.contains(&format!("{secret}{FILE_SUFFIX}")), "{secret}");
    }
}

#[test]
fn production_refuses_what_staging_tells_and_development_does_not_mention() {
    let load = |profile| {
        let environment = variables(&[
            ("ORDERWRIGHT__RETENTION__INBOX_HOURS", "1"),
            ("ORDERWRIGHT__POSTGRES__LEASE_MS", "500"),
        ]);
        Config::load(&Overrides { profile: Some(profile), environment, ..Overrides::default() })
    };
    assert_eq!(load(Profile::Development).expect("it starts").risks, []);
    let told = load(Profile::Staging).expect("it starts").risks;
    let told: Vec<String> = told.into_iter().map(|risk| risk.text).collect();
    let refused = load(Profile::Production).expect_err("it does not").0;
    for key in [
        "providers.webhook_secret",
        "would pass for 'captured'",
        "retention.inbox_hours = 1",
        "postgres.lease_ms = 500",
    ] {
        let names = |texts: &[String]| texts.iter().any(|text| text.contains(key));
        assert!(names(&told) && names(&refused), "{key}: {told:?} {refused:?}");
    }
}

#[test]
fn addresses_of_the_broker_may_stand_behind_a_flag_in_a_variable_and_in_a_file_of_their_own() {
    let both = "amqp://me:secret@one/orders, amqp://me:secret@two/orders";
    let flag = Overrides { broker: Some(both.to_owned()), ..Overrides::default() };
    let variable = |name: &str, text: &str| Overrides {
        environment: vec![(format!("ORDERWRIGHT__RABBITMQ__{name}"), text.to_owned())],
        ..Overrides::default()
    };
    let path = std::env::temp_dir().join(format!("orderwright-addresses-{}", std::process::id()));
    std::fs::write(&path, format!("{both}\n")).expect("a file of our own");
    let named = variable("ADDRESSES_FILE", &path.to_string_lossy());
    for overrides in [flag, variable("ADDRESSES", both), named] {
        let config = Config::load(&overrides).expect("it is right").config;
        assert_eq!(config.rabbitmq.addresses.expose(), both.replace(", ", ","));
        assert!(!format!("{config:?}").contains("secret@"), "{config:?}");
    }
    std::fs::remove_file(path).expect("it is ours");
}

/// Everything that sets the database in the environment.
const DATABASES: [&str; 4] =
    ["ORDERWRIGHT_DATABASE", "ORDERWRIGHT__DATABASE", "ORDERWRIGHT__Database", "ORDERWRIGHT__DATABASE_FILE"];

#[test]
fn no_two_settings_for_one_key() {
    let folder = Folder::new("twice");
    let secret = folder.file("address", "postgres://u:hush@there/db").display().to_string();
    let load = |names: &[&str]| {
        let said = |name: &&str| match name.ends_with("_FILE") {
            true => ((*name).to_owned(), secret.clone()),
            false => ((*name).to_owned(), "postgres://u:hush@here/db".to_owned()),
        };
        Config::load(&Overrides { environment: names.iter().map(said).collect(), ..Overrides::default() })
    };
    for (at, one) in DATABASES.iter().enumerate() {
        assert!(load(&[one]).is_ok(), "{one}");
        for other in &DATABASES[at + 1..] {
            let told = load(&[one, other]).expect_err("they contradict each other").to_string();
            let named = [*one, *other].iter().all(|name| told.contains(&format!("by {name}")));
            assert!(named && told.contains("database is named twice") && !told.contains("hush"), "{told}");
        }
    }
    for (one, other) in [
        ("ORDERWRIGHT_LISTEN", "ORDERWRIGHT__LISTEN"),
        ("ORDERWRIGHT_PAYMENT_URL", "ORDERWRIGHT__PROVIDERS__PAYMENT_URL"),
        ("ORDERWRIGHT_SHIPPING_URL", "ORDERWRIGHT__PROVIDERS__SHIPPING_URL"),
        ("ORDERWRIGHT_WEBHOOK_SECRET", "ORDERWRIGHT__PROVIDERS__WEBHOOK_SECRET"),
        ("ORDERWRIGHT_PROFILE", "ORDERWRIGHT__PROFILE"),
        ("ORDERWRIGHT_BROKER", "ORDERWRIGHT__RABBITMQ__ADDRESSES"),
    ] {
        let environment = variables(&[(one, "x"), (other, "x")]);
        let told = mistakes(&Overrides { environment, ..Overrides::default() }).join("\n");
        assert!(told.contains(&format!("named twice, by {one} and by {other}")), "{told}");
    }
}

#[test]
fn no_two_settings_for_one_key_in_a_file_or_by_a_whole_section_or_by_a_usual_name() {
    let folder = Folder::new("twice-elsewhere");
    let file = folder.file("o.toml", "database = \"a.db\"\ndatabase_file = \"b\"\n");
    let told = mistakes(&Overrides { file: Some(file), ..Overrides::default() }).join("\n");
    assert!(told.contains("o.toml:1") && told.contains("o.toml:2"), "{told}");
    let environment =
        |pairs: &[(&str, &str)]| Overrides { environment: variables(pairs), ..Overrides::default() };
    let whole = ("ORDERWRIGHT__LIMITS", "{order_ms = 700000, undo_ms = 80000}");
    let limits = Config::load(&environment(&[whole])).expect("a whole section is its keys").config.limits;
    assert_eq!((limits.order_ms, limits.undo_ms), (700_000, 80_000));
    let told = mistakes(&environment(&[whole, ("ORDERWRIGHT__LIMITS__ORDER_MS", "900000")])).join("\n");
    assert!(told.contains("limits.order_ms is named twice"), "{told}");
    let ours = ("ORDERWRIGHT__TELEMETRY__OTLP_ENDPOINT", "http://a:4318");
    let told = mistakes(&environment(&[ours, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4318")])).join("\n");
    assert!(told.contains("telemetry.otlp_endpoint is named twice"), "{told}");
    assert!(Config::load(&environment(&[ours, ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318/")])).is_ok());
}

#[test]
fn what_an_image_says_goes_behind_every_other_word() {
    let folder = Folder::new("packaged");
    let file = folder.file("o.toml", "database = \"of-the-file.db\"\n");
    let image = ("ORDERWRIGHT_DEFAULT__DATABASE", "of-the-image.db");
    let database = |overrides: Overrides| {
        Config::load(&overrides).map(|loaded| loaded.config.database.to_string()).expect("it is right")
    };
    let said = |more: &[(&str, &str)]| Overrides {
        environment: variables(&[&[image], more].concat()),
        ..Overrides::default()
    };
    assert_eq!(database(said(&[])), "of-the-image.db");
    for name in ["ORDERWRIGHT_DATABASE", "ORDERWRIGHT__DATABASE"] {
        assert_eq!(database(said(&[(name, "mine.db")])), "mine.db");
    }
    assert_eq!(database(Overrides { file: Some(file), ..said(&[]) }), "of-the-file.db");
    assert_eq!(database(Overrides { database: Some("flag.db".to_owned()), ..said(&[]) }), "flag.db");
    let told = mistakes(&said(&[("ORDERWRIGHT_DEFAULT__DATABSE", "x")])).join("\n");
    assert!(told.contains("ORDERWRIGHT_DEFAULT__DATABSE: there is no key databse"), "{told}");
}

#[test]
fn a_broker_between_workers_that_do_not_see_each_others_store_is_refused_outside_development() {
    let load = |profile, database: &str| {
        Config::load(&Overrides {
            profile: Some(profile),
            database: Some(database.to_owned()),
            broker: Some("amqp://u:hush@rabbit/v".to_owned()),
            environment: variables(&[
                ("ORDERWRIGHT__PROVIDERS__PAYMENT_WEBHOOK_SECRET", "one that nobody can guess"),
                ("ORDERWRIGHT__PROVIDERS__SHIPPING_WEBHOOK_SECRET", "another that nobody can guess"),
            ]),
            ..Overrides::default()
        })
    };
    for profile in Profile::ALL {
        let shared = load(profile, "postgres://u:hush@127.0.0.1/orders").map(drop);
        assert_eq!(shared.map_err(|mistakes| mistakes.to_string()), Ok(()), "{profile:?}");
        let alone = load(profile, "orders.db").map(drop).map_err(|mistakes| mistakes.to_string());
        match profile {
            Profile::Development => assert_eq!(alone, Ok(())),
            Profile::Staging | Profile::Production => {
                let told = alone.expect_err("the others would not see its orders");
                assert!(
                    told.contains("a file that only one of them sees") && !told.contains("hush"),
                    "{told}"
                );
            }
        }
    }
}
