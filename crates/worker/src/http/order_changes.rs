//! Changes of an order over HTTP: whom it is for and where it goes. Decides nothing; the command does.

use std::sync::Arc;

use application::commands::{ChangeOrderCommand, ChangeOrderReply, OrderChanges, Seen};
use application::order_details::{Address, Contact};
use application::ports::Answer;
use application::validators::validate_changes;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::OrderId;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::detail_schemas::{ADDRESS, CONTACT};
use super::limits::{NOTE_BYTES_MAX, TEXT_BYTES_MAX};
use super::meaning::Meaning;
use super::order_schemas::SEEN;
use super::orders::ORDER_ID;
use super::parameters::OrderInPath;
use super::problem::{Code, Problem, Wrong};
use super::route::Route;
use super::shape::{Schema, Shape, may, need};
use super::text::Texts;
use super::{Api, body, idempotency};
use crate::security::HIDDEN;

/// The name of the only operation.
const CHANGE: &str = "changeOrder";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::patch("/orders/{order_id}", CHANGE, change)
            .about(
                "Changes whom an order is for and where it goes: what is named, and nothing else. Possible until its carrier is \
                 asked to book the parcel.",
            )
            .with(&[ORDER_ID])
            .once()
            .taking(&WISH)
            .giving(200, &CHANGED)
            .failing(&[
                Code::InvalidParameter,
                Code::OrderNotFound,
                Code::TooLateToChange,
                Code::ChangedMeanwhile,
            ])
            .asking_the_store(),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    contact: Option<Contact>,
    shipping_address: Option<Address>,
    billing_address: Option<Address>,
    actor: String,
    note: Option<String>,
    seen: Option<String>,
}

#[derive(Serialize)]
struct Changed {
    order_id: Uuid,
    changed: Vec<&'static str>,
}

async fn change(
    State(api): State<Arc<Api>>,
    OrderInPath(order_id): OrderInPath,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let (command, seen) = wish(order_id, &body::json(&head.headers, body).await?)?;
    let wish = (&command, seen.as_ref());
    idempotency::once_if_unchanged(&api, &head, meaning(&command), wish, |reply| changed(order_id, reply))
        .await
}

fn wish(order_id: OrderId, text: &[u8]) -> Result<(ChangeOrderCommand, Option<Seen>), Problem> {
    let Wish { contact, shipping_address, billing_address, actor, note, seen } =
        body::parse(text, &WISH.shape)?;
    let changes = OrderChanges { contact, shipping_address, billing_address };
    let mut texts = Texts::default();
    texts.needed("/actor", &actor, TEXT_BYTES_MAX);
    texts.optional("/note", note.as_deref(), NOTE_BYTES_MAX);
    for part in hidden(&changes) {
        let detail =
            "this is what a key without personal:read is shown; send what it stands for, or leave it out";
        texts.add(Wrong::at(format!("/{part}"), "hidden", detail));
    }
    for violation in validate_changes(&changes).err().unwrap_or_default() {
        texts.add(Wrong::from(violation));
    }
    let seen = idempotency::seen_of_order(order_id, seen.as_deref(), &mut texts);
    texts.finish()?;
    Ok((ChangeOrderCommand { order_id, changes, actor, note: note.unwrap_or_default() }, seen))
}

fn meaning(command: &ChangeOrderCommand) -> Meaning {
    let ChangeOrderCommand { order_id, changes, actor, note } = command;
    let said = Meaning::of(CHANGE).text(&order_id.to_string()).text(&written(changes).to_string());
    said.text(actor).text(note)
}

fn written(changes: &OrderChanges) -> Value {
    serde_json::to_value(changes).expect("texts can be written")
}

/// The parts in which a text stands for one that was not shown.
fn hidden(changes: &OrderChanges) -> Vec<String> {
    let is_hidden = |part: &Value| part.to_string().contains(&format!("\"{HIDDEN}\""));
    let parts = written(changes);
    let parts = parts.as_object().into_iter().flatten();
    parts.filter(|(_, part)| is_hidden(part)).map(|(name, _)| name.clone()).collect()
}

fn changed(order_id: OrderId, reply: ChangeOrderReply) -> Result<Answer, Problem> {
    match reply {
        ChangeOrderReply::Changed(changed) => {
            idempotency::answer(StatusCode::OK, &Changed { order_id: order_id.0, changed })
        }
        ChangeOrderReply::TooLate(why) => Err(Problem::new(Code::TooLateToChange, why)),
        ChangeOrderReply::NotFound => {
            Err(Problem::new(Code::OrderNotFound, format!("no order has the id {order_id}")))
        }
    }
}

static WISH: Schema = Schema {
    name: "OrderChange",
    shape: Shape::Object(&[
        may("contact", CONTACT, "Whom to reach from now on; an empty object forgets whom."),
        may("shipping_address", ADDRESS, "Where the goods go from now on."),
        may("billing_address", ADDRESS, "Whom the bill is for from now on."),
        need("actor", Shape::Text, "Who asks for it."),
        may("note", Shape::Text, "Why."),
        may("seen", Shape::Time, SEEN),
    ]),
};
static CHANGED: Schema = Schema {
    name: "OrderChanged",
    shape: Shape::Object(&[
        need("order_id", Shape::Id, "The order."),
        need(
            "changed",
            Shape::List(&Shape::Choice(&["contact", "shipping_address", "billing_address"])),
            "What is changed; nothing if the order said so before.",
        ),
    ]),
};
