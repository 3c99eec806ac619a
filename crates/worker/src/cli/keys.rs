//! `orderwright keys`: makes, lists and revokes the keys that let callers in. A key is shown once, when it is made.

use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use application::ports::{ApiKey, Scope, Scopes};
use clap::{Args, Subcommand};
use comfy_table::{LineStyle, Table, TableStyle};
use jiff::{SignedDuration, Timestamp};
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde_json::{Value, json};

use super::texts;
use super::{Format, Shared};
use crate::any_store::{AnyStore, Purpose};
use crate::config::{Config, Place};
use crate::security::{KEYS_MAX, KeyText};
use crate::wiring;
use crate::{say, tell};

/// A rule beneath the headings and nothing else.
const PLAIN: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// Keys that let callers in.
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    what: What,
    /// Who asks for it; kept with what was done.
    #[arg(long, global = true, env = "USER", default_value = "operator", value_name = "NAME", value_parser = texts::line)]
    actor: String,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key and show it, once.
    Create {
        /// Whose it is.
        #[arg(long, value_parser = texts::line)]
        name: String,
        /// What it may do, with commas: orders:read, orders:write, orders:import, personal:read, stock:read, stock:write, operate, admin.
        #[arg(long, value_name = "SCOPES")]
        scopes: Scopes,
        /// After how many days it lets nobody in any more; never, if left out.
        #[arg(long, value_name = "DAYS")]
        days: Option<u32>,
    },
    /// List all keys with what they may do; the keys themselves are not kept.
    List,
    /// Revoke a key: a running service refuses it within seconds.
    Revoke {
        /// The part between the underscores.
        id: String,
    },
}

impl Keys {
    pub(super) async fn run(self, shared: &Shared) -> Result<ExitCode> {
        let config = shared.config(None)?;
        let store = AnyStore::open(&config, self.what.purpose(&config)).await?;
        let now = wiring::context(&config).clock.now();
        let (actor, format) = (self.actor, shared.format());
        let ran = match self.what {
            What::Create { name, scopes, days } => {
                let wanted = Wanted { name, scopes, days };
                create(&store, wanted, &actor, now, format).await
            }
            What::List => list(&store, now, format).await,
            What::Revoke { id } => revoke(&store, &id, &actor, now, format).await,
        };
        store.upkeep.close().await;
        ran.map(|()| ExitCode::SUCCESS)
    }
}

impl What {
    /// The first key is made before the service may start, so it makes the file that it lies in.
    fn purpose(&self, config: &Config) -> Purpose {
        match (self, config.database.place()) {
            (Self::Create { .. }, Some(Place::File(file))) if is_free(&file) => {
                tell!("makes the database {}", file.display());
                Purpose::Migrate
            }
            (Self::Create { .. } | Self::List | Self::Revoke { .. }, _) => Purpose::Visit,
        }
    }
}

/// Whether a file can be made there: a folder that is not there either was mistyped.
fn is_free(file: &Path) -> bool {
    let in_a_folder = file.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir());
    in_a_folder && !file.exists()
}

struct Wanted {
    name: String,
    scopes: Scopes,
    days: Option<u32>,
}

async fn create(store: &AnyStore, wanted: Wanted, actor: &str, now: Timestamp, format: Format) -> Result<()> {
    let name = wanted.name.trim();
    ensure!(
        (1..=NAME_CHARS_MAX).contains(&name.chars().count()),
        "a name has 1 to {NAME_CHARS_MAX} characters"
    );
    ensure!(!wanted.scopes.is_empty(), "a key without scopes lets nobody in; name one with --scopes");
    ensure!(
        store.keys.keys(KEYS_MAX).await?.len() < KEYS_MAX,
        "there are {KEYS_MAX} keys, and no more are kept"
    );
    let text =
        KeyText::make(|bytes| OsRng.try_fill_bytes(bytes)).context("the system gives no random bytes")?;
    let after = |days: u32| now.checked_add(SignedDuration::from_hours(24 * i64::from(days)));
    let key = ApiKey {
        id: text.id().to_owned(),
        name: name.to_owned(),
        digest: text.digest(),
        scopes: wanted.scopes,
        created_at: now,
        expires_at: wanted.days.map(after).transpose().context("that is too far ahead; fewer --days")?,
        revoked_at: None,
    };
    somebody_reads()?;
    store.keys.add_key(&key, actor).await?;
    let words = match format {
        Format::Json => {
            let mut shown = shown(&key, now);
            shown["key"] = json!(text.expose());
            serde_json::to_string_pretty(&shown)?
        }
        Format::Text => text.expose().to_owned(),
    };
    if let Err(error) = show(&words) {
        let revoked = store.keys.revoke_key(&key.id, actor, now).await;
        let outcome =
            if revoked.is_ok_and(|revoked| revoked) { "is revoked again" } else { "must be revoked" };
        return Err(error)
            .with_context(|| format!("the key could not be shown, so that key {} {outcome}", key.id));
    }
    if format == Format::Text {
        // It is there and was shown; who does not hear this misses nothing.
        tell!("key {} of {name} may {}; it is not shown again", key.id, key.scopes);
    }
    Ok(())
}

/// A key that nobody sees lets nobody in, and somebody would have to find out what it is for.
fn show(words: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{words}")?;
    out.flush()
}

/// Whether what is written to standard output gets anywhere. Where it was closed, the null device has taken its place.
fn somebody_reads() -> Result<()> {
    let device = |path: &str| {
        std::fs::metadata(path).map(|metadata| (metadata.file_type().is_char_device(), metadata.rdev()))
    };
    let (Ok(output), Ok(null)) = (device("/proc/self/fd/1"), device("/dev/null")) else { return Ok(()) };
    ensure!(
        output != null,
        "a key is shown once, and standard output is closed or goes to /dev/null; no key was made"
    );
    Ok(())
}

async fn list(store: &AnyStore, now: Timestamp, format: Format) -> Result<()> {
    let keys = store.keys.keys(KEYS_MAX).await?;
    if format == Format::Json {
        let shown: Vec<Value> = keys.iter().map(|key| shown(key, now)).collect();
        say!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(PLAIN).set_header(["id", "name", "scopes", "state", "created", "expires"]);
    for key in &keys {
        table.add_row([
            key.id.clone(),
            key.name.clone(),
            key.scopes.to_string(),
            state(key, now).to_owned(),
            key.created_at.to_string(),
            key.expires_at.map_or_else(String::new, |at| at.to_string()),
        ]);
    }
    say!("{table}");
    Ok(())
}

async fn revoke(store: &AnyStore, id: &str, actor: &str, now: Timestamp, format: Format) -> Result<()> {
    if !store.keys.revoke_key(id, actor, now).await? {
        bail!("there is no key {id} in force; `orderwright keys list` shows them");
    }
    match format {
        Format::Json => say!("{}", json!({"id": id, "state": "revoked"})),
        Format::Text => say!("key {id} is revoked"),
    }
    Ok(())
}

fn state(key: &ApiKey, now: Timestamp) -> &'static str {
    match (key.revoked_at, key.is_valid(now)) {
        (Some(_), _) => "revoked",
        (None, true) => "in force",
        (None, false) => "past its time",
    }
}

fn shown(key: &ApiKey, now: Timestamp) -> Value {
    let scopes: Vec<&str> = key.scopes.iter().map(Scope::as_str).collect();
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": scopes,
        "state": state(key, now),
        "created_at": key.created_at.to_string(),
        "expires_at": key.expires_at.map(|at| at.to_string()),
        "revoked_at": key.revoked_at.map(|at| at.to_string()),
    })
}
