//! What a process does about the tables of a database when it opens it.

/// Whether a process makes what it needs, or takes only what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    /// It makes them where there are none, and brings them up to date.
    #[default]
    Migrated,
    /// They must be there and be of this program's version. Nothing is written to find that out.
    Expected,
}
