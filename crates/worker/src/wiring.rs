//! Joins everything into one running service: store, providers, pipeline, background services, HTTP API.
//! The only place that knows which adapter stands behind which port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use application::commands::{CommandPipeline, CreateOrderHandler};
use application::pipeline::{Context, Parts, topology};
use application::ports::Readers;
use bus::{BreakerPolicy, Clock, Coalescer, Drained, IdSource, RandomIds, Stop, Supervisor, SystemClock};
use infrastructure::providers::webhooks::Verifier;
use infrastructure::providers::{HttpPaymentGateway, HttpShippingProvider, ProviderSettings};
use infrastructure::sqlite::{Exclusive, Routing, SqliteOptions, SqliteStore};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::background;
use crate::config::Config;
use crate::http::{self, Api, InFlightKeys, StoreReadiness, Webhooks};

/// Opens the store that the configuration names.
///
/// # Errors
/// One line that says what is wrong with the place or the file, and what to do.
pub fn open_store(config: &Config, exclusive: Exclusive) -> Result<SqliteStore> {
    let path = config.database_path().context("the configuration was checked and names a database")?;
    let options = SqliteOptions { exclusive, ..SqliteOptions::new(topology(), Routing::Store) };
    Ok(SqliteStore::open(&path, options)?)
}

/// What handlers share, on real time.
#[must_use]
pub fn context(config: &Config) -> Arc<Context> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::from_system());
    Arc::new(Context { clock, ids, settings: config.pipeline_settings() })
}

/// A pipeline for commands over this store.
#[must_use]
pub fn commands(store: &SqliteStore, config: &Config) -> CommandPipeline {
    CommandPipeline::new(Arc::new(store.clone()), context(config))
}

/// A running service.
pub struct Service {
    /// Where the API listens.
    pub addr: SocketAddr,
    /// The store behind it.
    pub store: SqliteStore,
    stop: Stop,
    supervisor: Supervisor,
    http: JoinHandle<()>,
    stop_limit: Duration,
}

impl Service {
    /// Starts everything on this listener.
    ///
    /// # Errors
    /// What is wrong with the store or the providers' addresses.
    pub fn start(config: &Config, listener: TcpListener) -> Result<Self> {
        let store = open_store(config, Exclusive::Yes)?;
        let context = context(config);
        let stop = Stop::new();
        let mut supervisor = Supervisor::new(stop.clone());
        parts(config, &store, &context)?.start(&mut supervisor);
        background::start(&mut supervisor, &store, &context, config);
        let api = Arc::new(api(config, &store, &context, &mut supervisor)?);
        let addr = listener.local_addr()?;
        let http = tokio::spawn(http::serve(listener, http::router(api), stop.clone()));
        Ok(Self {
            addr,
            store,
            stop,
            supervisor,
            http,
            stop_limit: Duration::from_millis(config.pipeline.stop_limit_ms),
        })
    }

    /// Stops taking, finishes what is in hand, and says whether it all finished in time.
    pub async fn stop(self) -> Drained {
        self.stop.stop();
        let drained = self.supervisor.drained(self.stop_limit).await;
        self.http.abort();
        drained
    }
}

fn parts(config: &Config, store: &SqliteStore, context: &Arc<Context>) -> Result<Parts> {
    let settings = |url: &str| ProviderSettings {
        time_limit: Duration::from_millis(config.providers.call_limit_ms),
        connections_max: config.providers.calls_at_once_max,
        breaker: BreakerPolicy::default(),
        ..ProviderSettings::at(url)
    };
    let clock = || Arc::clone(&context.clock);
    let gateway = HttpPaymentGateway::new(settings(&config.providers.payment_url), clock())
        .context("providers.payment_url cannot be used")?;
    let shipping = HttpShippingProvider::new(settings(&config.providers.shipping_url), clock())
        .context("providers.shipping_url cannot be used")?;
    Ok(Parts {
        store: Arc::new(store.clone()),
        transport: Arc::new(store.clone()),
        gateway: Arc::new(gateway),
        shipping: Arc::new(shipping),
        context: Arc::clone(context),
    })
}

fn api(
    config: &Config,
    store: &SqliteStore,
    context: &Arc<Context>,
    supervisor: &mut Supervisor,
) -> Result<Api> {
    let handler = CreateOrderHandler::new(Arc::new(store.clone()), Arc::clone(context));
    let (create, accepting) = Coalescer::stopping_with(Arc::new(handler), supervisor.stop());
    supervisor.run_once("order-acceptance", accepting);
    let commands = CommandPipeline::new(Arc::new(store.clone()), Arc::clone(context));
    let verifier = || Verifier::new(config.providers.webhook_secret.expose());
    let (webhooks, listening) = Webhooks::new(verifier()?, verifier()?, &commands, &supervisor.stop());
    supervisor.run_once("webhooks", listening);
    let readers: Arc<dyn Readers> = Arc::new(store.clone());
    Ok(Api {
        commands,
        create,
        readiness: Arc::new(StoreReadiness::new(Arc::clone(&readers), supervisor.stop())),
        readers,
        dead_letters: Arc::new(store.clone()),
        webhooks,
        in_flight: InFlightKeys::default(),
    })
}
