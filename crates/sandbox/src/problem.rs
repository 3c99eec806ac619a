//! Why the provider says no: one closed list, each with its status and code on the wire.

use http::StatusCode;

/// `Retry-After` in seconds for a call that was throttled by chance.
const RETRY_AFTER_S: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    CardDeclined,
    AddressRejected,
    RefundRefused,
    RefundUnavailable,
    RefundTooLarge,
    CaptureTooLarge,
    NotCapturable,
    NotRefundable,
    AlreadyHandedOver,
    /// What is to happen cannot happen to something that stands like this.
    NotPossible,
    KeyReused,
    KeyClosed,
    UnknownKey,
    KeyMissing,
    InvalidRequest,
    TooLarge,
    UnknownRoute,
    MethodNotAllowed,
    Throttled,
    /// The rate of its group is used up; 0 seconds are not named.
    RateExceeded {
        retry_after_s: u32,
    },
    ServerError,
    Down,
    Overloaded,
    HistoryFull,
}

impl Problem {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::CardDeclined => "card_declined",
            Self::AddressRejected => "address_rejected",
            Self::RefundRefused => "refund_refused",
            Self::RefundUnavailable => "refund_unavailable",
            Self::RefundTooLarge => "refund_too_large",
            Self::CaptureTooLarge => "capture_too_large",
            Self::NotCapturable => "not_capturable",
            Self::NotRefundable => "not_refundable",
            Self::AlreadyHandedOver => "already_handed_over",
            Self::NotPossible => "not_possible",
            Self::KeyReused => "key_reused",
            Self::KeyClosed => "key_closed",
            Self::UnknownKey => "unknown_key",
            Self::KeyMissing => "key_missing",
            Self::InvalidRequest => "invalid_request",
            Self::TooLarge => "too_large",
            Self::UnknownRoute => "unknown_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Throttled => "throttled",
            Self::RateExceeded { .. } => "rate_exceeded",
            Self::ServerError => "server_error",
            Self::Down => "down",
            Self::Overloaded => "overloaded",
            Self::HistoryFull => "history_full",
        }
    }

    /// `Retry-After` in seconds; none without one.
    pub(crate) fn retry_after_s(self) -> Option<u32> {
        match self {
            Self::Throttled => Some(RETRY_AFTER_S),
            Self::RateExceeded { retry_after_s } => Some(retry_after_s).filter(|seconds| *seconds > 0),
            Self::CardDeclined
            | Self::AddressRejected
            | Self::RefundRefused
            | Self::RefundUnavailable
            | Self::RefundTooLarge
            | Self::CaptureTooLarge
            | Self::NotCapturable
            | Self::NotRefundable
            | Self::AlreadyHandedOver
            | Self::NotPossible
            | Self::KeyReused
            | Self::KeyClosed
            | Self::UnknownKey
            | Self::KeyMissing
            | Self::InvalidRequest
            | Self::TooLarge
            | Self::UnknownRoute
            | Self::MethodNotAllowed
            | Self::ServerError
            | Self::Down
            | Self::Overloaded
            | Self::HistoryFull => None,
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::CardDeclined => StatusCode::PAYMENT_REQUIRED,
            Self::AddressRejected
            | Self::RefundRefused
            | Self::RefundTooLarge
            | Self::CaptureTooLarge
            | Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotCapturable
            | Self::NotRefundable
            | Self::AlreadyHandedOver
            | Self::NotPossible
            | Self::KeyClosed => StatusCode::CONFLICT,
            Self::UnknownKey | Self::UnknownRoute => StatusCode::NOT_FOUND,
            Self::KeyMissing | Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Throttled | Self::RateExceeded { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::RefundUnavailable
            | Self::ServerError
            | Self::Down
            | Self::Overloaded
            | Self::HistoryFull => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
