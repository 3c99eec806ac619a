//! A rule about log lines: the words of an event are its member `message`, so no field may have that name; a line of JSON would
//! have two of them, and the words that an operator searches for would be lost. Reads the text only, and knows no macro but those of
//! `tracing`.

use crate::tree::{Finding, TextFile, Tree};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// No event has a field called `message`.
pub(super) fn has_one_message(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs").flat_map(doubled).collect()
}

fn doubled(file: &TextFile) -> Vec<Finding> {
    let text = &file.text;
    let events = LEVELS.iter().flat_map(|level| {
        let opening = format!("tracing::{level}!(");
        let ends: Vec<usize> = text.match_indices(&opening).map(|(at, found)| at + found.len()).collect();
        ends
    });
    let wrong = events.filter(|start| fields(&text[*start..]).iter().any(|field| names_message(field)));
    let line = |start: usize| text[..start].matches('\n').count() + 1;
    let said = "has a field `message` beside the event's own words; give it another name";
    wrong.map(|start| file.finding(line(start), said)).collect()
}

/// What is between the commas, up to the end of the call; of what is in quotes or within brackets nothing is left.
fn fields(call: &str) -> Vec<String> {
    let (mut fields, mut field, mut depth) = (Vec::new(), String::new(), 0);
    let (mut in_quotes, mut is_escaped) = (false, false);
    for c in call.chars() {
        match c {
            _ if in_quotes => {
                in_quotes = is_escaped || c != '"';
                is_escaped = !is_escaped && c == '\\';
            }
            '"' => in_quotes = true,
            ')' if depth == 0 => break,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => fields.push(std::mem::take(&mut field)),
            _ if depth == 0 => field.push(c),
            _ => {}
        }
    }
    fields.push(field);
    fields
}

fn names_message(field: &str) -> bool {
    let name = field.split('=').next().unwrap_or_default();
    name.trim().trim_start_matches(['%', '?']) == "message"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tree_of;

    fn lines(text: &str) -> Vec<usize> {
        has_one_message(&tree_of(&[("a.rs", text)])).into_iter().map(|finding| finding.line).collect()
    }

    /// An event with these arguments. The macro's name is put together here, so that this file does not break its own rule.
    fn event(arguments: &str) -> String {
        format!("fn f() {{\n    {}({arguments});\n}}\n", concat!("tracing::", "warn!"))
    }

    #[test]
    fn a_field_called_message_is_found_however_it_is_written() {
        for field in ["message", "%message", "?message", "message = 1", "message = %x.y(1, 2)"] {
            assert_eq!(lines(&event(&format!("a = 1, {field}, \"words, and more\""))), [2], "{field}");
        }
    }

    #[test]
    fn the_words_themselves_and_other_names_are_let_be() {
        let ends = [
            "\"message, of \\\" all: {message}\"",
            "message_id = 1, \"x\"",
            "x = f(message, message), \"y\"",
            "%fault, ?messages, \"z\"",
        ];
        for arguments in ends {
            assert!(lines(&event(arguments)).is_empty(), "{arguments}");
        }
    }
}
