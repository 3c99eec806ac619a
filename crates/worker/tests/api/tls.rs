//! The server on a real socket over TLS, with a certificate made for the test.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use orderwright::http::{Door, Names, serve_behind};
use orderwright::tls::{Certificate, Renewal};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::Service;

async fn connect(
    address: std::net::SocketAddr,
    trusted: &CertificateDer<'static>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn both_protocols_are_spoken_over_tls_and_nothing_in_the_clear() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let folder = std::env::temp_dir().join(format!("orderwright-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert_file, cert.pem()).expect("a file for the test");
    std::fs::write(&key_file, signing_key.serialize_pem()).expect("a file for the test");
    let certificate =
        Certificate::of_files(cert_file.clone(), key_file.clone()).expect("certificate and key fit");
    let acceptor = certificate.acceptor().expect("TLS");
    let refused = Certificate::of_files(key_file, cert_file).expect_err("they were mixed up").to_string();
    assert!(refused.contains("security.tls_"), "{refused}");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");

    let service = Service::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let door = Door { tls: Some(acceptor), names: Names::Told, ..Door::default() };
    let serving = tokio::spawn(serve_behind(door, listener, service.router.clone(), service.stop.clone()));

    let ready =
        || Request::get("https://localhost/health/live").body(Empty::<Bytes>::new()).expect("a request");
    let stream = connect(address, cert.der(), b"h2").await.expect("it shakes hands");
    let (mut client, driver) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let driving = tokio::spawn(driver);
    let answer = client.send_request(ready()).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    drop(client);
    let stream = connect(address, cert.der(), b"http/1.1").await.expect("it shakes hands");
    let (mut client, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    let driving_too = tokio::spawn(driver);
    let answer = client.send_request(ready()).await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert!(!answer.into_body().collect().await.expect("a body").to_bytes().is_empty());
    drop(client);

    let mut clear = TcpStream::connect(address).await.expect("a connection");
    clear.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("written");
    let mut answer = Vec::new();
    let _ = clear.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));

    service.stop.stop();
    tokio::time::timeout(Duration::from_secs(30), serving).await.expect("it stops").expect("in good order");
    let _ = tokio::join!(driving, driving_too);
}

/// Writes a certificate and its key, and gives the certificate.
fn renew(cert_file: &Path, key_file: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(cert_file, cert.pem()).expect("a file for the test");
    std::fs::write(key_file, signing_key.serialize_pem()).expect("a file for the test");
    cert.der().clone()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_whoever_comes_next_and_a_broken_one_to_nobody() {
    let folder = std::env::temp_dir().join(format!("orderwright-tls-renewed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    let first = renew(&cert_file, &key_file);
    let certificate =
        Certificate::of_files(cert_file.clone(), key_file.clone()).expect("certificate and key fit");
    let service = Service::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let door =
        Door { tls: Some(certificate.acceptor().expect("TLS")), names: Names::Told, ..Door::default() };
    let serving = tokio::spawn(serve_behind(door, listener, service.router.clone(), service.stop.clone()));
    let is_shown = async |trusted: &CertificateDer<'static>| connect(address, trusted, b"h2").await.is_ok();

    assert_eq!(certificate.look().expect("as it was"), Renewal::None);
    assert!(is_shown(&first).await);
    std::fs::write(&cert_file, "half a certi").expect("a file for the test");
    assert!(certificate.look().is_err() && is_shown(&first).await, "what was shown is shown on");
    let second = renew(&cert_file, &key_file);
    assert!(!is_shown(&second).await, "nobody has looked yet");
    assert_eq!(certificate.look().expect("a new one"), Renewal::Renewed);
    assert!(is_shown(&second).await && !is_shown(&first).await);

    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    service.stop.stop();
    tokio::time::timeout(Duration::from_secs(30), serving).await.expect("it stops").expect("in good order");
}
