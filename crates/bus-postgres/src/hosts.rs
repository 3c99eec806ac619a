//! The hosts that an address names, of which one takes writes at a time. They are asked side by side, each with a time limit of its
//! own: one that takes connections and says nothing, or whose packets are lost, keeps nobody from the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::fault::{spoken, takes_no_writes};

/// A host that has not answered so soon is no longer waited for alone.
const HEAD_START: Duration = Duration::from_millis(300);

/// A host that did not serve is asked again while others have not answered yet: it may become the one that takes writes.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What travels over a connection, encrypted or not.
pub(crate) type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// A client, and the connection that somebody must drive.
pub(crate) type Connected = (Client, Connection<Socket, Stream>);

/// Which host served last; whoever connects next begins there.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastServed(Arc<AtomicUsize>);

/// Why one host does not serve.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It says so, or cannot be reached.
    Said(Error),
    /// It has said nothing for so long.
    Silent(Duration),
}

impl Failed {
    fn in_words(&self) -> String {
        match self {
            Self::Said(error) if takes_no_writes(error) => "it takes no writes".to_owned(),
            Self::Said(error) => spoken(error),
            Self::Silent(limit) => format!("it has said nothing for {limit:?}"),
        }
    }

    /// How much it says about what is wrong: a login that is refused more than a standby, and that more than silence.
    fn weight(&self) -> u8 {
        match self {
            Self::Said(error) if error.as_db_error().is_some() => 3,
            Self::Said(error) if takes_no_writes(error) => 2,
            Self::Said(_) => 1,
            Self::Silent(_) => 0,
        }
    }
}

/// Why no host serves, by its place in the address.
#[derive(Debug)]
pub(crate) struct NoneServes(BTreeMap<usize, Failed>);

impl NoneServes {
    /// What says most, and each host's reason if they differ.
    pub(crate) fn told(self, config: &Config) -> (Failed, Option<String>) {
        let reasons: Vec<String> = self.0.values().map(Failed::in_words).collect();
        let differ = reasons.iter().any(|reason| *reason != reasons[0]);
        let each =
            self.0.keys().zip(&reasons).map(|(host, reason)| format!("{}: {reason}", place(config, *host)));
        let each = differ.then(|| each.collect::<Vec<_>>().join("; "));
        let gravest = self.0.into_values().max_by_key(Failed::weight);
        (gravest.unwrap_or(Failed::Silent(Duration::ZERO)), each)
    }

    fn that_take_no_writes(&self) -> Vec<usize> {
        let takes_none = |failed: &Failed| matches!(failed, Failed::Said(error) if takes_no_writes(error));
        self.0.iter().filter(|(_, failed)| takes_none(failed)).map(|(host, _)| *host).collect()
    }
}

/// How many hosts an address names.
pub(crate) fn count(config: &Config) -> usize {
    config.get_hosts().len().max(config.get_hostaddrs().len()).max(1)
}

/// Whether there are as many ports and addresses as hosts, where there are several. The driver would refuse others, host by host.
pub(crate) fn are_paired(config: &Config) -> bool {
    let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    let ports = config.get_ports().len();
    (hosts == 0 || addresses == 0 || hosts == addresses) && (ports <= 1 || ports == count(config))
}

/// How long all of it may take if each host may take so long.
pub(crate) fn limit_for_all(config: &Config, each: Duration) -> Duration {
    let others = u32::try_from(count(config) - 1).unwrap_or(u32::MAX);
    // Where a host that takes no writes will do, it is only asked once all have failed.
    let is_content = config.get_target_session_attrs() == TargetSessionAttrs::Any;
    let rounds = if is_content { 2 } else { 1 };
    each.saturating_mul(rounds).saturating_add(HEAD_START.saturating_mul(others))
}

/// Connects to the first host that serves. Where the address is content with a host that takes no writes, one that does is
/// preferred.
pub(crate) async fn connect(
    config: &Config,
    tls: &MakeRustlsConnect,
    each: Duration,
    last: &LastServed,
) -> Result<Connected, NoneServes> {
    let hosts: Vec<Config> = (0..count(config)).map(|host| one(config, host)).collect();
    let is_content = config.get_target_session_attrs() == TargetSessionAttrs::Any;
    let first = last.0.load(Ordering::Relaxed) % hosts.len();
    let order: Vec<usize> = (first..hosts.len()).chain(0..first).collect();
    let failed = match race(&hosts, order, tls, each).await {
        Ok((host, connected)) => {
            last.0.store(host, Ordering::Relaxed);
            return Ok(connected);
        }
        Err(failed) => failed,
    };
    let readable = if is_content { failed.that_take_no_writes() } else { Vec::new() };
    for host in readable {
        let mut content = hosts[host].clone();
        content.target_session_attrs(TargetSessionAttrs::Any);
        if let Ok(connected) = ask(&content, tls, each).await {
            last.0.store(host, Ordering::Relaxed);
            return Ok(connected);
        }
    }
    Err(failed)
}

