//! The audit log over HTTP: who did what to what, when and why. Changes nothing.

use std::sync::Arc;

use application::ports::{AuditFilter, AuditView};
use axum::Json;
use axum::extract::State;
use http::request::Parts;

use super::Api;
use super::cursor::Position;
use super::parameters::{CURSOR, LIMIT, PageAnswer, Query};
use super::problem::{Code, Problem};
use super::route::{self, Route};
use super::shape::{Schema, Shape, may, need};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/audit", "listAudit", list)
            .about(
                "Lists what persons did, latest first: sagas operated, orders cancelled and refunded, stock and products \
                 changed, dead letters put back or archived, provider events seen to, keys made and revoked.",
            )
            .with(&[
                route::query("actor", Shape::Text, "Only what this person did."),
                route::query(
                    "subject",
                    Shape::Text,
                    "Only what was done to this, as the log names it: an order's id, a sku, 'dead letter 7', 'key abc'.",
                ),
                CURSOR,
                LIMIT,
            ])
            .giving(200, &AUDIT)
            .failing(&[Code::InvalidParameter])
            .asking_the_store(),
    ]
}

async fn list(State(api): State<Arc<Api>>, parts: Parts) -> Result<Json<PageAnswer<AuditView>>, Problem> {
    let mut query = Query::of(&parts, &["actor", "subject", "cursor", "limit"]);
    let text = |text: &str| Ok::<_, String>(text.to_owned());
    let filter = AuditFilter {
        actor: query.take("actor", text),
        subject: query.take("subject", text),
        before: query.cursor::<Position>().map(|Position(position)| position),
    };
    let limit = query.limit();
    query.finish()?;
    let page = api.readers.audit(&filter, limit).await?;
    let place = |entry: &AuditView| Some(Position(entry.position));
    Ok(Json(PageAnswer::new(page.items, page.has_more.into(), place)))
}

const ENTRY: Shape = Shape::Named(&Schema {
    name: "AuditEntry",
    shape: Shape::Object(&[
        need("position", Shape::Integer, "Its place in the log."),
        need("at", Shape::Time, "When."),
        need("actor", Shape::Text, "Who, as the request said."),
        need("action", Shape::Text, "What, as the command line would call it."),
        need("subject", Shape::Text, "To what."),
        need("note", Shape::Text, "Why, in their words."),
    ]),
});
static AUDIT: Schema = Schema {
    name: "AuditPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&ENTRY), "The entries, latest first."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
