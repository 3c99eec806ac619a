//! What is printed without asking any store: the saga's definition, the API's description.

use std::process::ExitCode;

use crate::{say, show};
use anyhow::Result;
use application::saga::diagram;
use clap::{Args, Subcommand, ValueEnum};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Look at the order saga's definition.
#[derive(Debug, Args)]
pub(super) struct SagaDefinition {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Draw it.
    Diagram {
        /// In which language.
        #[arg(long, value_enum, default_value_t = Language::All)]
        language: Language,
    },
    /// What each state does about each event, as a table.
    Table,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    /// Mermaid, then DOT.
    All,
    /// Mermaid.
    Mermaid,
    /// Graphviz.
    Dot,
}

impl SagaDefinition {
    pub(super) fn run(&self) -> ExitCode {
        match self.what {
            What::Diagram { language: Language::Mermaid } => show!("{}", diagram::mermaid()),
            What::Diagram { language: Language::Dot } => show!("{}", diagram::dot()),
            What::Diagram { language: Language::All } => show!("{}\n{}", diagram::mermaid(), diagram::dot()),
            What::Table => show!("{}", diagram::table()),
        }
        ExitCode::SUCCESS
    }
}

pub(super) fn openapi() -> Result<ExitCode> {
    say!("{}", serde_json::to_string_pretty(&crate::http::document())?);
    Ok(ExitCode::SUCCESS)
}
