//! What is written: the golden files, and the documents that show them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use application::pipeline::topology;
use bus::Envelope;
use bus_rabbitmq::wire::Parcel;
use serde_json::Value;

use super::one_of_each::{answers, dead_letter, messages, requests};
use super::understood::envelope_parcel;
use super::*;

/// Every example: the name of its file, and what stands in it.
fn examples() -> BTreeMap<String, String> {
    let pretty = |parcel: Parcel| format!("{}\n", indented(std::str::from_utf8(&parcel.body).unwrap()));
    let mut examples: BTreeMap<String, String> = messages()
        .iter()
        .chain(&requests())
        .map(|envelope| (envelope.kind.to_string(), pretty(codec().encode(envelope).unwrap())))
        .collect();
    let answers = answers().into_iter();
    examples.extend(
        answers.map(|answer| {
            (answer.envelope.kind.to_string(), pretty(codec().encode_answer(&answer).unwrap()))
        }),
    );
    examples.insert("Fault-PaymentFailed".into(), pretty(codec().encode_fault(&dead_letter()).unwrap()));
    examples
}

/// JSON over several lines, its fields in their order; a value read and written again would sort them.
fn indented(json: &str) -> String {
    let (mut out, mut depth, mut in_text, mut is_escaped) = (String::new(), 0, false, false);
    let mut letters = json.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    while let Some(letter) = letters.next() {
        let is_empty = matches!(letters.peek(), Some('}' | ']'));
        if in_text || letter == '"' {
            in_text ^= letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            out.push(letter);
            continue;
        }
        match letter {
            '{' | '[' if is_empty => {
                out.push(letter);
                out.extend(letters.next());
            }
            '{' | '[' => {
                out.push(letter);
                depth += 1;
                new_line(&mut out, depth);
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(letter),
        }
    }
    out
}

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// How the examples are written anew after a change that was meant: run these tests with this variable set.
const REWRITE: &str = "ORDERWRIGHT_REWRITE_EXAMPLES";

#[test]
fn the_golden_files_show_each_message_as_it_is_written() {
    let expected = examples();
    let folder = docs().join("interop");
    if std::env::var_os(REWRITE).is_some() {
        for (name, text) in &expected {
            fs::write(folder.join(format!("{name}.json")), text).unwrap();
        }
    }
    let found: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "set {REWRITE}=1 if this is meant"
    );
    for (name, text) in &expected {
        assert_eq!(&found[name], text, "{name}: set {REWRITE}=1 if this is meant");
    }
}

#[test]
fn the_document_shows_the_golden_files() {
    const MARK: &str = "<!-- examples: written by a test -->\n";
    let path = docs().join("interop.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once(MARK).expect("the document has its mark");
    let sections = examples().into_iter().map(|(name, json)| format!("\n### {name}\n\n```json\n{json}```\n"));
    let expected: String = sections.collect();
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, format!("{before}{MARK}{expected}")).unwrap();
        return;
    }
    assert!(after == expected, "docs/interop.md is behind; set {REWRITE}=1 if this is meant");
}

#[test]
fn the_contracts_for_dotnet_have_each_message_with_each_of_its_members() {
    let path = docs().join("masstransit.md");
    let text = fs::read_to_string(&path).unwrap();
    for (kind, example) in examples().iter().filter(|(kind, _)| !kind.starts_with("Fault")) {
        let begin = format!("public record {kind}(");
        let (_, rest) =
            text.split_once(&begin).unwrap_or_else(|| panic!("{begin} is not in {}", path.display()));
        let (parameters, _) = rest.split_once(");").unwrap();
        let named: Vec<&str> =
            parameters.split(',').map(|parameter| parameter.rsplit(' ').next().unwrap()).collect();
        let envelope: Value = serde_json::from_str(example).unwrap();
        for member in envelope["message"].as_object().unwrap().keys() {
            let name = format!("{}{}", member[..1].to_uppercase(), &member[1..]);
            assert!(named.contains(&name.as_str()), "{kind} has {name}, and the record has {named:?}");
        }
    }
}

#[test]
fn no_message_of_the_pipeline_is_without_an_example() {
    let declared = include_str!("../../../application/src/messages.rs").matches("\n#[message(kind").count();
    assert_eq!(messages().len(), declared, "one of each, the timer among them");
    let names = examples();
    for queue in topology().all_queues() {
        for kind in topology().kinds(&queue) {
            assert!(names.contains_key(kind), "{kind} of queue {queue}");
        }
    }
}

#[test]
fn every_golden_file_is_read_back_as_the_message_that_it_shows() {
    for sent in messages().into_iter().chain(requests()) {
        let text = fs::read(docs().join(format!("interop/{}.json", sent.kind))).unwrap();
        let read = codec().decode(&envelope_parcel(text), &[&sent.kind], RECEIVED_AT).unwrap();
        let body = |envelope: &Envelope| serde_json::from_slice::<Value>(&envelope.body).unwrap();
        assert_eq!(body(&read), body(&sent));
        assert_eq!(Envelope { body: sent.body.clone(), ..read }, sent);
    }
}
