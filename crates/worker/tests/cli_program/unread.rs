//! Whoever reads what a command says may go away at any time, as `head` does: the command ends as it would have, without a
//! panic and without a word.

use std::process::{Output, Stdio};

use crate::program::Folder;

/// What nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    Nothing,
    Output,
    Errors,
}

/// What each command is given here: enough to have it say something, and nothing that takes long.
fn arguments(command: &str) -> &'static [&'static str] {
    match command {
        "health" => &["--url", "http://127.0.0.1:9"],
        "check"
        | "migrate"
        | "openapi"
        | "config default"
        | "config schema"
        | "config show"
        | "config check"
        | "keys list"
        | "endpoints list"
        | "events"
        | "webhook-endpoints list"
        | "orders list"
        | "stock list"
        | "sagas list"
        | "dead-letters list"
        | "dead-letters groups"
        | "audit"
        | "saga table"
        | "saga diagram" => &[],
        "keys create" => &["--name", "shop", "--scopes", "operate"],
        "keys revoke" | "orders show" | "orders history" | "sagas show" | "stock show"
        | "stock movements" | "stock reservations" => &["none"],
        "dead-letters show" => &["7"],
        _ => &["--help"],
    }
}

fn run(folder: &Folder, words: &[&str], unread: Unread) -> Output {
    let mut command = folder.command(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    match unread {
        Unread::Nothing => drop(writer),
        Unread::Output => drop(command.stdout(writer)),
        Unread::Errors => drop(command.stderr(writer)),
    }
    command.output().expect("the program can be started")
}

#[test]
fn every_command_ends_as_ever_when_nobody_reads_what_it_says() {
    let folder = Folder::new("unread");
    folder.run(&["migrate", "--database", "orders.db"]).answer();
    let commands = orderwright::cli::commands();
    assert!(commands.len() > 30, "{commands:?}");
    for command in &commands {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.extend(arguments(command));
        words.extend(["--database", "orders.db"]);
        let read = run(&folder, &words, Unread::Nothing);
        for unread in [Unread::Output, Unread::Errors] {
            let ended = run(&folder, &words, unread);
            if command == "keys create" && unread == Unread::Output {
                assert!(!ended.status.success(), "a key that nobody sees is not made: {ended:?}");
                continue;
            }
            assert_eq!(ended.status.code(), read.status.code(), "{command}, {unread:?}: {ended:?}");
            let said = [ended.stdout, ended.stderr].concat();
            assert!(!String::from_utf8_lossy(&said).contains("panicked"), "{command}, {unread:?}");
        }
    }
}

#[test]
fn what_serves_goes_on_serving_when_nobody_reads_what_it_says() {
    let folder = Folder::new("unread-service");
    for command in ["serve", "sandbox"] {
        for unread in [Unread::Output, Unread::Errors] {
            let words = [command, "--until-stdin-ends", "--listen", "127.0.0.1:0", "--database", "orders.db"];
            // Its input has ended before it begins, so that it stops as soon as it serves.
            let ended = run(&folder, &words, unread);
            assert!(ended.status.success(), "{command}, {unread:?}: {ended:?}");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure_with_its_cause() {
    let folder = Folder::new("full");
    let mut command = folder.command(&["openapi"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a disk that is full");
    let ended = command.stdout(full).stderr(Stdio::piped()).output().expect("the program can be started");
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && told.starts_with("error: the answer cannot be written"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}
