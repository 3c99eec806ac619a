//! The server as an address names it: whether the way there is encrypted, and whether the server has to prove who it is. The
//! modes are those of every PostgreSQL client. Never shows a password.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bus::Fault;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::fault::Told;
use crate::hosts::{self, Connected, Failed, LastServed, NoneServes, Stream};
use crate::patience::{Line, Silent};

/// The server's time as the tables keep it, in microseconds.
macro_rules! server_now {
    () => {
        "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
    };
}
pub(crate) use server_now;

/// A server and the way there.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
    /// How long an answer is waited for.
    pub(crate) answer_limit: Duration,
    settings: Vec<(&'static str, String)>,
    /// Those that are only set once the connection is there: with them its host would not count as one that takes writes.
    afterwards: Vec<(&'static str, &'static str)>,
    pub(crate) telling: Telling,
    last: LastServed,
}

/// How a connection is told its settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Telling {
    /// With the login.
    #[default]
    WithLogin,
    /// By a statement afterwards: a pooler in between takes none with the login.
    ByStatement,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub(crate) enum NoConnection {
    /// It is refused, or breaks.
    #[error("there is no connection")]
    Failed(#[source] tokio_postgres::Error),
    /// Of several hosts none serves, and not for one reason.
    #[error("there is no connection: {each}")]
    Nowhere {
        /// Each host with its reason.
        each: String,
        /// The reason that says most.
        #[source]
        gravest: tokio_postgres::Error,
    },
    /// Whoever takes connections there says nothing.
    #[error("there is no connection")]
    Silent(#[source] Silent),
    /// It is there, and does not do what is asked of it.
    #[error("there is no connection")]
    Unusable(#[source] Fault),
}

/// How much of TLS an address asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// None.
    Disable,
    /// If the server has it.
    Prefer,
    /// Encrypted, whoever answers.
    Require,
    /// Encrypted, and the server shows a certificate for its name that these vouch for; the system's, if no file is named.
    VerifyFull(Option<String>),
}

impl Server {
    /// The server that an address names.
    ///
    /// # Errors
    /// What is wrong with the address, or with the certificates that it names.
    pub(crate) fn at(address: &str, answer_limit: Duration) -> Result<Self, String> {
        let (address, wanted) = wanted(address)?;
        let mut config: Config = address.parse().map_err(|error: tokio_postgres::Error| {
            std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
        })?;
        if is_torn(&config) {
            return Err("an '@' in the user or the password is written %40".to_owned());
        }
        if !hosts::are_paired(&config) {
            return Err("it does not name as many ports, or addresses, as hosts".to_owned());
        }
        config.ssl_mode(match wanted {
            Wanted::Disable => SslMode::Disable,
            Wanted::Prefer => SslMode::Prefer,
            Wanted::Require | Wanted::VerifyFull(_) => SslMode::Require,
        });
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(client(&wanted)?),
            answer_limit,
            settings: Vec::new(),
            afterwards: Vec::new(),
            telling: Telling::default(),
            last: LastServed::default(),
        })
    }

    /// Has every connection set so. A later value of the same name counts.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.settings.push((name, value.into()));
    }

    /// Has every connection set so once it is there.
    pub(crate) fn set_afterwards(&mut self, name: &'static str, value: &'static str) {
        self.afterwards.push((name, value));
    }

    /// The same for connections on which nothing is set.
    pub(crate) fn without_settings(&self) -> Self {
        Self { settings: Vec::new(), afterwards: Vec::new(), ..self.clone() }
    }

    /// What the driver is to connect with.
    pub(crate) fn login(&self) -> Config {
        let mut config = self.config.clone();
        if self.telling == Telling::WithLogin {
            let mut all = config.get_options().unwrap_or_default().to_owned();
            for (name, value) in &self.settings {
                let _ = write!(all, " -c {name}={value}");
            }
            config.options(all.trim_start());
        }
        config
    }

    /// What a connection is to be told before anything else, if there is something.
    pub(crate) fn first_words(&self) -> Option<String> {
        let settings = self.settings.iter().filter(|_| self.telling == Telling::ByStatement);
        let settings = settings.map(|(name, value)| (*name, value.as_str()));
        let words: String = settings
            .chain(self.afterwards.iter().copied())
            .map(|(name, value)| format!("set {name} = '{value}';"))
            .collect();
        (!words.is_empty()).then_some(words)
    }

    /// A connection of nobody else's, on which nothing is listened to.
    pub(crate) async fn line(&self) -> Result<Line, NoConnection> {
        let (client, connection) = self.connect().await?;
        Ok(Line::new(client, driven(connection), self.answer_limit))
    }

    /// A client, and the connection that somebody must drive.
    pub(crate) async fn connect(&self) -> Result<Connected, NoConnection> {
        let each = self.host_limit();
        // A login is long; whoever connects need not carry it.
        let connecting = Box::pin(async {
            let connected = hosts::connect(&self.login(), &self.tls, each, &self.last).await;
            let (client, mut connection) = connected.map_err(|none| self.no_connection(none))?;
            if let Some(words) = self.first_words() {
                let telling = tokio::time::timeout(each, tell(&client, &mut connection, &words)).await;
                telling.map_err(|_| NoConnection::Silent(Silent(each)))?.map_err(NoConnection::Failed)?;
            }
            Ok((client, connection))
        });
        connecting.await
    }

    fn no_connection(&self, none: NoneServes) -> NoConnection {
        match none.told(&self.config) {
            (Failed::Said(error), Some(each)) if error.as_db_error().is_none() => {
                NoConnection::Nowhere { each, gravest: error }
            }
            (Failed::Said(error), _) => NoConnection::Failed(error),
            (Failed::Silent(limit), _) => NoConnection::Silent(Silent(limit)),
        }
    }

    /// How long one host may take. The driver limits no more than the first step with it, so that one that takes connections and
    /// says nothing could be waited for without end.
    fn host_limit(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(self.answer_limit)
    }

    /// How long connecting may take.
    pub(crate) fn connect_limit(&self) -> Duration {
        hosts::limit_for_all(&self.config, self.host_limit())
    }
}

