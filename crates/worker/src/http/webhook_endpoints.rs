//! Webhook endpoints over HTTP: make, change, pause and remove them, look at what was delivered, and have it sent once more.

use std::sync::Arc;

use application::commands::{
    AddEndpointCommand, ChangeEndpointCommand, RedeliverCommand, RemoveEndpointCommand,
};
use application::ports::{
    DeliveryFilter, DeliveryState, EVENT_TYPES, EndpointChange, EndpointState, Redelivery, WebhookEndpoint,
};
use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use bus::Signed;
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::cursor::Position;
use super::idempotency::once;
use super::limits::{NOTE_BYTES_MAX, PARAMETER_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::parameters::{CURSOR, LIMIT, PageAnswer, Query};
use super::problem::{Code, Problem, Wrong};
use super::route::{self, Parameter, Route};
use super::shape::{Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};
use crate::webhook_endpoints::{
    DeliveryView, EndpointView, NewEndpoint, REDELIVER_MAX, check_type, check_url, fresh, rotation, too_many,
};

/// Names of the operations that change something.
const ADD: &str = "addWebhookEndpoint";
const CHANGE: &str = "changeWebhookEndpoint";
const ROTATE: &str = "rotateWebhookSecret";
const REMOVE: &str = "removeWebhookEndpoint";
const REDELIVER: &str = "redeliverEvents";

const ID: Parameter = route::path("endpoint_id", Shape::Id, "The endpoint.");

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/webhook-endpoints", "listWebhookEndpoints", list)
            .about("Lists the webhook endpoints, with how far each has the events and what keeps it from more.")
            .giving(200, &ENDPOINTS)
            .asking_the_store(),
        Route::post("/webhook-endpoints", ADD, create)
            .about(
                "Makes a webhook endpoint. From now on it is sent each event of every order, signed by the rules of Standard \
                 Webhooks with the secret that this answer shows, once. At least once: 'webhook-id' tells a repeat.",
            )
            .once()
            .taking(&NEW_ENDPOINT)
            .giving(201, &ENDPOINT_SCHEMA)
            .failing(&[Code::WebhookEndpointsFull])
            .asking_the_store(),
        Route::get("/webhook-endpoints/{endpoint_id}", "getWebhookEndpoint", show)
            .about("Shows one webhook endpoint.")
            .with(&[ID])
            .giving(200, &ENDPOINT_SCHEMA)
            .failing(&[Code::InvalidParameter, Code::WebhookEndpointNotFound])
            .asking_the_store(),
        Route::patch("/webhook-endpoints/{endpoint_id}", CHANGE, change)
            .about(
                "Changes what is named of a webhook endpoint, and nothing else. A paused or closed one that is made active goes on \
                 behind its position, at once.",
            )
            .with(&[ID])
            .once()
            .taking(&ENDPOINT_CHANGE)
            .giving(200, &ENDPOINT_SCHEMA)
            .failing(&[Code::InvalidParameter, Code::WebhookEndpointNotFound])
            .asking_the_store(),
        Route::post("/webhook-endpoints/{endpoint_id}/rotate-secret", ROTATE, rotate_secret)
            .about("Gives a webhook endpoint a new secret. For a day the old one signs as well.")
            .with(&[ID])
            .once()
            .taking(&SIGNED)
            .giving(200, &ENDPOINT_SCHEMA)
            .failing(&[Code::InvalidParameter, Code::WebhookEndpointNotFound])
            .asking_the_store(),
        Route::post("/webhook-endpoints/{endpoint_id}/remove", REMOVE, remove)
            .about("Removes a webhook endpoint and what is known of its deliveries.")
            .with(&[ID])
            .once()
            .taking(&SIGNED)
            .giving(200, &REMOVED)
            .failing(&[Code::InvalidParameter, Code::WebhookEndpointNotFound])
            .asking_the_store(),
        Route::get("/webhook-endpoints/{endpoint_id}/deliveries", "listDeliveries", deliveries)
            .about("Lists what became of the events that were sent to a webhook endpoint, newest event first.")
            .with(&[
                ID,
                route::query("state", Shape::Choice(DELIVERY_STATES), "Only deliveries that stand so."),
                CURSOR,
                LIMIT,
            ])
            .giving(200, &DELIVERIES)
            .failing(&[Code::InvalidParameter, Code::WebhookEndpointNotFound])
            .asking_the_store(),
        Route::post("/webhook-endpoints/{endpoint_id}/redeliver", REDELIVER, redeliver)
            .about(
                "Sends events to a webhook endpoint once more: one, whatever became of it, or all that failed, up to a thousand.",
            )
            .with(&[ID])
            .once()
            .taking(&REDELIVERY)
            .giving(202, &REDELIVERED)
            .failing(&[Code::InvalidParameter, Code::WebhookEndpointNotFound, Code::EventNotFound])
            .asking_the_store(),
    ]
}

