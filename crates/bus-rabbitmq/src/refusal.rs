//! What an error of the driver means for us, told by codes and never by text.

use std::io;

use bus::{Fault, Verdict};
use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

/// Why the broker, or the way to it, said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is away, or was for a moment.
    Away,
    /// It has no such exchange or queue.
    Unknown,
    /// It has one of that name with other arguments or for another connection alone, or finds a message too large.
    Unfit,
    /// It does not let us in: wrong user, password, virtual host, or too few rights.
    Forbidden,
}

/// What an error says.
pub(super) fn read(error: &lapin::Error) -> Refusal {
    let ErrorKind::ProtocolError(said) = error.kind() else {
        let is_login = matches!(error.kind(), ErrorKind::AuthProviderError(_));
        return if is_login { Refusal::Forbidden } else { Refusal::Away };
    };
    match said.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Refusal::Unknown,
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::RESOURCELOCKED) => {
            Refusal::Unfit
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
        | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Refusal::Forbidden,
        AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => Refusal::Away,
    }
}

/// Whether a queue belongs to another connection alone.
pub(super) fn is_locked(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(said) = error.kind() else { return false };
    *said.kind() == AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED)
}

/// Whether the broker broke down over something and closed the connection (541).
pub(super) fn is_breakdown(error: &lapin::Error) -> bool {
    let ErrorKind::ProtocolError(said) = error.kind() else { return false };
    *said.kind() == AMQPErrorKind::Hard(AMQPHardError::INTERNALERROR)
}

/// Whether the other side ended the connection without a word, as RabbitMQ does if both do not agree about it.
pub(super) fn is_hung_up(error: &lapin::Error) -> bool {
    let ErrorKind::IOError(error) = error.kind() else { return false };
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof
    )
}

/// An error while a link is in use: a broker that must come back will, or it never takes this.
pub(super) fn fault(operation: &'static str, error: lapin::Error) -> Fault {
    let verdict = match read(&error) {
        Refusal::Away | Refusal::Unknown | Refusal::Forbidden => Verdict::Retry,
        Refusal::Unfit => Verdict::GiveUp,
    };
    Fault::new(operation, verdict, error)
}
