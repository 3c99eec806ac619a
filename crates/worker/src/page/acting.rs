//! What a person does about one thing: a form becomes one call of the API, in their name, done once.

use axum::extract::{Path, Request};
use axum::response::Response;
use bus_page::{Forbidden, Tone};
use http::Method;
use serde_json::{Map, Value, json};

use super::NOTE_BYTES_MAX;
use super::sign_in::{field, fields};
use super::value::{segment, text, to_minor};
use super::visit::Visit;
use crate::http::Heard;

/// A call of the API.
pub(super) struct Call {
    pub(super) target: String,
    pub(super) body: Value,
    /// What is said when it was done.
    pub(super) done: &'static str,
}

/// The fields of a form that stand on their own.
pub(super) type Fields = Vec<(String, String)>;

/// Carries out one call and leads back to a page that says what came of it.
pub(super) async fn carry_out(visit: &Visit, fields: &Fields, call: &Call, back: &str) -> Response {
    carry_out_by(Method::POST, visit, fields, call, back).await
}

async fn carry_out_by(method: Method, visit: &Visit, fields: &Fields, call: &Call, back: &str) -> Response {
    if let Some(Forbidden(why)) = visit.forbidden_by(&method, &call.target) {
        return visit.back(back, Tone::Refused, &format!("Nothing was done: {why}."));
    }
    let once = Some(field(fields, "once")).filter(|once| !once.is_empty());
    let heard = visit.ask(method, &call.target, once, Some(&call.body)).await;
    let (tone, said) = outcome(&heard, call.done);
    visit.back(back, tone, &said)
}

fn outcome(heard: &Heard, done: &str) -> (Tone, String) {
    match (heard.is_success(), text(&heard.body, "outcome"), text(&heard.body, "seen")) {
        (true, "already", _) => (Tone::Done, "It was done before; nothing was changed.".to_owned()),
        (true, ..) if text(&heard.body, "done") == "before" => {
            (Tone::Done, "It was so before; nothing was changed.".to_owned())
        }
        (true, _, "before") => (Tone::Done, "Somebody had seen to it before.".to_owned()),
        (true, ..) => (Tone::Done, done.to_owned()),
        (false, ..) => (Tone::Refused, format!("Nothing was done: {}", heard.why())),
    }
}

/// Something about an order or its saga.
pub(super) async fn on_order(
    visit: Visit,
    Path((id, action)): Path<(String, String)>,
    request: Request,
) -> Response {
    let fields = fields(request.into_body()).await;
    let back = visit.at(format!("/orders/{}", segment(&id)));
    let note = field(&fields, "note");
    if note.len() > NOTE_BYTES_MAX {
        return visit.back(&back, Tone::Refused, "Nothing was done: the note is too long.");
    }
    let (order, actor, seen) = (segment(&id), visit.viewer.name(), field(&fields, "seen"));
    let call = match action.as_str() {
        "cancel" => Call {
            target: format!("/orders/{order}/cancel"),
            body: json!({"actor": actor, "note": note, "reason": field(&fields, "reason")}),
            done: "The order is being cancelled.",
        },
        "refunds" => Call {
            target: format!("/orders/{order}/refunds"),
            body: as_seen(refund(&fields, actor, note), seen),
            done: "The gateway is asked to give the money back.",
        },
        "notifications" => Call {
            target: format!("/orders/{order}/notifications"),
            body: json!({"actor": actor, "note": note}),
            done: "The customer is told again.",
        },
        "change" => {
            let call = Call {
                target: format!("/orders/{order}"),
                body: as_seen(change(&fields, actor, note), seen),
                done: "The order is changed.",
            };
            return carry_out_by(Method::PATCH, &visit, &fields, &call, &back).await;
        }
        "erase-contact" => Call {
            target: format!("/orders/{order}/erase-contact"),
            body: json!({"actor": actor, "note": note}),
            done: "What tells who it is for is erased.",
        },
        "holds" => Call {
            target: format!("/orders/{order}/holds"),
            body: as_seen(json!({"actor": actor, "reason": note, "before": field(&fields, "before")}), seen),
            done: "The order is on hold, or will be once it comes there.",
        },
        "cancel-lines" => Call {
            target: format!("/orders/{order}/cancel-lines"),
            body: as_seen(fewer(&fields, actor, note), seen),
            done: "The units are cancelled.",
        },
        "release" => Call {
            target: format!("/orders/{order}/holds/{}/release", segment(field(&fields, "hold"))),
            body: as_seen(json!({"actor": actor, "note": note}), seen),
            done: "The hold is released.",
        },
        "returns" | "receive-return" | "cancel-return" => {
            about_return(&action, &order, &fields, (actor, note, seen))
        }
        "retry" | "skip" | "force" => Call {
            target: format!("/sagas/{order}/{action}"),
            body: as_seen(json!({"actor": actor, "note": note}), seen),
            done: "Done. The order goes on.",
        },
        _ => return visit.back(&back, Tone::Refused, "Nothing was done: there is no such action."),
    };
    carry_out(&visit, &fields, &call, &back).await
}

