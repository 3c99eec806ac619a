//! A whole service in this process, with the sandbox as its provider if no other is configured: real sockets on free
//! ports, real webhooks. It must never differ from what `serve` starts.

use anyhow::{Context, Result, ensure};
use application::ports::Provider;
use bus::Drained;
use sandbox::{Running, Sandbox};
use tokio::net::TcpListener;

use crate::any_store::{AnyStore, Purpose};
use crate::config::{Config, Place};
use crate::wiring::Service;

/// Any free port, for this machine only.
const ANY_PORT: &str = "127.0.0.1:0";

/// A service at work, with the sandbox if it has one.
pub struct Stage {
    /// The service.
    pub service: Service,
    /// Its providers, if they are ours.
    pub sandbox: Option<Running>,
}

impl Stage {
    /// Starts the service with these settings. With sandbox settings, the sandbox replaces the configured providers;
    /// secret and addresses are filled in here.
    ///
    /// # Errors
    /// If the database or a port cannot be had.
    pub async fn open(mut config: Config, sandbox: Option<sandbox::Settings>) -> Result<Self> {
        let listener = TcpListener::bind(ANY_PORT).await.context("no port is free on 127.0.0.1")?;
        let sandbox = match sandbox {
            None => None,
            Some(settings) => {
                nobody_else_works_there(&config).await?;
                Some(beside(&mut config, settings, &listener).await?)
            }
        };
        let service = Service::start(&config, listener).await?;
        Ok(Self { service, sandbox })
    }

    /// The service's address, as a client writes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.service.addr)
    }

    /// Finishes what is in hand and stops.
    pub async fn close(self) -> Drained {
        let drained = self.service.stop().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
        drained
    }
}

/// A worker with providers of its own would take the orders of the others to them.
async fn nobody_else_works_there(config: &Config) -> Result<()> {
    if let Some(Place::Postgres(_)) = config.database.place() {
        let store = AnyStore::open(config, Purpose::Migrate).await?;
        let others = store.upkeep.other_workers().await;
        store.upkeep.close().await;
        ensure!(
            others? == 0,
            "a service works on {} and the sandbox must not answer for its providers; stop that one first, or choose another database",
            config.database
        );
    }
    Ok(())
}

async fn beside(config: &mut Config, settings: sandbox::Settings, service: &TcpListener) -> Result<Running> {
    let listener = TcpListener::bind(ANY_PORT).await.context("no port is free on 127.0.0.1")?;
    let settings = sandbox::Settings {
        webhook_url: Some(format!("http://{}/webhooks", service.local_addr()?)),
        webhook_secret: config.providers.webhook_secrets(Provider::Payments).now.expose().to_owned(),
        shipping_webhook_secret: Some(
            config.providers.webhook_secrets(Provider::Shipping).now.expose().to_owned(),
        ),
        ..settings
    };
    let running = Sandbox::start(listener, settings)?;
    let address = format!("http://{}", running.addr);
    config.providers.payment_url.clone_from(&address);
    config.providers.shipping_url = address;
    Ok(running)
}
