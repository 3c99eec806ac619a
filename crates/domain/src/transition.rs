//! The vocabulary of moving from one state to another, shared by the order and its two axes.
//! It must never know a particular status: the tables live with their enums.

/// What a table says about one move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The move may be made.
    Legal,
    /// Nothing to do: we are there already, or have come past it.
    NoOp,
    /// The move breaks the table.
    Illegal,
}

/// Whether a verb altered anything. A repeat of something already done is [`Change::NoChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Change {
    /// The state is different now and needs to be stored.
    Applied,
    /// The state is what it was.
    NoChange,
}

impl Change {
    /// Whether there is something to store.
    pub const fn is_applied(self) -> bool {
        matches!(self, Self::Applied)
    }
}

/// Why a move of an order is illegal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransitionReason {
    /// The order has reached an end and moves no more.
    AlreadyEnded,
    /// Goods that have left the house cannot be cancelled.
    AlreadyShipped,
    /// The order has been there before; it never goes back.
    Backwards,
    /// A step in between has not been taken.
    StepSkipped,
}

impl TransitionReason {
    /// The stable snake_case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyEnded => "already_ended",
            Self::AlreadyShipped => "already_shipped",
            Self::Backwards => "backwards",
            Self::StepSkipped => "step_skipped",
        }
    }
}

impl std::fmt::Display for TransitionReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