/// What is filled in of an address or a contact takes the place of all that was said there.
fn change(fields: &Fields, actor: &str, note: &str) -> Value {
    let mut body = json!({"actor": actor, "note": note});
    for (part, members) in [("shipping_address", ADDRESS_FIELDS), ("contact", CONTACT_FIELDS)] {
        let filled =
            members.iter().map(|(member, _)| (*member, field(fields, &format!("{part}.{member}")).trim()));
        let said: Map<String, Value> = filled
            .filter(|(_, text)| !text.is_empty())
            .map(|(member, text)| match member {
                "lines" => (
                    member.to_owned(),
                    text.split(';').map(str::trim).filter(|line| !line.is_empty()).collect(),
                ),
                _ => (member.to_owned(), text.into()),
            })
            .collect();
        if !said.is_empty() {
            body[part] = Value::Object(said);
        }
    }
    body
}

/// The fields of an address, by the names of its members, with what they are called.
pub(super) const ADDRESS_FIELDS: &[(&str, &str)] = &[
    ("name", "Ship to: name"),
    ("company", "company"),
    ("lines", "street and number; a semicolon begins a line"),
    ("postal_code", "postal code"),
    ("city", "town"),
    ("region", "region"),
    ("country", "country, two letters"),
];
/// The same of a contact.
pub(super) const CONTACT_FIELDS: &[(&str, &str)] =
    &[("name", "Contact: name"), ("email", "mail"), ("phone", "telephone")];

fn refund(fields: &Fields, actor: &str, note: &str) -> Value {
    let currency = field(fields, "currency");
    let minor = to_minor(field(fields, "amount"), currency);
    json!({"amount": {"minor": minor, "currency": currency}, "actor": actor, "reason": note})
}

/// What is done about goods that come back.
fn about_return(action: &str, order: &str, fields: &Fields, (actor, note, seen): (&str, &str, &str)) -> Call {
    let of_one = |step: &str| format!("/orders/{order}/returns/{}/{step}", segment(field(fields, "return")));
    let (target, body, done) = match action {
        "receive-return" => (of_one("receive"), receipt(fields, actor, note), "The goods are taken in."),
        "cancel-return" => {
            (of_one("cancel"), json!({"actor": actor, "note": note}), "The goods are awaited no longer.")
        }
        _ => (
            format!("/orders/{order}/returns"),
            json!({"actor": actor, "reason": note}),
            "The goods are awaited.",
        ),
    };
    Call { target, body: as_seen(body, seen), done }
}

/// The order costs less by the price of the units unless an amount is filled in.
fn fewer(fields: &Fields, actor: &str, note: &str) -> Value {
    let mut line = json!({"sku": field(fields, "sku")});
    if !field(fields, "units").trim().is_empty() {
        let units = field(fields, "units").trim();
        line["quantity"] = units.parse::<i64>().map_or_else(|_| units.into(), Value::from);
    }
    let mut body = json!({"lines": [line], "actor": actor, "note": note});
    if !field(fields, "amount").trim().is_empty() {
        let currency = field(fields, "currency");
        body["amount"] = json!({"minor": to_minor(field(fields, "amount"), currency), "currency": currency});
    }
    body
}

