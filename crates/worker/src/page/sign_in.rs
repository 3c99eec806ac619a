//! Signing in with an API key, and out again. The key itself is never kept: the cookie holds a signed session.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use bus_page::{Frame, Notice, Tone};
use http::header::SET_COOKIE;
use http::{HeaderMap, Method, StatusCode, Uri};
use maud::html;

use super::visit::{SERVICE, SESSION, Way, as_html, bare, set_cookie};
use super::{FORM_BYTES_MAX, Page};

/// The form.
pub(super) async fn ask(State(page): State<Arc<Page>>, RawQuery(query): RawQuery) -> Response {
    if !page.parts.gate.is_closed() {
        return Redirect::to(&page.base).into_response();
    }
    form(&page, &wanted(&page, &pairs(query.unwrap_or_default().as_bytes())), None)
}

/// Takes the key.
pub(super) async fn sign_in(State(page): State<Arc<Page>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if let Some(refused) = foreign(&page, (&head.method, &head.uri, &head.headers)) {
        return refused;
    }
    let fields = fields(body).await;
    let next = wanted(&page, &fields);
    let key = field(&fields, "key").trim();
    let gate = &page.parts.gate;
    let session = gate.identify(key).and_then(|identity| gate.begin_session(&page.parts.sessions, &identity));
    let Some(session) = session else {
        tracing::warn!("a person could not sign in: the key is unknown, revoked or past its time");
        return form(&page, &next, Some("This key is unknown, revoked or past its time."));
    };
    let (lasting, way) = (page.parts.sessions.lasting().as_secs(), Way::of(&page, &head.headers));
    let cookie = set_cookie(&page, SESSION, &session, lasting, way);
    ([(SET_COOKIE, cookie)], Redirect::to(&next)).into_response()
}

/// Forgets the session.
pub(super) async fn sign_out(State(page): State<Arc<Page>>, request: Request) -> Response {
    let head = (request.method(), request.uri(), request.headers());
    if let Some(refused) = foreign(&page, head) {
        return refused;
    }
    let cookie = set_cookie(&page, SESSION, "", 0, Way::Plain);
    ([(SET_COOKIE, cookie)], Redirect::to(&format!("{}/sign-in", page.base))).into_response()
}

fn foreign(page: &Page, request: (&Method, &Uri, &HeaderMap)) -> Option<Response> {
    let lead = "This form was not sent by a page of this service. Open the page here and send it again.";
    let own = page.parts.gate.is_of_own_page(request);
    (!own).then(|| bare(page, StatusCode::FORBIDDEN, "Not done", lead).into_response())
}

fn form(page: &Page, next: &str, refused: Option<&str>) -> Response {
    let notice = refused.map(|text| Notice { tone: Tone::Refused, text: text.to_owned() });
    let frame = Frame { notice: notice.as_ref(), ..Frame::plain(SERVICE, &page.base, "Sign in") };
    let content = html! {
        div .sign-in {
            p .lead {
                "Sign in with an API key. " code { "orderwright keys create --name NAME --scopes operate,orders:read,personal:read,stock:read" }
                " makes one."
            }
            form method="post" action={ (page.base) "/sign-in" } {
                input type="hidden" name="next" value=(next);
                label { "API key" input type="password" name="key" autocomplete="current-password" required autofocus; }
                button type="submit" { "Sign in" }
            }
        }
    };
    let mut response = as_html(&frame.around(&content));
    if refused.is_some() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

/// The page that was wanted, if it is one of ours.
fn wanted(page: &Page, fields: &[(String, String)]) -> String {
    let next = field(fields, "next");
    let below = next.strip_prefix("/ui").unwrap_or("//");
    // Behind a proxy that takes the base path away the request names the path without it.
    let ours = below.is_empty() || below.starts_with(['/', '?']) && !below.starts_with("//");
    let plain = !next.contains(['\\', '\r', '\n']);
    if ours && plain { format!("{}{below}", page.base) } else { page.base.clone() }
}

/// The fields of a form, within its bound.
pub(super) async fn fields(body: Body) -> Vec<(String, String)> {
    let bytes = to_bytes(body, FORM_BYTES_MAX).await.unwrap_or_default();
    pairs(&bytes)
}

fn pairs(bytes: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(bytes).into_owned().collect()
}

/// The value of a field; empty if it is not there.
pub(super) fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}
