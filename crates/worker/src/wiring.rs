//! Joins everything into one running service: store, providers, pipeline, background services, HTTP API.
//! The only place that knows which adapter stands behind which port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use application::commands::{CommandPipeline, CreateOrderHandler};
use application::pipeline::{Context, Parts};
use application::ports::{GatewayBooks, Provider};
use axum::Router;
use bus::{
    BreakerPolicy, Clock, Coalescer, Drained, IdSource, PauseBoard, RandomIds, Stop, Supervisor, SystemClock,
};
use providers::{HttpPaymentGateway, HttpShippingProvider, ProviderSettings};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::any_store::{AnyStore, Purpose};
use crate::background;
use crate::broker;
use crate::config::{Config, PageMode};
use crate::deliveries::{self, WebhookDeliveryService};
use crate::descriptors;
use crate::entrance;
use crate::health::Uses;
use crate::http::{
    self, Api, Awaited, InFlightKeys, Inside, Integrations, MetricsPlace, StoreReadiness, Verifiers, Watch,
    Webhooks,
};
use crate::notifying;
use crate::observe::{self, Observation, Providers, Recording};
use crate::otlp::{Collector, Exporter, Tracer};
use crate::page::{self, LiveService, Page};
use crate::security::{Gate, Hosts};
use crate::tls::{Certificate, Renewal};
use crate::turns;
use crate::webhook_endpoints::Plain;

/// How often it is looked for what has changed while somebody has a page open.
const PAGE_LOOK: Duration = Duration::from_secs(1);

/// How long it may take to say that this worker goes.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// What handlers share, on real time.
#[must_use]
pub fn context(config: &Config) -> Arc<Context> {
    context_heeding(config, PauseBoard::default())
}

fn context_heeding(config: &Config, pauses: PauseBoard) -> Arc<Context> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::from_system());
    Arc::new(Context {
        clock,
        ids,
        settings: config.pipeline_settings(),
        pauses,
        hold_rules: config.holds.rules(),
    })
}

/// A pipeline for commands over this store.
#[must_use]
pub fn commands(store: &AnyStore, config: &Config) -> CommandPipeline {
    CommandPipeline::new(Arc::clone(&store.units), context(config))
}

/// A running service.
pub struct Service {
    /// Where the API listens.
    pub addr: SocketAddr,
    /// Where metrics and health are shown, if not there.
    pub metrics_addr: Option<SocketAddr>,
    /// The store behind it.
    pub store: AnyStore,
    certificate: Option<Arc<Certificate>>,
    verifiers: Verifiers,
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
    pub async fn start(config: &Config, listener: TcpListener) -> Result<Self> {
        let context = context_heeding(config, PauseBoard::unread());
        let providers = providers(config, &context)?;
        let (recording, exporter) = recording(config, &context)?;
        let books: Arc<dyn GatewayBooks> = Arc::<HttpPaymentGateway>::clone(&providers.gateway);
        let observation = Observation::new(&providers, &context.clock, &config.telemetry, recording);
        let store = AnyStore::open(config, Purpose::Serve).await?;
        let store = observation.over_store(store, &config.telemetry);
        let stop = Stop::new();
        let mut supervisor = Supervisor::new(stop.clone());
        let addr = listener.local_addr()?;
        let gate = entrance::gate(config, addr, &store, &context, &mut supervisor).await?;
        let (door, certificate) = entrance::door(config, addr, &observation.registry, &mut supervisor)?;
        let parts = parts(config, providers, &store, &context)?;
        let uses = Uses::of(config);
        uses.tell();
        observation.health.note(uses);
        let parts = observation.over_providers(parts);
        turns::take_turns(parts, &config.providers, &store, &observation, &mut supervisor)
            .start(&mut supervisor);
        if let Some(exporter) = exporter {
            supervisor.run(Exporter::NAME, move |stop| Arc::clone(&exporter).run(stop));
        }
        broker::start(&mut supervisor, &store, &context);
        background::start(&mut supervisor, &store, &context, config, &observation);
        deliver(&mut supervisor, &store, &context, config, &observation)?;
        let api = Arc::new(api(config, &store, &context, books, &observation, &mut supervisor)?);
        let verifiers = api.webhooks.verifiers();
        let metrics_addr =
            serve_metrics(config, entrance::side_door(&door), api.watch.clone(), &stop).await?;
        let pages = pages(config, &store, &context, &observation, &mut supervisor, (&api, &gate))?;
        let router = http::below(&config.security.base_path, http::router_beside(api, gate, pages))?;
        let http = tokio::spawn(http::serve_behind(door, listener, router, stop.clone()));
        Ok(Self {
            addr,
            metrics_addr,
            store,
            certificate,
            verifiers,
            stop,
            supervisor,
            http,
            stop_limit: Duration::from_millis(config.pipeline.stop_limit_ms),
        })
    }

