//! News from the providers: is it really them, and what do they say. Decides nothing about orders.

mod event;
mod signature;

pub use event::{BatchRefused, parse_batch};
pub use signature::{InvalidSecret, SignatureRefused, Verifier};
