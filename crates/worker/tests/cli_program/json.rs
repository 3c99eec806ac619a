//! `--json` holds for every command and for every failure: one object with a code and a message.

use serde_json::Value;

use crate::program::Folder;

fn failure(folder: &Folder, arguments: &[&str]) -> Value {
    let (code, told) = folder.run(&[arguments, &["--json"]].concat()).told();
    assert_ne!(code, Some(0), "{arguments:?}: {told}");
    let told: Value =
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {told}"));
    for member in ["code", "message"] {
        assert!(told[member].as_str().is_some_and(|text| !text.is_empty()), "{arguments:?}: {told}");
    }
    told
}

#[test]
fn every_failure_is_one_object_with_a_code_and_a_message() {
    let folder = Folder::new("json-failures");
    folder.file("garbage.db", "not a database at all, however long one looks at it".repeat(50));
    folder.file("bad.toml", "listen = 1\n");
    for (arguments, code) in [
        (&["check", "--database", "none.db"][..], "database_missing"),
        (&["orders", "list", "--database", "none.db"], "database_missing"),
        (&["keys", "list", "--database", "none.db"], "database_missing"),
        (&["migrate", "--database", "garbage.db"], "database_foreign"),
        (&["serve", "--config", "bad.toml"], "configuration"),
        (&["config", "show", "--config", "bad.toml"], "configuration"),
        (&["check", "--database", "postgres://u:p@127.0.0.1:1/d"], "database_unreachable"),
        (&["health", "--url", "http://127.0.0.1:1"], "failed"),
        (&["import", "none.csv", "--mapping", "northwind"], "failed"),
        (&["sandbox", "--listen", "nowhere at all"], "failed"),
        (&["launch"], "usage"),
        (&["orders"], "usage"),
        (&["orders", "list", "--status", "lost"], "usage"),
        (&[], "usage"),
    ] {
        assert_eq!(failure(&folder, arguments)["code"], code, "{arguments:?}");
    }
}

#[test]
fn every_answer_is_json_where_it_is_asked_for() {
    let folder = Folder::new("json-answers");
    folder.run(&["migrate", "--database", "o.db"]).answer();
    for arguments in [
        &["migrate"][..],
        &["check"],
        &["orders", "list"],
        &["stock", "list"],
        &["sagas", "list"],
        &["dead-letters", "list"],
        &["dead-letters", "groups"],
        &["dead-letters", "redrive", "--dry-run"],
        &["dead-letters", "discard", "--dry-run"],
        &["audit"],
        &["keys", "list"],
        &["keys", "create", "--name", "n", "--scopes", "admin"],
        &["endpoints", "list"],
        &["events"],
        &["webhook-endpoints", "list"],
        &["webhook-endpoints", "add", "https://shop.example/"],
        &["config", "show"],
        &["config", "check"],
        &["config", "default"],
        &["config", "schema"],
        &["openapi"],
        &["saga", "table"],
        &["saga", "diagram"],
        &["saga", "diagram", "--language", "dot"],
    ] {
        folder.run(&[arguments, &["--database", "o.db", "--json"]].concat()).json();
    }
}

/// Every command that has none below it, as its own help names them.
fn commands(folder: &Folder, above: &[String]) -> Vec<Vec<String>> {
    let asked: Vec<&str> = above.iter().map(String::as_str).chain(["--help"]).collect();
    let help = folder.run(&asked).answer();
    let listed =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    if names.is_empty() {
        return vec![above.to_vec()];
    }
    let below = |name: &&str| commands(folder, &[above, &[(*name).to_owned()]].concat());
    names.iter().filter(|name| **name != "help").flat_map(below).collect()
}

#[test]
fn every_command_there_is_answers_or_fails_in_json() {
    let folder = Folder::new("json-sweep");
    folder.file("bad.toml", "listen = \"nowhere\"\n");
    let all = commands(&folder, &[]);
    assert!(all.len() > 30, "{all:?}");
    for command in all {
        let wanted = ["--config", "bad.toml", "--json"];
        let arguments: Vec<&str> = command.iter().map(String::as_str).chain(wanted).collect();
        let ran = folder.run(&arguments);
        match ran.told() {
            (Some(0), _) => drop(ran.json()),
            (_, told) if told.is_empty() => {
                // A check that found something answers with what it found.
                serde_json::from_str::<Value>(&ran.failure())
                    .unwrap_or_else(|error| panic!("{command:?}: {error}"));
            }
            (_, told) => {
                let told: Value = serde_json::from_str(&told)
                    .unwrap_or_else(|error| panic!("{command:?}: {error}: {told}"));
                assert!(told["code"].is_string() && told["message"].is_string(), "{command:?}: {told}");
            }
        }
    }
}
