//! Checks the free texts of requests: who, why, a name. Every mistake is kept until all are found.

use std::fmt::Display;

use domain::text::{Lines, refuse};

use super::limits::TEXT_BYTES_MAX;
use super::problem::{Code, Problem, Wrong};

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Texts(Vec<Wrong>);

impl Texts {
    pub(super) fn add(&mut self, wrong: Wrong) {
        self.0.push(wrong);
    }

    /// A text that must say something.
    pub(super) fn needed(&mut self, pointer: &str, text: &str, bytes_max: usize) {
        if text.trim().is_empty() {
            self.add(Wrong::at(pointer, "empty", "must not be empty"));
        }
        self.optional(pointer, Some(text), bytes_max);
    }

    /// A text that may be left out.
    pub(super) fn optional(&mut self, pointer: &str, text: Option<&str>, bytes_max: usize) {
        if let Some(text) = text.filter(|text| text.len() > bytes_max) {
            let detail = format!("at most {bytes_max} bytes, this has {}", text.len());
            self.add(Wrong::at(pointer, "too_long", detail));
        }
        // What may be long may have lines.
        let lines = if bytes_max > TEXT_BYTES_MAX { Lines::Many } else { Lines::One };
        if let Some(error) = text.and_then(|text| refuse(text, lines).err()) {
            self.add(Wrong::at(pointer, "forbidden_character", error.to_string()));
        }
    }

    /// A number within bounds.
    pub(super) fn within(&mut self, pointer: &str, value: i64, min: i64, max: i64) {
        if !(min..=max).contains(&value) {
            let detail = format!("must be from {min} to {max}, this is {value}");
            self.add(Wrong::at(pointer, "out_of_range", detail));
        }
    }

    /// What was parsed, if it could be.
    pub(super) fn take<T, E: Display>(
        &mut self,
        pointer: &str,
        code: &'static str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        parsed.map_err(|error| self.add(Wrong::at(pointer, code, error.to_string()))).ok()
    }

    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::of(Code::ValidationFailed, self.0)) }
    }
}
