//! Logs: readable lines on a terminal, one JSON object a line elsewhere, unless the configuration says otherwise. Always to
//! standard error, so that a command's answer on standard output stays clean. Never a secret: what drivers would write of
//! the values they are given is not let through at any level.

use std::fmt::Debug;
use std::io::IsTerminal;
use std::sync::OnceLock;

use domain::text::{Lines, shown};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::reload::Error;

use crate::conceal::Concealing;
use crate::config::{LogFormat, OrderEvents, Telemetry};
use crate::terminal::{LogWriter, has_colours};

/// What is logged when `RUST_LOG` says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// A server: everything. The broker driver's messages are left out; its caller logs them.
    Serving,
    /// A command: only what goes wrong.
    Command,
}

/// What drivers are never asked for: they would write down statements with their values, and bodies.
const TELLTALES: [&str; 4] = ["tokio_postgres=info", "hyper=info", "hyper_util=info", "h2=info"];

/// The callers of the broker's driver and of the database's pool log the same.
const REPEATED: [&str; 2] = ["lapin=off", "deadpool=off"];

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Pretty,
}

/// Changes what is logged, once logging was started.
static LOG_ANEW: OnceLock<Box<dyn Fn(OrderEvents) + Send + Sync>> = OnceLock::new();

/// Starts logging. Does nothing if it was started before.
pub fn start(verbosity: Verbosity, settings: &Telemetry) {
    let form = form(settings.log_format);
    let writer = if form == Form::Pretty && has_colours() { LogWriter::Coloured } else { LogWriter::Plain };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(verbosity, settings.order_events))
        .with_writer(move || Concealing(writer))
        .with_ansi(writer == LogWriter::Coloured)
        // A log reader that goes away must not end the service.
        .log_internal_errors(false);
    let started = match form {
        Form::Pretty => {
            let builder = builder.fmt_fields(fields()).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map(|()| keep(verbosity, move |filter| handle.reload(filter)))
        }
        Form::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false);
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map(|()| keep(verbosity, move |filter| handle.reload(filter)))
        }
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

fn keep(verbosity: Verbosity, reload: impl Fn(EnvFilter) -> Result<(), Error> + Send + Sync + 'static) {
    let anew = move |events| {
        if let Err(error) = reload(filter(verbosity, events)) {
            tracing::debug!(%error, "what is logged cannot be changed any more");
        }
    };
    // It is started once.
    let _ = LOG_ANEW.set(Box::new(anew));
}

/// Logs what these settings say, from now on. How lines are written stays.
pub fn log_anew(settings: &Telemetry) {
    if let Some(anew) = LOG_ANEW.get() {
        anew(settings.order_events);
    }
}

/// The fields of an event, each kept on its line, whatever it contains.
fn fields() -> impl for<'writer> FormatFields<'writer> {
    let field = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        let value = format!("{value:?}");
        let value = shown(&value, Lines::One);
        match field.name() {
            "message" => write!(writer, "{value}"),
            name if name.starts_with("log.") => Ok(()),
            name => write!(writer, "{name}={value}"),
        }
    };
    format::debug_fn(field).delimited(" ")
}

fn form(wanted: LogFormat) -> Form {
    match wanted {
        LogFormat::Json => Form::Json,
        LogFormat::Pretty => Form::Pretty,
        LogFormat::Auto if std::io::stderr().is_terminal() => Form::Pretty,
        LogFormat::Auto => Form::Json,
    }
}

fn filter(verbosity: Verbosity, order_events: OrderEvents) -> EnvFilter {
    let default = match verbosity {
        Verbosity::Serving => LevelFilter::INFO,
        Verbosity::Command => LevelFilter::ERROR,
    };
    let asked = std::env::var("RUST_LOG").ok().filter(|asked| !asked.is_empty());
    let Some(filter) = asked.as_ref().and_then(|asked| EnvFilter::builder().parse(asked).ok()) else {
        let order_events = match order_events {
            OrderEvents::Failures => "orderwright::order_events=warn",
            OrderEvents::All => "orderwright::order_events=info",
        };
        let chosen: &[&'static str] = match verbosity {
            Verbosity::Serving => &[REPEATED[0], REPEATED[1], "refinery_core=warn", order_events],
            Verbosity::Command => &REPEATED,
        };
        return with(EnvFilter::default().add_directive(default.into()), chosen.iter().copied());
    };
    let asked = asked.unwrap_or_default().to_lowercase();
    let tells = ["debug", "trace"].iter().any(|level| asked.contains(level));
    with(filter, TELLTALES.into_iter().filter(|_| tells))
}

fn with(filter: EnvFilter, directives: impl Iterator<Item = &'static str>) -> EnvFilter {
    directives.fold(filter, |filter, directive| {
        filter.add_directive(directive.parse().expect("the directives stand here and are well-formed"))
    })
}
