//! No secret is ever shown: whatever is set wherever it can be set, and whatever command then works or fails.

use crate::program::Folder;

/// Settings with a secret in each, in the environment.
const SECRETS: [(&str, &str, &str); 17] = [
    ("ORDERWRIGHT_DATABASE", "postgres://me:{}@127.0.0.1:1/d", "hush-database"),
    ("ORDERWRIGHT_DATABASE", "postgres://me:x@{}@127.0.0.1:1/d", "hush-behind-an-at"),
    ("ORDERWRIGHT_DATABASE", "host=127.0.0.1 port=1 user=me password={} dbname=d", "hush-key-value"),
    ("ORDERWRIGHT_DATABASE", "postgres://127.0.0.1:1/d?user=me&password={}", "hush-parameter"),
    ("ORDERWRIGHT_DATABASE", "postgres://me:a/{}?b#c@127.0.0.1:1/d", "hush-with-marks"),
    ("ORDERWRIGHT_BROKER", "amqp://me:{}@127.0.0.1:1/v,amqp://me:x{}@127.0.0.1:2/v", "hush-broker"),
    ("ORDERWRIGHT_DATABASE", "postgres://{}@127.0.0.1:1/d", "hush-token"),
    ("ORDERWRIGHT_DATABASE", "postgres//me:{}@127.0.0.1/d", "hush-mistyped"),
    ("ORDERWRIGHT_DATABASE", "Server=127.0.0.1;Pwd={};", "hush-words"),
    ("ORDERWRIGHT_BROKER", "amqp://{}@127.0.0.1:1/v", "hush-brokers-token"),
    ("ORDERWRIGHT_BROKER", "amqp://127.0.0.1:1/v?password={}", "hush-brokers-parameter"),
    ("ORDERWRIGHT_WEBHOOK_SECRET", "{}", "hush-webhook-secret"),
    ("ORDERWRIGHT__SECURITY__ADMIN_KEY", "{}-that-is-long-enough-to-be-one", "hush-admin-key"),
    ("ORDERWRIGHT_PAYMENT_URL", "http://me:{}@127.0.0.1:1", "hush-payment"),
    ("ORDERWRIGHT_SHIPPING_URL", "http://{}@127.0.0.1:1", "hush-user-alone"),
    ("ORDERWRIGHT__TELEMETRY__OTLP_ENDPOINT", "http://me:{}@127.0.0.1:1", "hush-collector"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:{}@127.0.0.1:1", "hush-usual-collector"),
];

const NOTIFICATIONS: [(&str, &str, &str); 4] = [
    ("ORDERWRIGHT__NOTIFICATIONS__SMTP_URL", "smtp://me:{}@127.0.0.1:1", "hush-mail"),
    ("ORDERWRIGHT__NOTIFICATIONS__WEBHOOK_URLS", "https://127.0.0.1/h?key={}", "hush-receiver"),
    ("ORDERWRIGHT__NOTIFICATIONS__WEBHOOK_URLS", "https://me:{}@127.0.0.1/h", "hush-receivers-user"),
    ("ORDERWRIGHT__NOTIFICATIONS__WEBHOOK_SECRET", "{}", "hush-signature"),
];

const COMMANDS: [&[&str]; 15] = [
    &["config", "show"],
    &["config", "check"],
    &["config", "show", "--json"],
    &["check"],
    &["check", "--json"],
    &["migrate"],
    &["orders", "list"],
    &["keys", "list"],
    &["serve", "--listen", "127.0.0.1:0"],
    &["serve", "--listen", "nowhere"],
    &["demo", "--data", "d", "--launch"],
    &["health", "--url", "http://me:hush-health@127.0.0.1:1"],
    &["health", "--url", "me:hush-bare@127.0.0.1:1"],
    &["check", "postgres://me:hush-argument@h/d"],
    &["check", "--databse=postgres://me:hush-flag@h/d", "host=h password=hush-words"],
];

#[test]
fn no_secret_is_shown_by_any_command_wherever_it_is_set() {
    let folder = Folder::new("secrets");
    for (name, form, secret) in SECRETS.iter().chain(&NOTIFICATIONS) {
        let value = form.replace("{}", secret);
        let ways = ("ORDERWRIGHT__NOTIFICATIONS__WAYS", "smtp,webhooks");
        for command in COMMANDS {
            // The profile makes it tell risks; a database that nobody has makes it end.
            let mut environment = vec![(*name, value.as_str()), ("RUST_LOG", "trace")];
            environment.push(("ORDERWRIGHT__PROFILE", "staging"));
            if name.contains("NOTIFICATIONS") {
                environment.push(ways);
            }
            if *name != "ORDERWRIGHT_DATABASE" {
                environment.push(("ORDERWRIGHT_DATABASE", "postgres://127.0.0.1:1/nobody"));
            }
            let everything = folder.run_with(command, &environment).everything();
            assert!(!everything.contains("hush-"), "{command:?} with {name}={value}:\n{everything}");
        }
    }
    let made = std::fs::read_dir(folder.path()).expect("a folder").flatten();
    let named: Vec<_> = made.map(|entry| entry.file_name()).collect();
    assert!(!named.iter().any(|name| name.to_string_lossy().contains("hush-")), "{named:?}");
}

#[test]
fn no_secret_of_a_file_is_shown_by_a_mistake_beside_it() {
    let folder = Folder::new("secrets-file");
    folder.file(
        "o.toml",
        "database = \"host=h password=hush-a\"\n[providers]\npayment_url = \"me:hush-b@host\"\nwebhook_secret = [\"hush-c\"]\n\
         shipping_url = \"https://x?token=hush-d\"\n[rabbitmq]\naddresses = [\"http://u:hush-e@h\"]\n[telemetry]\n\
         otlp_endpoint = \"ftp://hush-f@h\"\n[notifications]\nways = [\"webhooks\"]\nwebhook_urls = [\"http//hush-g@h\"]\n",
    );
    for command in [&["config", "check"][..], &["config", "check", "--json"], &["serve"], &["config", "show"]]
    {
        let everything = folder.run(&[command, &["--config", "o.toml"]].concat()).everything();
        assert!(everything.contains("payment_url") && !everything.contains("hush-"), "{everything}");
    }
}

#[test]
fn a_key_is_made_only_if_it_could_be_shown() {
    let folder = Folder::new("unshown");
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let keys = || folder.run(&["keys", "list", "--json", "--database", "o.db"]).json();
    let create = "keys create --name n --scopes admin --database o.db";
    for lost in [">&-", ">/dev/null", ">/dev/full"] {
        for json in ["", " --json"] {
            let (code, told) = folder.shell(&format!("exec \"$0\" {create}{json} {lost}")).told();
            assert_ne!(code, Some(0), "{lost}: {told}");
            assert!(!told.contains("ow_"), "{lost}: {told}");
        }
        let found = keys();
        let in_force =
            found.as_array().into_iter().flatten().filter(|key| key["state"] == "in force").count();
        assert_eq!(in_force, 0, "{lost}: {found}");
    }
    assert!(folder.shell(&format!("\"$0\" {create} | cat")).answer().starts_with("ow_"));
}
