//! Webhooks to systems of others, by the rules of Standard Webhooks 1.0: id, time and signature in headers, 2xx is a yes, 410
//! is a farewell, everything else is tried again. Follows no redirect, and goes nowhere that was not judged first.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use application::ports::{ClosedEndpoints, Notification, Said, Untold};
use bus::Clock;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::reach::{PrivateAddresses, resolve};
use super::signer::Signer;

/// How webhooks are sent.
pub struct WebhookSettings<'a> {
    /// Signs them.
    pub signer: Signer,
    /// Whether they may go to private addresses.
    pub private: PrivateAddresses,
    /// How long one may take, connection and answer included.
    pub limit: Duration,
    /// File with certificates that vouch for receivers, beside those of the system.
    pub more_roots: Option<&'a Path>,
}

/// Why webhooks cannot be sent so.
#[derive(Debug, Error)]
pub enum UnusableWebhook {
    /// The address of a receiver.
    #[error("'{}' is no address for webhooks; write https://HOST/PATH", shown(.0))]
    Address(String),
    /// Certificates that vouch for receivers.
    #[error("the certificates in {file} cannot be used: {why}")]
    Roots {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

/// An address without its secrets: its parameters, and everything before an `@`.
fn shown(address: &str) -> String {
    let (scheme, rest) = address.find("://").map_or(("", address), |at| address.split_at(at + 3));
    let rest = rest.rfind('@').map_or(rest, |at| &rest[at + 1..]);
    let seen = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{seen}")
}

/// Sends webhooks about orders to customers' systems.
pub struct WebhookSender {
    signer: Signer,
    client: WebhookClient,
    closed: Arc<dyn ClosedEndpoints>,
    clock: Arc<dyn Clock>,
}

/// Posts a signed message to an address that was judged first.
#[derive(Clone)]
pub struct WebhookClient {
    private: PrivateAddresses,
    limit: Duration,
    tls: TlsConnector,
}

/// A message that is sent, under the same id each time.
pub struct WebhookMessage<'a> {
    /// Its id, by which a receiver detects a repeat.
    pub id: &'a str,
    /// When it is sent, in seconds since the epoch.
    pub sent_at_s: i64,
    /// Its body, JSON.
    pub body: String,
}

/// What a receiver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// The status.
    pub status: StatusCode,
    /// How long it would like to be left alone.
    pub retry_after: Option<Duration>,
}

/// Looks whether webhooks could be sent to this address at all.
///
/// # Errors
/// If they could not.
pub fn check_address(address: &str) -> Result<(), UnusableWebhook> {
    Target::of(address).map(drop).ok_or_else(|| UnusableWebhook::Address(address.to_owned()))
}

