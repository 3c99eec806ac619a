//! Nothing that somebody sent moves a terminal: what the program repeats of its arguments, its settings or its data is spelled
//! out.

use crate::program::Folder;

const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\u{202e}b";

#[track_caller]
fn assert_harmless(said: &str) {
    let raw: Vec<char> = said.chars().filter(|c| !domain::text::Lines::Many.allow(*c)).collect();
    assert!(raw.is_empty(), "{raw:?} in {said:?}");
}

#[test]
fn what_was_given_is_spelled_out_where_it_is_repeated() {
    let folder = Folder::new("terminal");
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let unknown = folder.run(&["orders", "show", HOSTILE, "--database", "o.db"]).refusal();
    assert_harmless(&unknown);
    assert!(unknown.contains("\\u001b[2J"), "it is spelled out: {unknown}");
    for arguments in [
        &["serve", "--listen", HOSTILE][..],
        &["orders", "list", "--database", HOSTILE],
        &["check", "--database", HOSTILE],
        &["migrate", "--config", HOSTILE],
        &["orders", "list", "--status", HOSTILE],
        &["config", "check", "--config", HOSTILE],
        &[HOSTILE],
    ] {
        assert_harmless(&folder.run(arguments).said());
    }
}

#[test]
fn what_is_kept_of_an_argument_holds_no_controls() {
    let folder = Folder::new("kept");
    folder.run(&["migrate", "--database", "o.db"]).answer();
    let id = "00000000-0000-0000-0000-000000000000";
    for arguments in [
        &["orders", "cancel", id, "--note", HOSTILE][..],
        &["orders", "cancel", id, "--actor", "a\nb"],
        &["sagas", "retry", id, "--actor", HOSTILE, "--note", "n"],
        &["keys", "create", "--name", HOSTILE, "--scopes", "admin"],
        &["stock", "receive", "X", "1", "--reason", HOSTILE],
    ] {
        let told = folder.run(&[arguments, &["--database", "o.db"]].concat()).said();
        assert!(told.contains("U+"), "{arguments:?}: {told}");
    }
}

#[test]
fn settings_are_shown_spelled_out_and_json_stays_json() {
    let folder = Folder::new("settings");
    folder.file("o.toml", "[notifications]\nfile = \"a\\u001b[2J\u{9b}31m\u{202e}b\"\n");
    assert_harmless(&folder.run(&["config", "show", "--config", "o.toml"]).answer());
    let shown = folder.run(&["config", "show", "--config", "o.toml", "--json"]);
    assert_harmless(&shown.answer());
    assert_eq!(shown.json()["notifications"]["file"], HOSTILE);
}
