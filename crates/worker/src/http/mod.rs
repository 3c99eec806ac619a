//! The HTTP API: orders, stock, sagas, imports, webhooks, health, and the document that describes all of it. Reads what
//! comes, asks the use cases, writes what they say; must never hold a rule of the business.

mod access;
mod addresses;
mod audit;
mod awaited;
mod body;
mod conduct;
mod connection;
mod csv_orders;
mod cursor;
mod dead_letters;
mod detail_schemas;
mod docs_page;
mod draft;
mod edge;
mod erasing;
mod error_queues;
mod events;
mod exchange;
mod health;
mod hold_schemas;
mod idempotency;
mod import_answer;
mod imports;
mod inside;
mod integrations;
mod inventory;
mod json_orders;
mod letter_acts;
mod limits;
mod line;
mod line_cancellations;
mod meaning;
mod measuring;
mod ndjson_orders;
mod notifications;
mod openapi;
mod order_changes;
mod order_holds;
mod order_returns;
mod order_schemas;
mod orders;
mod outside;
mod parameters;
mod personal;
mod prefer;
mod problem;
mod products;
mod provider_events;
mod queues;
mod received;
mod refunds;
mod reservations;
mod return_schemas;
mod route;
mod sagas;
mod seats;
mod server;
mod shape;
mod sheets;
mod signature;
mod text;
mod watching;
mod webhook_endpoints;
mod webhooks;
mod within;
mod workers;

use std::sync::Arc;

use application::commands::{CommandPipeline, CreateOrderHandler};
use application::ports::{Channel, GatewayBooks, Readers};
use axum::response::Redirect;
use axum::{Extension, Router};
use bus::{Coalescer, DeadLetters};

pub use awaited::Awaited;
pub use conduct::Patience;
pub use edge::for_here;
pub use health::{Readiness, StoreReadiness, Unready};
pub(crate) use idempotency::CHANGED_WORDS;
pub use idempotency::InFlightKeys;
pub(crate) use idempotency::key_text;
pub use inside::{Asked, Heard, Inside};
pub use integrations::Integrations;
pub(crate) use inventory::{booked as stock_booked, key_of as stock_key};
pub use limits::{CONNECTIONS_MAX, NOTE_BYTES_MAX, TEXT_BYTES_MAX};
pub use openapi::document;
pub use outside::{Reader, Verdict};
pub use server::{Door, Names, serve, serve_behind};
pub use watching::{MetricsPlace, Watch};
pub use webhooks::{TakeNewsHandler, Verifiers, Webhooks};

use crate::operations::Operations;
use crate::security::Gate;
use addresses::Addresses;
use openapi::BasePath;
use route::Route;

/// Everything that the handlers use.
pub struct Api {
    /// Commands, each in a transaction of its own.
    pub commands: CommandPipeline,
    /// New orders, many per transaction. The creator of this value runs its loop.
    pub create: Coalescer<CreateOrderHandler>,
    /// The read side.
    pub readers: Arc<dyn Readers>,
    /// The payment gateway's books.
    pub books: Arc<dyn GatewayBooks>,
    /// Dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Queues, workers and error queues.
    pub operations: Operations,
    /// News from the providers.
    pub webhooks: Webhooks,
    /// How customers are told.
    pub channels: Arc<[Channel]>,
    /// Whether the service can serve.
    pub readiness: Arc<dyn Readiness>,
    /// Orders being accepted at this moment; begins empty.
    pub in_flight: InFlightKeys,
    /// Callers that wait for their orders' money. The creator of this value runs its loop.
    pub awaited: Awaited,
    /// What programs of others follow orders by. The creator of this value runs its loop.
    pub integrations: Integrations,
    /// What is known from looking on.
    pub watch: Watch,
}

/// Every route behind the gate, with its documentation and its problems.
pub fn router(api: Arc<Api>, gate: Arc<Gate>) -> Router {
    router_beside(api, gate, Router::new())
}

/// The same, with pages for people beside it that are behind the same gate.
pub fn router_beside(api: Arc<Api>, gate: Arc<Gate>, pages: Router) -> Router {
    let mut routes = routes();
    routes.retain(|route| api.watch.serves(route.operation.path));
    let addresses = Addresses::of(&routes);
    let mut router = Router::new();
    for Route { operation, handler } in routes {
        router = router.route(operation.path, handler);
    }
    let registry = Arc::clone(&api.watch.registry);
    let router =
        edge::around(router.with_state(api).merge(docs_page::router()).merge(pages), gate, addresses);
    measuring::around(router, registry)
}

/// The same routes below a path as well: some proxies take the path away, others pass it on.
///
/// # Errors
/// If the path is one of the service's own, so that an address could mean two things.
pub fn below(base_path: &str, router: Router) -> Result<Router, BasePathTaken> {
    if base_path.is_empty() {
        return Ok(router);
    }
    let first = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
    let taken = first(base_path);
    let own = routes().into_iter().map(|route| first(route.operation.path));
    if own.chain(["ui", "docs"].map(str::to_owned)).any(|known| known == taken) {
        return Err(BasePathTaken(base_path.to_owned()));
    }
    let (root, to) = (format!("{base_path}/"), base_path.to_owned());
    let with_slash = axum::routing::get(async move || Redirect::to(&to));
    let router = router.layer(Extension(BasePath(base_path.into())));
    Ok(Router::new().route(&root, with_slash).nest(base_path, router.clone()).fallback_service(router))
}

/// A base path that begins like an address of the service itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "security.base_path = '{0}' begins like an address of the service itself; take another, such as /shop"
)]
pub struct BasePathTaken(String);

/// The routes in the order in which the document lists them.
fn routes() -> Vec<Route> {
    [
        orders::routes(),
        imports::routes(),
        sagas::routes(),
        products::routes(),
        inventory::routes(),
        reservations::routes(),
        dead_letters::routes(),
        letter_acts::routes(),
        events::routes(),
        webhook_endpoints::routes(),
        notifications::routes(),
        erasing::routes(),
        order_changes::routes(),
        line_cancellations::routes(),
        order_holds::routes(),
        order_returns::routes(),
        queues::routes(),
        error_queues::routes(),
        workers::routes(),
        provider_events::routes(),
        audit::routes(),
        refunds::routes(),
        webhooks::routes(),
        health::routes(),
        watching::routes(),
        openapi::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
