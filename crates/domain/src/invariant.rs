//! What `check()` returns when a record cannot be true. Not a rejection: nobody asked for anything, data is corrupt.
//! Never used to refuse a request.

use thiserror::Error;

/// A record that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{subject} breaks its invariant: {rule}")]
pub struct BrokenInvariant {
    /// Which record, e.g. `order 0190…`.
    pub subject: String,
    /// The broken rule.
    pub rule: &'static str,
}

/// The first broken rule, if any, blamed on `subject`.
pub(crate) fn check_all(
    subject: impl FnOnce() -> String,
    rules: &[(bool, &'static str)],
) -> Result<(), BrokenInvariant> {
    match rules.iter().find(|(holds, _)| !holds) {
        Some(&(_, rule)) => Err(BrokenInvariant { subject: subject(), rule }),
        None => Ok(()),
    }
}
