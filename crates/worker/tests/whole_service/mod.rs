//! What the tests of a whole service share: a folder for its database, one product, and a way to wait.

use std::path::PathBuf;
use std::time::Duration;

use orderwright::config::{Config, Secret};
use orderwright::demo::Stage;
use orderwright::import::{ApiClient, PriceBody, ProductBody};

/// A folder that is gone afterwards.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("orderwright-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    /// The settings of a service whose database is here.
    pub(crate) fn config(&self) -> Config {
        let database = self.0.join("o.db").display().to_string().as_str().into();
        let mut config = Config { database, ..Config::default() };
        config.providers.webhook_secret = Secret::from("a secret of this test".to_owned());
        config
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn client(stage: &Stage) -> ApiClient {
    ApiClient::new(&stage.address()).expect("an address")
}

/// Has so many units of `TEA` on sale.
pub(crate) async fn sell_tea(stage: &Stage, stock: i64) {
    let tea = ProductBody {
        sku: "TEA",
        name: "Tea",
        description: "",
        price: PriceBody { minor: 500, currency: "EUR" },
        stock,
        reorder_level: 0,
        availability: "active",
    };
    client(stage).put_products("first", &[tea]).await.expect("products");
}

/// Looks again and again until it holds.
pub(crate) async fn wait(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while !holds().await {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(90), waiting).await.is_ok(), "{what}");
}
