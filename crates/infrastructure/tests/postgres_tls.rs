//! The way to a server that speaks TLS: encrypted if asked for, refused if the server cannot prove who it is.

mod postgres_stage;

use std::path::PathBuf;

use orderwright_infrastructure::postgres::{ConnectError, PostgresStore};
use postgres_stage::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Certificates in a folder that is gone afterwards.
struct Certificates(PathBuf);

impl Certificates {
    /// One for localhost with its key, and the one that vouches for it; and one that vouches for nobody here.
    fn make() -> Self {
        let folder = std::env::temp_dir().join(format!("orderwright-postgres-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let authority = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
        };
        let ((root, issuer), (stranger, _)) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let own = params.signed_by(&key, &issuer).unwrap().pem();
        let files = [
            ("root.pem", root),
            ("stranger.pem", stranger),
            ("own.pem", own),
            ("key.pem", key.serialize_pem()),
        ];
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How the connection of a store that this address leads to is encrypted; or why there is none.
async fn version(address: &str) -> Result<Option<String>, ConnectError> {
    let store = PostgresStore::connect(address, options(&clock(), 1)).await?;
    let found = server_with_tls().0.query(
        "postgres",
        "select coalesce(max(version), '') from pg_stat_ssl join pg_stat_activity using (pid)
         where application_name = 'orderwright'",
    );
    store.close().await;
    Ok(Some(found.unwrap().trim().to_owned()).filter(|version| !version.is_empty()))
}

/// One server with certificates for all tests here.
fn server_with_tls() -> &'static (Postgres, Certificates) {
    static SERVER: std::sync::OnceLock<(Postgres, Certificates)> = std::sync::OnceLock::new();
    SERVER.get_or_init(|| {
        let certificates = Certificates::make();
        let (own, key) = (certificates.text("own.pem"), certificates.text("key.pem"));
        (Postgres::start_encrypted(Durability::None, &own, &key).unwrap(), certificates)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_encrypted_as_asked_and_refused_to_a_server_that_proves_nothing() {
    let (server, certificates) = server_with_tls();
    let address = server.database().unwrap().replace("127.0.0.1", "localhost");
    let with = |query: &str| format!("{address}?{query}");
    assert_eq!(version(&address).await.unwrap(), None);
    assert_eq!(version(&with("sslmode=require")).await.unwrap().as_deref(), Some("TLSv1.3"));
    let full = |file: &str| with(&format!("sslmode=verify-full&sslrootcert={}", certificates.path(file)));
    assert_eq!(version(&full("root.pem")).await.unwrap().as_deref(), Some("TLSv1.3"));
    let refused = version(&full("stranger.pem")).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Unreachable { .. }), "{refused}");
    let other_name = full("root.pem").replace("localhost", "127.0.0.1");
    let refused = version(&other_name).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let clear = self::server().database().unwrap();
    assert!(version(&format!("{clear}?sslmode=require")).await.is_err(), "that server speaks no TLS");
}