/// Drives a connection until its client is gone.
pub(crate) fn driven(connection: Connection<Socket, Stream>) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = %Told(error), "a connection to the database is broken");
        }
    })
}

/// Says something on a connection that nobody drives yet.
async fn tell(
    client: &Client,
    connection: &mut Connection<Socket, Stream>,
    words: &str,
) -> Result<(), tokio_postgres::Error> {
    let saying = client.batch_execute(words);
    tokio::pin!(saying);
    loop {
        tokio::select! {
            said = &mut saying => return said,
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                // It is over, and so is what was said on it.
                None => return saying.await,
            },
        }
    }
}

/// Whether the driver took a part of the password for something else, which would be shown.
fn is_torn(config: &Config) -> bool {
    let host = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
    config.get_hosts().iter().any(host) || config.get_dbname().is_some_and(|name| name.contains('@'))
}

/// The address without what the driver does not know, and what that was.
fn wanted(address: &str) -> Result<(String, Wanted), String> {
    let Some((place, query)) = address.split_once('?') else {
        return Ok((address.to_owned(), Wanted::Disable));
    };
    let (mut mode, mut root, mut rest) = ("disable", None, Vec::new());
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = value,
            Some(("sslrootcert", value)) => root = Some(value.replace("%2F", "/").replace("%2f", "/")),
            Some(_) | None => rest.push(parameter),
        }
    }
    let wanted = match mode {
        "disable" => Wanted::Disable,
        "prefer" | "allow" => Wanted::Prefer,
        "require" if root.is_none() => Wanted::Require,
        // As with the others: whoever names certificates wants them used.
        "require" | "verify-full" => Wanted::VerifyFull(root.filter(|root| root != "system")),
        other => {
            return Err(format!(
                "sslmode={other} is not known; there are disable, prefer, require, verify-full"
            ));
        }
    };
    let rest = rest.join("&");
    Ok((if rest.is_empty() { place.to_owned() } else { format!("{place}?{rest}") }, wanted))
}

fn client(wanted: &Wanted) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(match wanted {
        Wanted::VerifyFull(root) => {
            builder.with_root_certificates(roots(root.as_deref())?).with_no_client_auth()
        }
        Wanted::Disable | Wanted::Prefer | Wanted::Require => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth(),
    })
}

/// Who vouches for a server.
fn roots(file: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(
                "sslmode=verify-full finds no certificates on this system; name them with sslrootcert=FILE"
                    .to_owned(),
            );
        }
        return Ok(roots);
    };
    let unreadable =
        |error: &dyn std::fmt::Display| format!("sslrootcert={file} cannot be read as PEM: {error}");
    let certificates = CertificateDer::pem_file_iter(Path::new(file)).map_err(|error| unreadable(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() { Err(unreadable(&"it holds no certificate")) } else { Ok(roots) }
}

/// Takes any certificate, as `sslmode=require` means it: nobody listens in, but who answers is not proven.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn the_modes_are_those_of_other_clients_and_nothing_else_of_an_address_is_lost() {
        let address = "postgres://me:secret@h:1/d";
        for (query, rest, meant) in [
            ("", "", Wanted::Disable),
            ("?sslmode=disable", "", Wanted::Disable),
            ("?sslmode=prefer&application_name=x", "?application_name=x", Wanted::Prefer),
            ("?application_name=x&sslmode=require", "?application_name=x", Wanted::Require),
            ("?sslmode=verify-full", "", Wanted::VerifyFull(None)),
            ("?sslmode=verify-full&sslrootcert=system", "", Wanted::VerifyFull(None)),
            ("?sslrootcert=%2Fa%2Fb&sslmode=require", "", Wanted::VerifyFull(Some("/a/b".to_owned()))),
        ] {
            let found = wanted(&format!("{address}{query}"));
            assert_eq!(found, Ok((format!("{address}{rest}"), meant)), "{query}");
        }
        let told = Server::at(&format!("{address}?sslmode=verify-most"), LIMIT)
            .err()
            .expect("there is no such mode");
        assert!(told.contains("verify-most") && !told.contains("secret"), "{told}");
        for torn in ["postgres://me:se@cret@h/d", "postgres://me@h/d:se@cret"] {
            let told = Server::at(torn, LIMIT).err().expect("it is torn");
            assert!(told.contains("%40") && !told.contains("cret"), "{told}");
        }
        let told = Server::at(&format!("{address}?sslmode=verify-full&sslrootcert=/nowhere"), LIMIT).err();
        assert!(told.expect("there is no such file").contains("/nowhere"));
    }
}
