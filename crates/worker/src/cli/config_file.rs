//! `orderwright config`: checks and shows the configuration. Secrets appear as stars.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{Format, Shared};
use crate::config;

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
    /// Print what is in force: defaults, file, environment and flags together.
    Show,
    /// Print the documented file with every default, to start from.
    Default,
}

impl ConfigFile {
    pub(super) fn run(&self, shared: &Shared) -> Result<ExitCode> {
        if matches!(self.what, What::Default) {
            print!("{}", config::DEFAULT_FILE);
            return Ok(ExitCode::SUCCESS);
        }
        let config = shared.config(None)?;
        match (&self.what, shared.format()) {
            (What::Check, Format::Text) => println!("the configuration is right"),
            (What::Check, Format::Json) => println!("{{\"valid\":true}}"),
            (What::Show | What::Default, Format::Json) => {
                println!("{}", serde_json::to_string_pretty(&config)?);
            }
            (What::Show | What::Default, Format::Text) => print!("{}", toml::to_string(&config)?),
        }
        Ok(ExitCode::SUCCESS)
    }
}