async fn race(
    hosts: &[Config],
    order: Vec<usize>,
    tls: &MakeRustlsConnect,
    each: Duration,
) -> Result<(usize, Connected), NoneServes> {
    let mut waiting = order.into_iter().peekable();
    let mut next_at = Instant::now();
    let mut failed = BTreeMap::new();
    let mut asked = FuturesUnordered::new();
    let asking = |host: usize, pause: Duration| async move {
        sleep(pause).await;
        (host, ask(&hosts[host], tls, each).await)
    };
    loop {
        tokio::select! {
            () = sleep_until(next_at), if waiting.peek().is_some() => {
                asked.extend(waiting.next().map(|host| asking(host, Duration::ZERO)));
                next_at = Instant::now() + HEAD_START;
            }
            Some((host, answer)) = asked.next(), if !asked.is_empty() => match answer {
                Ok(connected) => return Ok((host, connected)),
                Err(why) => {
                    failed.insert(host, why);
                    if failed.len() == hosts.len() {
                        return Err(NoneServes(failed));
                    }
                    asked.push(asking(host, AGAIN_AFTER));
                    // Nobody need wait for it any more.
                    next_at = Instant::now();
                }
            },
        }
    }
}

async fn ask(host: &Config, tls: &MakeRustlsConnect, limit: Duration) -> Result<Connected, Failed> {
    let connecting = timeout(limit, host.connect(tls.clone())).await;
    connecting.map_err(|_| Failed::Silent(limit))?.map_err(Failed::Said)
}

/// The address with one of its hosts alone, which has to take writes.
fn one(config: &Config, host: usize) -> Config {
    let mut one = Config::new();
    if let Some(name) = config.get_hosts().get(host) {
        match name {
            tokio_postgres::config::Host::Tcp(name) => one.host(name),
            tokio_postgres::config::Host::Unix(path) => one.host_path(path),
        };
    }
    if let Some(address) = config.get_hostaddrs().get(host) {
        one.hostaddr(*address);
    }
    if let Some(port) = port(config, host) {
        one.port(port);
    }
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(name) = config.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(limit) = config.get_connect_timeout() {
        one.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*limit);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(TargetSessionAttrs::ReadWrite);
    one
}

fn port(config: &Config, host: usize) -> Option<u16> {
    let ports = config.get_ports();
    ports.get(host).or(ports.first()).copied()
}

/// A host and its port, as messages name it.
pub(crate) fn place(config: &Config, host: usize) -> String {
    let name = match config.get_hosts().get(host) {
        Some(tokio_postgres::config::Host::Tcp(name)) => name.clone(),
        Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().get(host).map(ToString::to_string).unwrap_or_default(),
    };
    format!("{name}:{}", port(config, host).unwrap_or(5432))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_asked_with_all_that_the_address_says() {
        let address = "postgres://u:secret@one:5433,two,three:5435/shop?sslmode=require&connect_timeout=7&channel_binding=disable";
        let mut config: Config = address.parse().unwrap();
        config.options("-c jit=off").application_name("program").keepalives_retries(3);
        let hosts: Vec<Config> = (0..count(&config)).map(|host| one(&config, host)).collect();
        let places: Vec<String> = hosts.iter().map(|host| place(host, 0)).collect();
        assert_eq!(places, ["one:5433", "two:5432", "three:5435"]);
        for host in &hosts {
            let like = one(&config, 0);
            assert_eq!(host.get_user(), like.get_user());
            assert_eq!((host.get_password(), host.get_dbname()), (Some(&b"secret"[..]), Some("shop")));
            assert_eq!(
                (host.get_options(), host.get_application_name()),
                (Some("-c jit=off"), Some("program"))
            );
            assert_eq!(host.get_connect_timeout(), Some(&Duration::from_secs(7)));
            assert_eq!(
                (host.get_ssl_mode(), host.get_channel_binding()),
                (config.get_ssl_mode(), config.get_channel_binding())
            );
            assert_eq!(host.get_keepalives_retries(), Some(3));
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
    }
}