    /// Reads the certificate anew, if there is one.
    ///
    /// # Errors
    /// What is wrong with its files; what was shown is shown on.
    pub fn renew(&self) -> Result<Renewal> {
        self.certificate.as_ref().map_or(Ok(Renewal::None), |certificate| certificate.look())
    }

    /// Verifies webhooks with the secrets of this configuration from now on.
    ///
    /// # Errors
    /// If one of them cannot be a secret; those in force stay.
    pub fn verify_with(&self, config: &Config) -> Result<()> {
        let payments = entrance::verifier(config, Provider::Payments)?;
        let shipping = entrance::verifier(config, Provider::Shipping)?;
        self.verifiers.replace(payments, shipping);
        Ok(())
    }

    /// Stops taking, finishes what is in hand, and says whether it all finished in time.
    pub async fn stop(self) -> Drained {
        self.stop.stop();
        let Self { store, supervisor, mut http, stop_limit, .. } = self;
        let answered = tokio::time::timeout(stop_limit, &mut http);
        let (drained, answered) = tokio::join!(supervisor.drained(stop_limit), answered);
        if answered.is_err() {
            http.abort();
        }
        take_leave(&store).await;
        store.upkeep.close().await;
        drained
    }
}

/// The recorder of observations, and the exporter if a collector is configured.
fn recording(config: &Config, context: &Context) -> Result<(Recording, Option<Arc<Exporter>>)> {
    let registry = Arc::new(observe::registry());
    let Some(endpoint) = config.telemetry.endpoint() else {
        return Ok((Recording { registry, tracer: None }, None));
    };
    let protocol = config.telemetry.protocol().map_err(Error::msg)?;
    let collector = Collector::at(&endpoint, protocol)?;
    let (tracer, spans) = Tracer::new(config.telemetry.trace_permille, Arc::clone(&registry));
    let instance = context.ids.next(context.clock.now()).to_string();
    let every = Duration::from_millis(config.telemetry.otlp_interval_ms);
    let clock = Arc::clone(&context.clock);
    let exporter = Exporter::new(collector, &instance, spans, Arc::clone(&registry), clock, every);
    Ok((Recording { registry, tracer: Some(tracer) }, Some(Arc::new(exporter))))
}

/// Sends events to webhook endpoints from now on.
fn deliver(
    supervisor: &mut Supervisor,
    store: &AnyStore,
    context: &Context,
    config: &Config,
    observation: &Observation,
) -> Result<()> {
    let service = Arc::new(WebhookDeliveryService::new(deliveries::Parts {
        events: Arc::clone(&store.events),
        endpoints: Arc::clone(&store.webhook_endpoints),
        upkeep: Arc::clone(&store.upkeep),
        client: notifying::webhook_client(config)?,
        clock: Arc::clone(&context.clock),
        registry: Arc::clone(&observation.registry),
        pulses: Arc::clone(&observation.pulses),
    }));
    observation.pulses.expect(WebhookDeliveryService::NAME, WebhookDeliveryService::every());
    supervisor.run(WebhookDeliveryService::NAME, move |stop| Arc::clone(&service).run(stop));
    Ok(())
}

/// Says in the register of workers that this one goes. If the store is away, the worker is silent there one day long.
async fn take_leave(store: &AnyStore) {
    let operations = &store.operations;
    let leaving = operations.workers.worker_leaves(operations.worker_id, SystemClock.now());
    match tokio::time::timeout(LEAVE_LIMIT, leaving).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::warn!(%fault, "this worker could not take its leave in the register"),
        Err(_) => tracing::warn!("this worker could not take its leave in the register in time"),
    }
}

fn watch(config: &Config, observation: &Observation) -> Watch {
    Watch {
        registry: Arc::clone(&observation.registry),
        health: Arc::clone(&observation.health),
        place: if config.telemetry.metrics_listen.is_empty() {
            MetricsPlace::Api
        } else {
            MetricsPlace::Elsewhere
        },
    }
}

