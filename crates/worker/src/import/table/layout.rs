//! Finds out from the beginning of a text what separates its fields and where its headings are.

use std::io::Read;

use anyhow::{Context, Result};

use super::encoding::Encoding;
use super::places::{self, Places};
use super::records::{Record, Records};
use crate::import::Mapping;

/// Records at the beginning among which the headings are looked for.
pub(super) const RECORDS_MAX: usize = 40;

/// Bytes at the beginning that are looked at.
const BEGINNING_BYTES_MAX: u64 = 1024 * 1024;

/// Delimiters that are tried.
pub(crate) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// How a text is laid out.
pub(super) struct Layout {
    pub(super) delimiter: u8,
    /// Lines before the headings.
    pub(super) lines_before: u64,
    pub(super) places: Places,
}

impl Layout {
    /// Looks at the beginning.
    pub(super) fn find(source: impl Read, mapping: &Mapping) -> Result<Self> {
        let mut beginning = String::new();
        let mut source = source.take(BEGINNING_BYTES_MAX);
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).context("the file cannot be read")?;
        beginning.push_str(&String::from_utf8_lossy(&bytes));
        let text = beginning.trim_start_matches('\u{feff}');
        let named = mapping.delimiter.and_then(|delimiter| u8::try_from(delimiter).ok());
        let said = separator_line(text);
        let tried = match said.or(named) {
            Some(one) => vec![one],
            None => DELIMITERS.to_vec(),
        };
        let before = u64::from(mapping.header_lines);
        let mut first_mistake = None;
        for delimiter in tried {
            let before = if said.is_some() { before.max(1) } else { before };
            let records = first_records(text, delimiter, before, mapping)?;
            match places::find(&records, mapping) {
                Ok((places, at)) => {
                    let line = records.get(at).map_or(1, |record| record.line);
                    return Ok(Self { delimiter, lines_before: line - 1, places });
                }
                Err(mistake) => first_mistake = first_mistake.or(Some(mistake)),
            }
        }
        Err(first_mistake.expect("at least one delimiter was tried"))
    }

    /// What was found, for people.
    pub(super) fn in_words(&self, encoding: Encoding) -> String {
        let delimiter = match self.delimiter {
            b',' => "commas".to_owned(),
            b';' => "semicolons".to_owned(),
            b'\t' => "tabs".to_owned(),
            other => format!("'{}'", char::from(other)),
        };
        let before = match self.lines_before {
            0 => String::new(),
            1 => ", 1 line before the headings".to_owned(),
            more => format!(", {more} lines before the headings"),
        };
        format!("{}, fields separated by {delimiter}{before}", encoding.name())
    }
}

/// What `sep=,` in the first line says, as spreadsheets write it.
fn separator_line(text: &str) -> Option<u8> {
    let line = text.lines().next()?.split('\r').next()?.trim_matches('"');
    let (name, separator) = line.split_once('=')?;
    let separator = separator.strip_suffix('"').unwrap_or(separator);
    let mut characters = if separator == "\\t" { "\t".chars() } else { separator.chars() };
    match (characters.next(), characters.next()) {
        (Some(one), None) if name.trim().eq_ignore_ascii_case("sep") => {
            u8::try_from(one).ok().filter(u8::is_ascii)
        }
        _ => None,
    }
}

fn first_records(text: &str, delimiter: u8, before: u64, mapping: &Mapping) -> Result<Vec<Record>> {
    let mut records = Records::new(text.as_bytes(), delimiter, mapping.quoting);
    records.pass_over(before).context("the file cannot be read")?;
    let mut found = Vec::new();
    while found.len() < RECORDS_MAX
        && let Some(record) = records.record().context("the file cannot be read")?
    {
        found.push(record);
    }
    Ok(found)
}
