//! `orderwright health`: asks a running service how it is; the exit code is for probes of containers.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::{Format, Shared};
use crate::config::shown;
use crate::say;

/// How long the answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of the answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Ask a running service how it is. Succeeds if it can serve, whoever else is ill.
#[derive(Debug, Args)]
pub(super) struct Health {
    /// Address of the service; by default the one that the configuration listens on.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Address to ask if nobody answers at the first, as where a container may run one program or another.
    #[arg(long, value_name = "URL")]
    or_url: Option<String>,
    /// Fail if any of its parts is down, such as a provider.
    #[arg(long)]
    whole: bool,
}

impl Health {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let base = match self.url {
            Some(url) => url,
            None => format!("http://{}", shared.config(None)?.listen.replace("0.0.0.0", "127.0.0.1")),
        };
        let (base, ready) = someone(&base, self.or_url.as_deref()).await?;
        let (whole, report) = ask(&base, "/health").await?;
        match shared.format() {
            Format::Json => say!("{}", serde_json::to_string_pretty(&report)?),
            Format::Text => print(&report, ready),
        }
        let judged = if self.whole { whole } else { ready };
        Ok(if judged == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Who answers, and whether it can serve.
async fn someone(first: &str, other: Option<&str>) -> Result<(String, StatusCode)> {
    let first = first.trim_end_matches('/');
    match (ask(first, "/health/ready").await, other) {
        (Err(_), Some(other)) => {
            let other = other.trim_end_matches('/');
            let (ready, _) =
                ask(other, "/health/ready").await.with_context(|| format!("nor at {}", shown(first)))?;
            Ok((other.to_owned(), ready))
        }
        (answered, _) => Ok((first.to_owned(), answered?.0)),
    }
}

fn print(report: &Value, ready: StatusCode) {
    let word = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let serves = if ready == StatusCode::OK { "can serve" } else { "cannot serve" };
    say!("{} ({serves})", word(&report["status"]));
    for (what, with) in report["uses"].as_object().into_iter().flatten() {
        say!("  {:<9} {what:<20} {}", "uses", word(with));
    }
    for check in report["checks"].as_array().into_iter().flatten() {
        say!("  {:<9} {:<20} {}", word(&check["status"]), word(&check["name"]), word(&check["detail"]));
    }
}

async fn ask(base: &str, path: &str) -> Result<(StatusCode, Value)> {
    let uri: Uri = format!("{base}{path}")
        .parse()
        .with_context(|| format!("'{}' is not an address; write http://HOST:PORT", shown(base)))?;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let asking = async {
        let response =
            client.get(uri).await.with_context(|| format!("no service answers at {}", shown(base)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("its answer breaks off: {error}"))?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    };
    tokio::time::timeout(ANSWER_TIME_MAX, asking)
        .await
        .with_context(|| format!("no answer from {} within {ANSWER_TIME_MAX:?}", shown(base)))?
}