/// The id of an endpoint in a path.
struct EndpointInPath(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for EndpointInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        super::parameters::parsed(parts, state, "endpoint_id").await.map(Self)
    }
}

async fn found(api: &Api, id: Uuid) -> Result<WebhookEndpoint, Problem> {
    let endpoints = api.integrations.endpoints.endpoints().await?;
    endpoints.into_iter().find(|endpoint| endpoint.id == id).ok_or_else(|| missing(id))
}

fn missing(id: Uuid) -> Problem {
    let detail = format!("no webhook endpoint has the id {id}; GET /webhook-endpoints lists them");
    Problem::new(Code::WebhookEndpointNotFound, detail)
}

async fn list(State(api): State<Arc<Api>>) -> Result<Json<Value>, Problem> {
    let endpoints = api.integrations.endpoints.endpoints().await?;
    let items: Vec<EndpointView> = endpoints.into_iter().map(EndpointView::from).collect();
    Ok(Json(json!({"items": items})))
}

async fn show(
    State(api): State<Arc<Api>>,
    EndpointInPath(id): EndpointInPath,
) -> Result<Json<EndpointView>, Problem> {
    Ok(Json(found(&api, id).await?.into()))
}

async fn deliveries(
    State(api): State<Arc<Api>>,
    EndpointInPath(id): EndpointInPath,
    parts: Parts,
) -> Result<Json<PageAnswer<DeliveryView>>, Problem> {
    let mut query = Query::of(&parts, &["state", "cursor", "limit"]);
    let filter = DeliveryFilter {
        state: query.take("state", str::parse::<DeliveryState>),
        before: query.cursor::<Position>().map(|Position(position)| position),
    };
    let limit = query.limit();
    query.finish()?;
    found(&api, id).await?;
    let page = api.integrations.endpoints.deliveries(id, filter, limit).await?;
    let items: Vec<DeliveryView> = page.items.into_iter().map(DeliveryView::from).collect();
    let place = |delivery: &DeliveryView| Some(Position(delivery.position));
    Ok(Json(PageAnswer::new(items, page.has_more.into(), place)))
}

/// Who asks, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedDraft {
    actor: String,
    reason: Option<String>,
}

impl SignedDraft {
    fn check(&self, texts: &mut Texts) {
        texts.needed("/actor", &self.actor, TEXT_BYTES_MAX);
        texts.optional("/reason", self.reason.as_deref(), NOTE_BYTES_MAX);
    }

