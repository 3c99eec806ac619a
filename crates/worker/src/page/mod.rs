//! The operators' page: what needs a person, why an order stands where it stands, and what can be done about it. Made on
//! the server and usable without script. It reads and acts through the API alone, as the person who has signed in, so
//! the scopes of their key hold here too. Decides nothing.

mod acting;
mod attention;
mod audit;
mod bulk;
mod calls;
mod dead_letters;
mod error_queues;
mod export;
mod health;
mod live;
mod order;
mod order_details;
mod order_holds;
mod order_lines;
mod order_returns;
mod orders;
mod overview;
mod providers;
mod route_of_order;
mod samples;
mod sign_in;
mod stock;
mod value;
mod visit;
mod webhooks;
mod wish;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use application::ports::{Channel, ClosedEndpoints, Readers};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use bus::{Clock, IdSource, PauseBoard};

use crate::config::PageMode;
use crate::health::Broker;
use crate::http::{Inside, TEXT_BYTES_MAX};
use crate::observe::{Observation, Statuses};
use crate::security::{Gate, Sessions};

pub use live::LiveService;

use live::Live;
use samples::Samples;

/// Bytes of a form at most: the ids of a thousand orders and a note.
const FORM_BYTES_MAX: usize = 64 << 10;

/// What the page is made of.
pub struct Parts {
    /// The API, called from within.
    pub inside: Inside,
    /// Who may come in.
    pub gate: Arc<Gate>,
    /// Sessions of people who signed in.
    pub sessions: Sessions,
    /// Whether browsers reach the service by TLS.
    pub is_encrypted: bool,
    /// Whether the page changes anything.
    pub mode: PageMode,
    /// The path below which a proxy shows the service; may be empty.
    pub base_path: String,
    /// What is known from looking on.
    pub observation: Observation,
    /// The read side, for what changes.
    pub readers: Arc<dyn Readers>,
    /// The states of everything that runs.
    pub statuses: Statuses,
    /// Where a trace is looked at, with `{trace_id}` for its id; empty for nowhere.
    pub trace_link: String,
    /// How customers are told.
    pub channels: Arc<[Channel]>,
    /// Receivers of webhooks that want no more.
    pub endpoints: Arc<dyn ClosedEndpoints>,
    /// The broker, if there is one.
    pub broker: Option<Arc<dyn Broker>>,
    /// Which consumers are paused, as this worker knows.
    pub pauses: PauseBoard,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids for what is done once.
    pub ids: Arc<dyn IdSource>,
}

/// The operators' page.
pub struct Page {
    parts: Parts,
    /// The path of the page itself, without a slash at its end.
    base: String,
    live: Live,
    samples: Samples,
}

impl Page {
    /// The page of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let base = format!("{}/ui", parts.base_path);
        Arc::new(Self { parts, base, live: Live::default(), samples: Samples::default() })
    }

    /// The service that looks for what has changed while somebody looks on.
    #[must_use]
    pub fn live_service(self: &Arc<Self>, every: Duration) -> LiveService {
        LiveService::new(Arc::clone(self), every)
    }
}

/// The routes of the page, below `/ui`, and the way there from `/`.
pub fn router(page: Arc<Page>) -> Router {
    let base = page.base.clone();
    let pages = Router::new()
        .route("/ui", get(overview::show))
        .route("/ui/orders", get(orders::show))
        .route("/ui/orders.csv", get(export::csv))
        .route("/ui/orders.ndjson", get(export::ndjson))
        .route("/ui/orders/confirm", post(bulk::confirm))
        .route("/ui/orders/act", post(bulk::act))
        .route("/ui/orders/{order_id}", get(order::show))
        .route("/ui/orders/{order_id}/{action}", post(acting::on_order))
        .route("/ui/attention", get(attention::show))
        .route("/ui/stock", get(stock::show))
        .route("/ui/stock/{sku}", get(stock::show_product))
        .route("/ui/stock/{sku}/{action}", post(acting::on_stock))
        .route("/ui/dead-letters", get(dead_letters::show))
        .route("/ui/dead-letters/{position}", get(dead_letters::show_one))
        .route("/ui/dead-letters/act/{action}", post(dead_letters::act))
        .route("/ui/providers", get(providers::show))
        .route("/ui/providers/events/{position}", post(acting::on_event))
        .route("/ui/providers/events/{position}/take-again", post(acting::on_event_again))
        .route("/ui/providers/endpoints", post(providers::reopen))
        .route("/ui/webhooks", get(webhooks::show).post(webhooks::add))
        .route("/ui/webhooks/{id}", get(webhooks::show_one))
        .route("/ui/webhooks/{id}/{action}", post(webhooks::act))
        .route("/ui/workers", get(workers::show))
        .route("/ui/workers/errors/{name}", get(error_queues::show))
        .route("/ui/workers/errors/{name}/{action}", post(error_queues::act))
        .route("/ui/workers/queues/{action}", post(acting::on_queue))
        .route("/ui/health", get(health::show))
        .route("/ui/audit", get(audit::show))
        .route("/ui/live", get(live::stream))
        .layer(from_fn_with_state(Arc::clone(&page), visit::enter))
        .route("/ui/sign-in", get(sign_in::ask).post(sign_in::sign_in))
        .route("/ui/sign-out", post(sign_in::sign_out))
        .route("/ui/assets/{name}", get(async |Path(name): Path<String>| bus_page::asset(&name)))
        .route("/ui/", get(home))
        .route("/ui/{*rest}", get(unknown))
        .layer(map_response(async |mut response: Response| {
            bus_page::headers(response.headers_mut());
            response
        }))
        .with_state(page);
    pages.route("/", get(async move || Redirect::to(&base)))
}

/// The overview, whose path has no slash at its end.
async fn home(State(page): State<Arc<Page>>) -> Redirect {
    Redirect::to(&page.base)
}

/// Paths of the pages that the navigation leads to, below `/ui`.
pub fn paths() -> impl Iterator<Item = &'static str> {
    visit::paths()
}

/// Nothing is at this address.
async fn unknown(State(page): State<Arc<Page>>) -> Response {
    let lead = "There is no such page. The navigation leads to those that there are.";
    visit::bare(&page, http::StatusCode::NOT_FOUND, "Not found", lead).into_response()
}

/// Bytes of a note at most.
const NOTE_BYTES_MAX: usize = TEXT_BYTES_MAX;
