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
        let page = Frame::plain(&self.service, &self.base, title).around(content).into_string();
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use axum::body::{Body, to_bytes};
    use bus::{CorrelationId, DeadLetterGroups, Envelope, Fault, MessageId, Shelf, Signed, SystemClock};
    use http::Request;
    use jiff::Timestamp;
    use tower::ServiceExt;
    use uuid::Uuid;

    use super::*;

    /// Two dead letters, at the positions 3 and 7.
    struct Two;

    fn dead(position: i64) -> DeadLetter {
        let (id, about) = (MessageId(Uuid::from_u128(1)), CorrelationId(Uuid::from_u128(2)));
        let envelope =
            Envelope::first(id, about, "MeterRead", "{\"kwh\": \"<b>\"}".into(), Timestamp::UNIX_EPOCH);
        DeadLetter {
            position,
            queue: Arc::from("meters"),
            envelope,
            reason: format!("no meter <{position}>"),
            died_at: Timestamp::UNIX_EPOCH,
            archived: None,
        }
    }

    #[async_trait]
    impl DeadLetters for Two {
        async fn list_dead_letters(
            &self,
            filter: &DeadLetterFilter,
            max: usize,
        ) -> Result<Vec<DeadLetter>, Fault> {
            assert_eq!(filter.shelf, Shelf::Waiting);
            let behind = |position: &i64| filter.after.is_none_or(|after| *position > after);
            Ok([3, 7].into_iter().filter(behind).take(max).map(dead).collect())
        }

        async fn count_dead_letters(&self, _: &DeadLetterFilter) -> Result<u64, Fault> {
            Ok(2)
        }

        async fn group_dead_letters(
            &self,
            _: &DeadLetterFilter,
            _: usize,
        ) -> Result<DeadLetterGroups, Fault> {
            Ok(DeadLetterGroups { groups: Vec::new(), is_partial: false, has_more: false })
        }

        async fn redrive(&self, _: &[i64], _: &Signed<'_>) -> Result<Vec<i64>, Fault> {
            panic!("these pages only show")
        }

        async fn archive(&self, _: &[i64], _: &Signed<'_>) -> Result<Vec<i64>, Fault> {
            panic!("these pages only show")
        }
    }

    async fn shown(path: &str) -> (StatusCode, String) {
        let queue = QueueRow {
            name: "meters".to_owned(),
            waiting: 12,
            consumers: None,
            set_aside: None,
            paused: None,
        };
        let pages = BusPages {
            service: "Meters".to_owned(),
            base: "/bus".to_owned(),
            dead_letters: Arc::new(Two),
            queues: Box::new(move || vec![queue.clone()]),
            clock: Arc::new(SystemClock),
        };
        let router = Router::new().nest("/bus", router(pages));
        let answer = router.oneshot(Request::get(path).body(Body::empty()).expect("a request")).await;
        let answer = answer.expect("an answer");
        assert!(path.contains("assets") || answer.headers().contains_key("content-security-policy"));
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn a_service_of_any_kind_shows_its_queues_and_dead_letters_below_a_path() {
        let (status, page) = shown("/bus").await;
        assert_eq!(status, StatusCode::OK);
        for part in
            ["meters", "12", "no meter &lt;3&gt;", "href=\"/bus/dead-letters/7\"", "/bus/assets/page-"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        let (status, letter) = shown("/bus/dead-letters/7").await;
        assert!(status == StatusCode::OK && letter.contains("no meter &lt;7&gt;"), "{letter}");
        assert!(letter.contains("&lt;b&gt;") && !letter.contains("<b>"), "{letter}");
        assert_eq!(shown("/bus/dead-letters/5").await.0, StatusCode::NOT_FOUND);
        assert_eq!(shown("/bus/assets/none.js").await.0, StatusCode::NOT_FOUND);
    }
}
