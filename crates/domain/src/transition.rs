//! The vocabulary of state transitions, shared by order, payment and shipment. It knows no particular status: the
//! tables are with their enums.

/// What a table says about one move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The move may be made.
    Legal,
    /// Nothing to do: the state is reached or passed already.
    NoOp,
    /// The move is illegal.
    Illegal,
}

impl Move {
    /// What a table by destination says about a move from `from` to `to`: where `to` may be entered from, and where it is
    /// passed already.
    pub(crate) fn by_table<S: PartialEq>(from: &S, to: &S, (legal_from, past): (&[S], &[S])) -> Self {
        if from == to || past.contains(from) {
            Self::NoOp
        } else if legal_from.contains(from) {
            Self::Legal
        } else {
            Self::Illegal
        }
    }
}

/// Whether a verb changed anything. A repeat is [`Change::NoChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Change {
    /// The state has changed and must be stored.
    Applied,
    /// The state is unchanged.
    NoChange,
}

impl Change {
    /// Whether it must be stored.
    pub const fn is_applied(self) -> bool {
        matches!(self, Self::Applied)
    }
}

/// Why a move of an order is illegal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransitionReason {
    /// The order has reached its end.
    AlreadyEnded,
    /// Shipped goods cannot be cancelled.
    AlreadyShipped,
    /// An order never goes back.
    Backwards,
    /// A step in between is missing.
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
