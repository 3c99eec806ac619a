//! Who does something, and why: what every act of a person is asked for.

use serde::Deserialize;

use super::body;
use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::problem::Problem;
use super::shape::{Schema, Shape, need};
use super::text::Texts;

/// Somebody who acts, and the reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    pub(super) actor: String,
    pub(super) note: String,
}

impl Signature {
    /// From a text that says nothing else.
    pub(super) fn of(text: &[u8]) -> Result<Self, Problem> {
        let signature: Self = body::parse(text, &SIGNATURE.shape)?;
        let mut texts = Texts::default();
        signature.check(&mut texts);
        texts.finish()?;
        Ok(signature)
    }

    pub(super) fn check(&self, texts: &mut Texts) {
        texts.needed("/actor", &self.actor, TEXT_BYTES_MAX);
        texts.needed("/note", &self.note, NOTE_BYTES_MAX);
    }
}

pub(super) static SIGNATURE: Schema = Schema {
    name: "Signature",
    shape: Shape::Object(&[need("actor", Shape::Text, "Who."), need("note", Shape::Text, "Why.")]),
};