/// The operators' page, unless it is off.
fn pages(
    config: &Config,
    store: &AnyStore,
    context: &Arc<Context>,
    observation: &Observation,
    supervisor: &mut Supervisor,
    (api, gate): (&Arc<Api>, &Arc<Gate>),
) -> Result<Router> {
    let security = &config.security;
    if security.page == PageMode::Off {
        return Ok(Router::new());
    }
    let page = Page::new(page::Parts {
        inside: Inside::new(Arc::clone(api)),
        gate: Arc::clone(gate),
        sessions: entrance::sessions(security)?,
        is_encrypted: !security.tls_cert.is_empty(),
        mode: security.page,
        base_path: security.base_path.clone(),
        observation: observation.clone(),
        readers: Arc::clone(&store.readers),
        statuses: Box::new(supervisor.statuses()),
        channels: notifying::channels(config),
        trace_link: config.telemetry.trace_link.clone(),
        endpoints: Arc::clone(&store.endpoints),
        broker: store.outgoing.as_ref().map(|outgoing| Arc::clone(&outgoing.broker)),
        pauses: context.pauses.clone(),
        clock: Arc::clone(&context.clock),
        ids: Arc::clone(&context.ids),
    });
    let live = Arc::new(page.live_service(PAGE_LOOK));
    observation.pulses.expect(LiveService::NAME, Duration::from_secs(5));
    supervisor.run(LiveService::NAME, move |stop| Arc::clone(&live).run(stop));
    Ok(page::router(page))
}

/// Serves metrics and health on their own listener, if configured. It ends with the process, so that a stop can be
/// watched to its end.
async fn serve_metrics(
    config: &Config,
    door: http::Door,
    watch: Watch,
    stop: &Stop,
) -> Result<Option<SocketAddr>> {
    if config.telemetry.metrics_listen.is_empty() {
        return Ok(None);
    }
    let listener = TcpListener::bind(&config.telemetry.metrics_listen).await.with_context(|| {
        format!("cannot listen on telemetry.metrics_listen = {}", config.telemetry.metrics_listen)
    })?;
    let addr = listener.local_addr()?;
    let router = match addr.ip().to_canonical().is_loopback() {
        true => http::for_here(watch.router(), Hosts::named(&config.security.hosts)),
        false => watch.router(),
    };
    tokio::spawn(http::serve_behind(door, listener, router, stop.clone()));
    Ok(Some(addr))
}

/// The payment gateway's books, for whoever holds ours against them.
///
/// # Errors
/// What is wrong with the gateway's address.
pub fn books(config: &Config, context: &Arc<Context>) -> Result<Arc<dyn GatewayBooks>> {
    let gateway: Arc<HttpPaymentGateway> = providers(config, context)?.gateway;
    Ok(gateway)
}

fn providers(config: &Config, context: &Arc<Context>) -> Result<Providers> {
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
    Ok(Providers { gateway: Arc::new(gateway), shipping: Arc::new(shipping) })
}

fn parts(config: &Config, providers: Providers, store: &AnyStore, context: &Arc<Context>) -> Result<Parts> {
    Ok(Parts {
        notifications: notifying::notifications(config, store, context)?,
        store: Arc::clone(&store.units),
        transport: Arc::clone(&store.transport),
        gateway: providers.gateway,
        shipping: providers.shipping,
        context: Arc::clone(context),
    })
}

fn api(
    config: &Config,
    store: &AnyStore,
    context: &Arc<Context>,
    books: Arc<dyn GatewayBooks>,
    observation: &Observation,
    supervisor: &mut Supervisor,
) -> Result<Api> {
    let handler = CreateOrderHandler::new(Arc::clone(&store.units), Arc::clone(context));
    let (create, accepting) = Coalescer::stopping_with(Arc::new(handler), supervisor.stop());
    supervisor.run_once("order-acceptance", accepting);
    let commands = CommandPipeline::new(Arc::clone(&store.units), Arc::clone(context));
    let payments = entrance::verifier(config, Provider::Payments)?;
    let shipping = entrance::verifier(config, Provider::Shipping)?;
    let (webhooks, listening) = Webhooks::new(payments, shipping, &commands, &supervisor.stop());
    supervisor.run_once("webhooks", listening);
    let readers = Arc::clone(&store.readers);
    let connections = descriptors::seats(config.connections.at_once_max, config.providers.calls_at_once_max);
    let (awaited, looking) = Awaited::new(Arc::clone(&readers), connections, supervisor.stop());
    supervisor.run_once("awaited-orders", looking);
    let (integrations, following) = Integrations::new(
        Arc::clone(&store.events),
        Arc::clone(&store.webhook_endpoints),
        Plain::of(config),
        connections,
        supervisor.stop(),
    );
    supervisor.run_once("followed-events", following);
    Ok(Api {
        commands,
        create,
        readiness: Arc::new(StoreReadiness::new(Arc::clone(&readers), supervisor.stop())),
        readers,
        books,
        dead_letters: Arc::clone(&store.dead_letters),
        operations: store.operations.clone(),
        webhooks,
        channels: notifying::channels(config),
        in_flight: InFlightKeys::default(),
        awaited,
        integrations,
        watch: watch(config, observation),
    })
}
