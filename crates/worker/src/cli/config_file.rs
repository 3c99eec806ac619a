//! `orderwright config`: checks and shows the configuration. Secrets appear as stars.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Format, Shared};
use crate::config::{self, Config, Loaded, Mistakes};
use crate::{say, show};

/// Look at the configuration.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say whether it is right, or everything that is wrong with it.
    Check,
    /// Print what is in force: defaults, profile, file, environment and flags together.
    Show,
    /// Print the documented file with every default, to start from.
    Default,
    /// Print the JSON schema of the file, for editors.
    Schema,
}

impl ConfigFile {
    pub(super) fn run(&self, shared: &Shared) -> Result<ExitCode> {
        match self.what {
            What::Check => return check(shared),
            What::Default => match shared.format() {
                Format::Json => say!("{}", serde_json::to_string_pretty(&Config::default())?),
                Format::Text => show!("{}", config::DEFAULT_FILE),
            },
            What::Schema => say!("{}", serde_json::to_string_pretty(&config::document())?),
            What::Show => {
                let config = shared.config(None)?;
                match shared.format() {
                    Format::Json => say!("{}", serde_json::to_string_pretty(&config)?),
                    Format::Text => show!("{}", toml::to_string(&config)?),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn check(shared: &Shared) -> Result<ExitCode> {
    let (mistakes, risks) = match Config::load(&shared.overrides(None)) {
        Ok(Loaded { risks, .. }) => (Vec::new(), risks.into_iter().map(|risk| risk.text).collect()),
        Err(Mistakes(mistakes)) => (mistakes, Vec::new()),
    };
    let risks: Vec<String> = risks;
    match shared.format() {
        Format::Json => {
            let found = json!({"valid": mistakes.is_empty(), "mistakes": mistakes, "risks": risks});
            say!("{}", serde_json::to_string_pretty(&found)?);
        }
        Format::Text => {
            mistakes.iter().for_each(|mistake| say!("mistake: {mistake}"));
            risks.iter().for_each(|risk| say!("risk: {risk}"));
            match mistakes.len() {
                0 => say!("the configuration is right"),
                1 => say!("1 mistake"),
                several => say!("{several} mistakes"),
            }
        }
    }
    Ok(if mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
