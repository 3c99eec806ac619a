//! How a command says no: in one line for people, as one JSON object for programs, and never with a secret.

use std::process::ExitCode;

use anyhow::Error;
use bus::Fault;
use infrastructure::postgres::ConnectError;
use infrastructure::sqlite::OpenError;
use serde_json::json;

use super::Format;
use crate::conceal::conceal;
use crate::config::Mistakes;
use crate::tell;

/// Exit code of whoever does not know what is wanted, as everywhere.
const USAGE: u8 = 2;

/// A command that failed.
pub(super) fn of_command(error: &Error, format: Format) -> ExitCode {
    let words = format!("{error:#}");
    let words = conceal(&words);
    match format {
        Format::Text => tell!("error: {words}"),
        Format::Json => tell!("{}", json!({"code": code(error), "message": words})),
    }
    ExitCode::FAILURE
}

/// Arguments that mean nothing; or a question about the arguments, which is answered.
pub(super) fn of_usage(usage: &clap::Error) -> ExitCode {
    if !usage.use_stderr() {
        // Whoever asked and reads no answer has gone away.
        let _ = usage.print();
        return ExitCode::SUCCESS;
    }
    let words = usage.render().to_string();
    let words = conceal(&words);
    if std::env::args_os().any(|argument| argument == "--json") {
        tell!("{}", json!({"code": "usage", "message": words.trim_end()}));
    } else {
        tell!("{}", words.trim_end());
    }
    ExitCode::from(USAGE)
}

/// What kind of failure it is, for programs.
fn code(error: &Error) -> &'static str {
    for cause in error.chain() {
        if cause.is::<Mistakes>() {
            return "configuration";
        }
        if let Some(refused) = cause.downcast_ref::<OpenError>() {
            return of_file(refused);
        }
        if let Some(refused) = cause.downcast_ref::<ConnectError>() {
            return of_server(refused);
        }
        if cause.is::<Fault>() {
            return "store";
        }
    }
    "failed"
}

const fn of_file(refused: &OpenError) -> &'static str {
    match refused {
        OpenError::Missing { .. } => "database_missing",
        OpenError::NotADatabase { .. } | OpenError::Foreign { .. } => "database_foreign",
        OpenError::Older { .. } => "database_older",
        OpenError::Newer { .. } => "database_newer",
        OpenError::InUse { .. } | OpenError::AnotherName { .. } => "database_in_use",
        OpenError::FolderNotWritable { .. } | OpenError::Unusable { .. } => "database_unusable",
    }
}

const fn of_server(refused: &ConnectError) -> &'static str {
    match refused {
        ConnectError::NoDatabase { .. } | ConnectError::NoTables { .. } => "database_missing",
        ConnectError::Foreign { .. } => "database_foreign",
        ConnectError::Older { .. } => "database_older",
        ConnectError::Newer { .. } => "database_newer",
        ConnectError::Unreachable { .. } => "database_unreachable",
        ConnectError::Refused { .. }
        | ConnectError::NotAllowed { .. }
        | ConnectError::NotGranted { .. }
        | ConnectError::ReadOnly { .. } => "database_refused",
        ConnectError::Address { .. }
        | ConnectError::Encoding { .. }
        | ConnectError::Held { .. }
        | ConnectError::Pooled { .. }
        | ConnectError::TooFew { .. }
        | ConnectError::TooOld { .. }
        | ConnectError::Unusable { .. } => "database_unusable",
    }
}
