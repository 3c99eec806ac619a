//! What is printed without asking any store: the saga's definition, the API's description.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::{say, show};
use anyhow::Result;
use application::saga::diagram;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

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
    pub(super) fn run(&self, format: Format) -> ExitCode {
        let parts: Vec<(&str, String)> = match self.what {
            What::Diagram { language: Language::Mermaid } => vec![("mermaid", diagram::mermaid())],
            What::Diagram { language: Language::Dot } => vec![("dot", diagram::dot())],
            What::Diagram { language: Language::All } => {
                vec![("mermaid", diagram::mermaid()), ("dot", diagram::dot())]
            }
            What::Table => vec![("table", diagram::table())],
        };
        match format {
            Format::Json => say!("{}", json!(parts.into_iter().collect::<BTreeMap<_, _>>())),
            Format::Text => {
                let texts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
                show!("{}", texts.join("\n"));
            }
        }
        ExitCode::SUCCESS
    }
}

pub(super) fn openapi() -> Result<ExitCode> {
    say!("{}", serde_json::to_string_pretty(&crate::http::document())?);
    Ok(ExitCode::SUCCESS)
}