    fn by(&self, api: &Api) -> Signed<'_> {
        let note = self.reason.as_deref().unwrap_or_default();
        Signed { actor: &self.actor, note, at: api.commands.context().clock.now() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDraft {
    url: String,
    #[serde(default)]
    types: Option<Vec<String>>,
    note: Option<String>,
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    after: Option<i64>,
    actor: String,
    reason: Option<String>,
}

fn check_endpoint(texts: &mut Texts, api: &Api, url: Option<&str>, types: &[String], note: Option<&str>) {
    texts.optional("/url", url, PARAMETER_BYTES_MAX);
    if let Some(url) = url {
        texts.take("/url", "invalid_value", check_url(url, api.integrations.plain));
    }
    for (index, name) in types.iter().enumerate().take(EVENT_TYPES.len() + 1) {
        texts.take(&format!("/types/{index}"), "unknown_value", check_type(name));
        if types[..index].contains(name) {
            texts.add(Wrong::at(
                format!("/types/{index}"),
                "repeated",
                format!("'{name}' stands there already"),
            ));
        }
    }
    texts.optional("/note", note, NOTE_BYTES_MAX);
}

async fn create(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let draft: NewDraft = body::parse(&body::json(&head.headers, body).await?, &NEW_ENDPOINT.shape)?;
    let signed = SignedDraft { actor: draft.actor, reason: draft.reason };
    let types = draft.types.unwrap_or_default();
    let mut texts = Texts::default();
    check_endpoint(&mut texts, &api, Some(&draft.url), &types, draft.note.as_deref());
    texts.within("/after", draft.after.unwrap_or(0), 0, i64::MAX);
    signed.check(&mut texts);
    texts.finish()?;
    let meaning = Meaning::of(ADD).text(&draft.url).text(&types.join(" ")).optional(draft.note.as_deref());
    let meaning = meaning.number(draft.after.unwrap_or(-1)).text(&signed.actor);
    let meaning = meaning.optional(signed.reason.as_deref());
    let position = match draft.after {
        Some(position) => position,
        None => api.integrations.log.newest_event().await?,
    };
    let by = signed.by(&api);
    let id = api.commands.context().ids.next(by.at);
    let note = draft.note.unwrap_or_default();
    let new = NewEndpoint { id, url: draft.url, types, note, position };
    let endpoint = fresh(new, by.at)?;
    let answer = |added| match added {
        true => idempotency::answer(StatusCode::CREATED, &EndpointView::with_secret(endpoint.clone())),
        false => Err(Problem::new(Code::WebhookEndpointsFull, too_many())),
    };
    once(&api, &head, meaning, &AddEndpointCommand { endpoint: &endpoint, by }, answer).await
}

/// What a person may make of an endpoint.
fn wished_state(word: &str) -> Result<EndpointState, String> {
    match word {
        "active" => Ok(EndpointState::Active),
        "paused" => Ok(EndpointState::Paused),
        other => Err(format!("is active or paused, not '{other}'")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeDraft {
    url: Option<String>,
    types: Option<Vec<String>>,
    note: Option<String>,
    state: Option<String>,
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    after: Option<i64>,
    actor: String,
    reason: Option<String>,
}

async fn change(
    State(api): State<Arc<Api>>,
    EndpointInPath(id): EndpointInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let draft: ChangeDraft = body::parse(&body::json(&head.headers, body).await?, &ENDPOINT_CHANGE.shape)?;
    let signed = SignedDraft { actor: draft.actor, reason: draft.reason };
    let mut texts = Texts::default();
    let types = draft.types.as_deref().unwrap_or_default();
    check_endpoint(&mut texts, &api, draft.url.as_deref(), types, draft.note.as_deref());
    let state =
        draft.state.as_deref().and_then(|word| texts.take("/state", "unknown_value", wished_state(word)));
    texts.within("/after", draft.after.unwrap_or(0), 0, i64::MAX);
    signed.check(&mut texts);
    texts.finish()?;
    let meaning = Meaning::of(CHANGE).text(&id.to_string()).optional(draft.url.as_deref());
    let meaning = meaning.optional(draft.types.as_ref().map(|types| types.join(" ")).as_deref());
    let meaning = meaning.optional(draft.note.as_deref()).optional(draft.state.as_deref());
    let meaning = meaning.number(draft.after.unwrap_or(-1)).text(&signed.actor);
    let meaning = meaning.optional(signed.reason.as_deref());
    let change = EndpointChange {
        url: draft.url,
        types: draft.types,
        note: draft.note,
        state,
        secret: None,
        position: draft.after,
    };
    let command = ChangeEndpointCommand { id, change: &change, by: signed.by(&api) };
    let answer = |changed: Option<WebhookEndpoint>| {
        let view = EndpointView::from(changed.ok_or_else(|| missing(id))?);
        idempotency::answer(StatusCode::OK, &view)
    };
    once(&api, &head, meaning, &command, answer).await
}

async fn rotate_secret(
    State(api): State<Arc<Api>>,
    EndpointInPath(id): EndpointInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (signed, meaning) = signed(ROTATE, id, &body::json(&head.headers, body).await?)?;
    let change = rotation()?;
    let command = ChangeEndpointCommand { id, change: &change, by: signed.by(&api) };
    let answer = |changed: Option<WebhookEndpoint>| {
        let view = EndpointView::with_secret(changed.ok_or_else(|| missing(id))?);
        idempotency::answer(StatusCode::OK, &view)
    };
    once(&api, &head, meaning, &command, answer).await
}

#[derive(Serialize)]
struct Removed {
    id: Uuid,
    removed: bool,
}

async fn remove(
    State(api): State<Arc<Api>>,
    EndpointInPath(id): EndpointInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (signed, meaning) = signed(REMOVE, id, &body::json(&head.headers, body).await?)?;
    let answer = |removed| match removed {
        true => idempotency::answer(StatusCode::OK, &Removed { id, removed }),
        false => Err(missing(id)),
    };
    once(&api, &head, meaning, &RemoveEndpointCommand { id, by: signed.by(&api) }, answer).await
}

fn signed(operation: &'static str, id: Uuid, body: &[u8]) -> Result<(SignedDraft, Meaning), Problem> {
    let signed: SignedDraft = body::parse(body, &SIGNED.shape)?;
    let mut texts = Texts::default();
    signed.check(&mut texts);
    texts.finish()?;
    let meaning = Meaning::of(operation).text(&id.to_string()).text(&signed.actor);
    let meaning = meaning.optional(signed.reason.as_deref());
    Ok((signed, meaning))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedeliveryDraft {
    #[serde(default, deserialize_with = "application::whole_number::read_optional")]
    position: Option<i64>,
    actor: String,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Redelivered {
    events: usize,
}

async fn redeliver(
    State(api): State<Arc<Api>>,
    EndpointInPath(id): EndpointInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let draft: RedeliveryDraft = body::parse(&body::json(&head.headers, body).await?, &REDELIVERY.shape)?;
    let signed = SignedDraft { actor: draft.actor, reason: draft.reason };
    let mut texts = Texts::default();
    signed.check(&mut texts);
    texts.finish()?;
    let meaning = Meaning::of(REDELIVER).text(&id.to_string()).number(draft.position.unwrap_or(-1));
    let meaning = meaning.text(&signed.actor).optional(signed.reason.as_deref());
    found(&api, id).await?;
    let what = draft.position.map_or(Redelivery::Failed(REDELIVER_MAX), Redelivery::One);
    let answer = |events| match (events, what) {
        (0, Redelivery::One(position)) => {
            let detail = format!(
                "event {position} was not sent to this endpoint; its deliveries list those that were"
            );
            Err(Problem::new(Code::EventNotFound, detail))
        }
        _ => idempotency::answer(StatusCode::ACCEPTED, &Redelivered { events }),
    };
    once(&api, &head, meaning, &RedeliverCommand { id, what, by: signed.by(&api) }, answer).await
}

const STATES: &[&str] = &["active", "paused", "closed"];
const DELIVERY_STATES: &[&str] = &["delivered", "waiting", "failed"];
const TYPES: Shape = Shape::Choice(&EVENT_TYPES);

static ENDPOINT_SCHEMA: Schema = Schema {
    name: "WebhookEndpoint",
    shape: Shape::Object(&[
        need("id", Shape::Id, "Its id."),
        need("url", Shape::Text, "Where events are sent, without what may be a secret in it."),
        need("types", Shape::List(&Shape::Text), "Only these types of events; all if there is none."),
        need("note", Shape::Text, "What it is for."),
        need("state", Shape::Choice(STATES), "Whether it gets events."),
        may("trouble", Shape::Text, "Why it is closed, or what keeps it from more."),
        need("position", Shape::Integer, "The position up to which it has the events."),
        need("failures", Shape::Integer, "Attempts in a row of which none got through."),
        may("failing_since", Shape::Time, "Since when none gets through."),
        may("next_attempt_at", Shape::Time, "When it is tried again."),
        need("created_at", Shape::Time, "When it was made."),
        may("secret", Shape::Text, "Its secret, only when it has just been made; it is not shown again."),
    ]),
};
const ENDPOINT: Shape = Shape::Named(&ENDPOINT_SCHEMA);
static ENDPOINTS: Schema = Schema {
    name: "WebhookEndpointList",
    shape: Shape::Object(&[need("items", Shape::List(&ENDPOINT), "All of them, oldest first.")]),
};
static NEW_ENDPOINT: Schema = Schema {
    name: "NewWebhookEndpoint",
    shape: Shape::Object(&[
        need("url", Shape::Text, "Where to send events, https://HOST/PATH."),
        may("types", Shape::List(&TYPES), "Only these types of events; all if left out."),
        may("note", Shape::Text, "What it is for."),
        may(
            "after",
            Shape::Integer,
            "The position to begin behind, 0 for the oldest event; from now on if left out.",
        ),
        need("actor", Shape::Text, "Who."),
        may("reason", Shape::Text, "Why."),
    ]),
};
static ENDPOINT_CHANGE: Schema = Schema {
    name: "WebhookEndpointChange",
    shape: Shape::Object(&[
        may("url", Shape::Text, "Where to send events, https://HOST/PATH."),
        may("types", Shape::List(&TYPES), "Only these types of events; none for all."),
        may("note", Shape::Text, "What it is for."),
        may("state", Shape::Choice(&["active", "paused"]), "Whether it gets events."),
        may("after", Shape::Integer, "The position to go on behind."),
        need("actor", Shape::Text, "Who."),
        may("reason", Shape::Text, "Why."),
    ]),
};
static SIGNED: Schema = Schema {
    name: "WebhookEndpointAct",
    shape: Shape::Object(&[need("actor", Shape::Text, "Who."), may("reason", Shape::Text, "Why.")]),
};
static REMOVED: Schema = Schema {
    name: "WebhookEndpointRemoved",
    shape: Shape::Object(&[
        need("id", Shape::Id, "The endpoint."),
        need("removed", Shape::Boolean, "That it is gone."),
    ]),
};
const DELIVERY: Shape = Shape::Named(&Schema {
    name: "WebhookDelivery",
    shape: Shape::Object(&[
        need("position", Shape::Integer, "The event."),
        need("order_id", Shape::Id, "The event's order."),
        need("type", Shape::Text, "What happened."),
        need("state", Shape::Choice(DELIVERY_STATES), "What became of it."),
        need("attempts", Shape::Integer, "Attempts until now."),
        need("last_at", Shape::Time, "When it was tried last."),
        may("next_at", Shape::Time, "When it is tried again."),
        need("took_ms", Shape::Integer, "Milliseconds that the last attempt took."),
        need("answer", Shape::Text, "What was answered last."),
    ]),
});
static DELIVERIES: Schema = Schema {
    name: "WebhookDeliveryPage",
    shape: Shape::Object(&[
        need("items", Shape::List(&DELIVERY), "The deliveries of this page."),
        may("next_cursor", Shape::Text, "Where the next page begins, if there is one."),
    ]),
};
static REDELIVERY: Schema = Schema {
    name: "WebhookRedelivery",
    shape: Shape::Object(&[
        may("position", Shape::Integer, "The event; all that failed if left out."),
        need("actor", Shape::Text, "Who."),
        may("reason", Shape::Text, "Why."),
    ]),
};
static REDELIVERED: Schema = Schema {
    name: "WebhookRedelivered",
    shape: Shape::Object(&[need("events", Shape::Integer, "How many events are sent once more.")]),
};