/// All that was awaited arrived; money goes back if an amount is filled in.
fn receipt(fields: &Fields, actor: &str, note: &str) -> Value {
    let mut body = json!({"restock": field(fields, "restock") == "yes", "actor": actor, "note": note});
    if !field(fields, "amount").trim().is_empty() {
        let currency = field(fields, "currency");
        body["refund"] = json!({"minor": to_minor(field(fields, "amount"), currency), "currency": currency});
    }
    body
}

/// Says in a call what its operator has seen: the API does nothing if that has changed since.
pub(super) fn as_seen(mut body: Value, seen: &str) -> Value {
    if !seen.is_empty() {
        body["seen"] = seen.into();
    }
    body
}

/// A change of stock.
pub(super) async fn on_stock(
    visit: Visit,
    Path((sku, action)): Path<(String, String)>,
    request: Request,
) -> Response {
    let fields = fields(request.into_body()).await;
    let at = segment(&sku);
    let back = visit.at(format!("/stock/{at}"));
    let done = match action.as_str() {
        "receive" => "The goods are booked as received.",
        "adjust" => "The stock is adjusted.",
        "count" => "The count is booked.",
        _ => return visit.back(&back, Tone::Refused, "Nothing was done: there is no such action."),
    };
    let Ok(quantity) = field(&fields, "quantity").trim().parse::<i64>() else {
        return visit.back(&back, Tone::Refused, "Nothing was done: the units are no whole number.");
    };
    let mut body =
        json!({"quantity": quantity, "reason": field(&fields, "note"), "actor": visit.viewer.name()});
    if let Ok(seen) = field(&fields, "seen").parse::<i64>() {
        body["seen"] = seen.into();
    }
    let call = Call { target: format!("/inventory/{at}/{action}"), body, done };
    carry_out(&visit, &fields, &call, &back).await
}

/// An event of a provider is taken once more.
pub(super) async fn on_event_again(visit: Visit, Path(position): Path<String>, request: Request) -> Response {
    let fields = fields(request.into_body()).await;
    let body = json!({"actor": visit.viewer.name(), "note": field(&fields, "note")});
    let target = format!("/provider-events/unmatched/{}/take-again", segment(&position));
    let call = Call { target, body, done: "The event went to its order." };
    carry_out(&visit, &fields, &call, &visit.at("/providers")).await
}

/// A consumer is paused or resumed.
pub(super) async fn on_queue(visit: Visit, Path(action): Path<String>, request: Request) -> Response {
    let fields = fields(request.into_body()).await;
    let back = visit.at("/workers");
    let done = match action.as_str() {
        "pause" => "The consumer is paused: within two seconds every worker leaves its queue alone.",
        "resume" => "The consumer goes on: within two seconds every worker reads its queue again.",
        _ => return visit.back(&back, Tone::Refused, "Nothing was done: there is no such action."),
    };
    let body = json!({"actor": visit.viewer.name(), "reason": field(&fields, "note")});
    let call = Call { target: format!("/queues/{}/{action}", segment(field(&fields, "queue"))), body, done };
    carry_out(&visit, &fields, &call, &back).await
}

/// Somebody has seen to an event of a provider that belongs to no order.
pub(super) async fn on_event(visit: Visit, Path(position): Path<String>, request: Request) -> Response {
    let fields = fields(request.into_body()).await;
    let body = json!({"actor": visit.viewer.name(), "note": field(&fields, "note")});
    let target = format!("/provider-events/unmatched/{}/seen", segment(&position));
    let call = Call { target, body, done: "It is noted that you have seen to the event." };
    carry_out(&visit, &fields, &call, &visit.at("/providers")).await
}