impl WebhookClient {
    /// A client that goes to such addresses and takes at most so long for one message, connection and answer included. `more_roots`
    /// is a file with certificates that vouch for receivers, beside those of the system. Does not connect yet.
    ///
    /// # Errors
    /// If the certificates cannot be used.
    pub fn new(
        private: PrivateAddresses,
        limit: Duration,
        more_roots: Option<&Path>,
    ) -> Result<Self, UnusableWebhook> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks the versions that it comes with")
            .with_root_certificates(roots(more_roots)?)
            .with_no_client_auth();
        Ok(Self { private, limit, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Posts the message.
    ///
    /// # Errors
    /// Why there is no answer, in words without the secrets of the address.
    pub async fn post(
        &self,
        address: &str,
        signer: &Signer,
        message: WebhookMessage<'_>,
    ) -> Result<WebhookAnswer, String> {
        let seen = shown(address);
        let target = Target::of(address).ok_or_else(|| format!("'{seen}' is no address for webhooks"))?;
        let request = request(&target, signer, message).map_err(|error| error.to_string())?;
        let answered = tokio::time::timeout(self.limit, self.exchange(&target, request)).await;
        let (status, headers) = answered
            .map_err(|_| format!("{seen} did not answer in time"))?
            .map_err(|error| format!("{seen} cannot be reached: {error:#}"))?;
        let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(WebhookAnswer { status, retry_after: after.map(Duration::from_secs) })
    }

    async fn exchange(&self, target: &Target, request: Request<Full<Bytes>>) -> Result<Answered, BoxError> {
        let stream = connect(&resolve(&target.host, target.port, self.private).await?).await?;
        if !target.encrypted {
            return speak(stream, request).await;
        }
        let name = ServerName::try_from(target.host.clone())?;
        speak(self.tls.connect(name, stream).await?, request).await
    }
}

fn request(
    target: &Target,
    signer: &Signer,
    message: WebhookMessage<'_>,
) -> http::Result<Request<Full<Bytes>>> {
    let WebhookMessage { id, sent_at_s, body } = message;
    Request::post(&target.path)
        .header(HOST, &target.authority)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("Orderwright/", env!("CARGO_PKG_VERSION")))
        .header("webhook-signature", signer.sign(id, sent_at_s, body.as_bytes()))
        .header("webhook-id", id)
        .header("webhook-timestamp", sent_at_s)
        .body(Full::new(body.into()))
}

impl WebhookSender {
    /// A sender with these settings. Does not connect yet.
    ///
    /// # Errors
    /// Which setting cannot be used.
    pub fn new(
        settings: WebhookSettings<'_>,
        closed: Arc<dyn ClosedEndpoints>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, UnusableWebhook> {
        let WebhookSettings { signer, private, limit, more_roots } = settings;
        Ok(Self { signer, client: WebhookClient::new(private, limit, more_roots)?, closed, clock })
    }

    pub(super) async fn send(&self, notification: &Notification, address: &str) -> Result<Said, Untold> {
        check_address(address).map_err(|error| Untold::Never { why: error.to_string() })?;
        let closed = self.closed.closed_endpoints().await.map_err(|fault| later(&fault))?;
        if closed.iter().any(|(closed, _, _)| closed == address) {
            return Ok(Said::Unwanted);
        }
        let id = format!("msg_{}", notification.id.simple());
        let body = json!({
            "type": notification.kind.as_str(),
            "timestamp": notification.at.to_string(),
            "data": notification,
        });
        let sent_at_s = self.clock.now().as_second();
        let message = WebhookMessage { id: &id, sent_at_s, body: body.to_string() };
        let answer = self.client.post(address, &self.signer, message).await.map_err(|why| later(&why))?;
        let seen = shown(address);
        match answer.status {
            status if status.is_success() => Ok(Said::Told),
            StatusCode::GONE => {
                tracing::warn!(address = seen, "a receiver of webhooks has answered 410 and gets no more");
                let now = self.clock.now();
                self.closed.close_endpoint(address, "410 Gone", now).await.map_err(|fault| later(&fault))?;
                Ok(Said::Unwanted)
            }
            status => {
                let why = format!("{seen} answered {status}");
                Err(Untold::Later { why, after: answer.retry_after })
            }
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answered = (StatusCode, HeaderMap);

fn later(why: &dyn std::fmt::Display) -> Untold {
    Untold::Later { why: why.to_string(), after: None }
}

/// The first of these that lets us in.
async fn connect(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// One request over one connection. What the body of the answer says is of no interest.
async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answered, BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::pin!(driver);
    let answering = sender.send_request(request);
    tokio::pin!(answering);
    let response = tokio::select! {
        response = &mut answering => response?,
        ended = &mut driver => {
            ended?;
            answering.await?
        }
    };
    Ok((response.status(), response.headers().clone()))
}

/// Where a webhook goes.
struct Target {
    host: String,
    port: u16,
    authority: String,
    path: String,
    encrypted: bool,
}

impl Target {
    fn of(address: &str) -> Option<Self> {
        let uri: Uri = address.parse().ok()?;
        let (encrypted, usual) = match uri.scheme_str()? {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let port = authority.port_u16().unwrap_or(usual);
        (!host.is_empty()).then(|| Self { host, port, authority: authority.to_string(), path, encrypted })
    }
}

fn roots(more: Option<&Path>) -> Result<RootCertStore, UnusableWebhook> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let Some(file) = more else { return Ok(roots) };
    let unusable = |why: &dyn std::fmt::Display| UnusableWebhook::Roots {
        file: file.display().to_string(),
        why: why.to_string(),
    };
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    Ok(roots)
}
