//! Pages for any service on the bus: what waits in its queues, and its dead letters. They only show. Who may see them is
//! for the caller to decide, whose gate they go behind.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bus::{Clock, DeadLetter, DeadLetterFilter, DeadLetters};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use maud::{Markup, html};

use crate::assets::{asset, headers};
use crate::dead_letters::{Letter, letter};
use crate::frame::Frame;
use crate::parts::{Column, moment, short_id, table};
use crate::queues::{QueueRow, queues};

/// Dead letters of one page.
const LETTERS_MAX: usize = 50;

/// What the pages show.
pub struct BusPages {
    /// The name of the service.
    pub service: String,
    /// The path below which they are mounted, without a slash at its end.
    pub base: String,
    /// The dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What waits, by queue, at this moment.
    pub queues: Box<dyn Fn() -> Vec<QueueRow> + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The routes, to be nested below [`BusPages::base`].
pub fn router(pages: BusPages) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/dead-letters/{position}", get(one))
        .route("/assets/{name}", get(async |Path(name): Path<String>| asset(&name)))
        .layer(map_response(async |mut response: Response| {
            headers(response.headers_mut());
            response
        }))
        .with_state(Arc::new(pages))
}

impl BusPages {
    fn page(&self, title: &str, status: StatusCode, content: &Markup) -> Response {
        let frame = Frame {
            service: &self.service,
            base: &self.base,
            title,
            links: &[],
            here: "",
            viewer: None,
            live: None,
            notice: None,
        };
        let page = frame.around(content).into_string();
        (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
    }

    async fn letters(&self, after: Option<i64>, max: usize) -> Result<Vec<DeadLetter>, Response> {
        let filter = DeadLetterFilter { after, ..DeadLetterFilter::default() };
        self.dead_letters.list_dead_letters(&filter, max).await.map_err(|_| {
            let why = html! { p .error { "The store is away; load the page again in a moment." } };
            self.page("Not shown", StatusCode::SERVICE_UNAVAILABLE, &why)
        })
    }
}

async fn overview(State(pages): State<Arc<BusPages>>) -> Result<Response, Response> {
    let letters = pages.letters(None, LETTERS_MAX).await?;
    let columns = [
        Column::text("Message"),
        Column::text("Kind"),
        Column::text("Queue"),
        Column::text("Last error"),
        Column::text("Died"),
    ];
    let now = pages.clock.now();
    let row = |dead: &DeadLetter| {
        let to = format!("{}/dead-letters/{}", pages.base, dead.position);
        vec![
            html! { a href=(to) { (short_id(&dead.envelope.id.to_string())) } },
            html! { (dead.envelope.kind) },
            html! { (dead.queue) },
            html! { span .error { (dead.reason) } },
            moment(dead.died_at, now),
        ]
    };
    let rows: Vec<_> = letters.iter().map(row).collect();
    let content = html! {
        (queues("Messages that wait", &(pages.queues)()))
        h2 { "Dead letters" }
        (table("The oldest dead letters", &columns, &rows, "There are no dead letters."))
    };
    Ok(pages.page("Queues", StatusCode::OK, &content))
}

async fn one(State(pages): State<Arc<BusPages>>, Path(position): Path<i64>) -> Result<Response, Response> {
    let letters = pages.letters(Some(position.saturating_sub(1)), 1).await?;
    let Some(dead) = letters.first().filter(|dead| dead.position == position) else {
        let gone = html! { p .lead { "It is not there any more: it was put back." } };
        return Ok(pages.page("Not found", StatusCode::NOT_FOUND, &gone));
    };
    let envelope = &dead.envelope;
    let [id, about] = [envelope.id.to_string(), envelope.correlation_id.to_string()];
    let body = String::from_utf8_lossy(&envelope.body);
    let shown = Letter {
        kind: &envelope.kind,
        queue: &dead.queue,
        reason: &dead.reason,
        attempts: envelope.attempt.into(),
        times: [Some(envelope.sent_at), Some(dead.died_at)],
        ids: [&id, &about],
        trace: envelope.traceparent.as_deref().unwrap_or(""),
        body: &body,
    };
    Ok(pages.page("Dead letter", StatusCode::OK, &letter(&shown, pages.clock.now())))
}
