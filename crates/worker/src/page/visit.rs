//! One visit of a person: who they are, what they may do, what they asked for, and the frame around what they get.

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;

use application::ports::Scope;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_page::{Forbidden, Frame, Link, Notice, Tone};
use http::header::{CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;
use tokio::time::Instant;

use super::{Page, value};
use crate::config::PageMode;
use crate::http::{Asked, Heard, Inside};
use crate::security::Identity;

/// Cookies of the page.
pub(super) const SESSION: &str = "orderwright_session";
const SAID: &str = "orderwright_said";

/// Seconds that the outcome of an action waits to be shown.
const SAID_SECONDS: u32 = 60;

/// The name of the service on its pages.
pub(super) const SERVICE: &str = "Orderwright";

/// The navigation, each entry with what reading it takes.
const LINKS: [(&str, &str, Scope); 10] = [
    ("", "Overview", Scope::Operate),
    ("/orders", "Orders", Scope::OrdersRead),
    ("/attention", "Needs a person", Scope::Operate),
    ("/stock", "Stock", Scope::StockRead),
    ("/dead-letters", "Dead letters", Scope::Operate),
    ("/providers", "Providers", Scope::Operate),
    ("/webhooks", "Webhooks", Scope::Operate),
    ("/workers", "Workers", Scope::Operate),
    ("/health", "Health", Scope::Operate),
    ("/audit", "Audit", Scope::Operate),
];

/// A person who looks at the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Viewer {
    /// On a service without keys, which only this machine reaches: everybody.
    Here,
    /// The holder of a key, by session or by header.
    Known(Identity),
}

impl Viewer {
    /// Their name, for the audit log.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Here => "operator on this machine",
            Self::Known(identity) => &identity.name,
        }
    }

    pub(super) const fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Here => None,
            Self::Known(identity) => Some(identity),
        }
    }

    fn has(&self, scope: Scope) -> bool {
        self.identity().is_none_or(|identity| identity.scopes.allow(scope))
    }
}

/// Lets a person in, or leads them to the sign-in. What changes something must come from a page of this host.
pub(super) async fn enter(State(page): State<Arc<Page>>, mut request: Request, next: Next) -> Response {
    let sent = *request.method() != Method::GET && *request.method() != Method::HEAD;
    let by_key = request.extensions().get::<Identity>().cloned();
    let by_session = || session_of(&page, request.headers());
    let viewer = match by_key.clone().or_else(by_session) {
        Some(identity) => Viewer::Known(identity),
        None if !page.parts.gate.is_closed() => Viewer::Here,
        None => return to_sign_in(&page, request.uri(), sent),
    };
    let own = page.parts.gate.is_of_own_page((request.method(), request.uri(), request.headers()));
    if sent && by_key.is_none() && !own {
        let lead = "This form was not sent by a page of this service. Open the page here and send it again.";
        return bare(&page, StatusCode::FORBIDDEN, "Not done", lead).into_response();
    }
    if let (None, Viewer::Known(identity)) = (&by_key, &viewer)
        && let Err(wait) = page.parts.gate.count_session(identity, Instant::now())
    {
        let lead = format!("Too many requests with your key; wait {} s.", wait.as_secs() + 1);
        return bare(&page, StatusCode::TOO_MANY_REQUESTS, "Not shown", &lead).into_response();
    }
    request.extensions_mut().insert(viewer);
    next.run(request).await
}

fn session_of(page: &Page, headers: &HeaderMap) -> Option<Identity> {
    cookie(headers, SESSION).and_then(|token| page.parts.gate.session(&page.parts.sessions, token))
}

fn to_sign_in(page: &Page, uri: &Uri, sent: bool) -> Response {
    if sent {
        let lead = "You are not signed in any more, so nothing was done. Sign in and send it again.";
        return bare(page, StatusCode::UNAUTHORIZED, "Not done", lead).into_response();
    }
    let wanted = uri.path_and_query().map_or("", |wanted| wanted.as_str());
    let next = value::query(&[("next", wanted)]);
    Redirect::to(&format!("{}/sign-in{next}", page.base)).into_response()
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Paths of the pages that the navigation leads to.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    LINKS.iter().map(|(path, _, _)| *path)
}

/// How a browser reaches the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By TLS, be it a proxy's.
    Encrypted,
    /// In plain text.
    Plain,
}

impl Way {
    /// The origin of a form says how the browser got it, whatever stands between.
    pub(super) fn of(page: &Page, headers: &HeaderMap) -> Self {
        let is_encrypted =
            headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
        if page.parts.is_encrypted || is_encrypted { Self::Encrypted } else { Self::Plain }
    }
}

/// A cookie for the page alone, out of reach of scripts and of other sites.
pub(super) fn set_cookie(page: &Page, name: &str, content: &str, seconds: u64, way: Way) -> HeaderValue {
    let secure = if way == Way::Encrypted { "; Secure" } else { "" };
    let base = &page.base;
    let cookie =
        format!("{name}={content}; Path={base}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""))
}

/// A page without a viewer: a title and a sentence.
pub(super) fn bare(page: &Page, status: StatusCode, title: &str, lead: &str) -> impl IntoResponse + use<> {
    let frame = Frame::plain(SERVICE, &page.base, title);
    let content = html! {
        p .lead { (lead) }
        p { a href=(page.base) { "To the overview" } }
    };
    (status, as_html(&frame.around(&content)))
}

pub(super) fn as_html(markup: &Markup) -> Response {
    ([(CONTENT_TYPE, "text/html; charset=utf-8")], markup.0.clone()).into_response()
}

/// A visit.
pub(super) struct Visit {
    pub(super) page: Arc<Page>,
    pub(super) viewer: Viewer,
    pub(super) now: Timestamp,
    query: Vec<(String, String)>,
    notice: Option<Notice>,
}

impl FromRequestParts<Arc<Page>> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, page: &Arc<Page>) -> Result<Self, Infallible> {
        let viewer = parts.extensions.get::<Viewer>().cloned();
        let query = parts.uri.query().unwrap_or("").as_bytes();
        Ok(Self {
            now: page.parts.clock.now(),
            page: Arc::clone(page),
            // Only `enter` leads here, and it has put the viewer in.
            viewer: viewer.expect("the viewer was let in"),
            query: form_urlencoded::parse(query).into_owned().collect(),
            notice: cookie(&parts.headers, SAID).and_then(said),
        })
    }
}

/// How a page is shown.
pub(super) struct Shown<'a> {
    pub(super) title: &'a str,
    /// The entry of the navigation that it belongs to.
    pub(super) here: &'a str,
    /// What its fragments depend on, with spaces between; empty if it is never renewed.
    pub(super) topics: &'a str,
}

impl Visit {
    /// A value of the page's own query; empty if it is not there.
    pub(super) fn asked(&self, name: &str) -> &str {
        self.query.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// An address of the page.
    pub(super) fn at(&self, path: impl Display) -> String {
        format!("{}{path}", self.page.base)
    }

    /// Reads from the API as this person.
    pub(super) async fn get(&self, target: &str) -> Heard {
        self.ask(Method::GET, target, None, None).await
    }

    /// Acts through the API as this person, once under this key.
    pub(super) async fn post(&self, target: &str, key: Option<&str>, body: &Value) -> Heard {
        self.ask(Method::POST, target, key, Some(body)).await
    }

    /// Asks the API as this person, once under this key if there is one.
    pub(super) async fn ask(
        &self,
        method: Method,
        target: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Heard {
        let asked = Asked { method, target, identity: self.viewer.identity(), key, body };
        self.page.parts.inside.call(asked).await
    }

    /// Why this person may not send this to the API, if they may not.
    pub(super) fn forbidden(&self, path: &str) -> Option<Forbidden> {
        self.forbidden_by(&Method::POST, path)
    }

    /// The same of another method.
    pub(super) fn forbidden_by(&self, method: &Method, path: &str) -> Option<Forbidden> {
        self.forbidden_without(Inside::needs(method, path))
    }

    /// Why this person may not do what takes this scope, if they may not.
    pub(super) fn forbidden_without(&self, scope: Option<Scope>) -> Option<Forbidden> {
        if self.page.parts.mode == PageMode::ReadOnly {
            return Some(Forbidden("this page only shows (security.page = read_only)".to_owned()));
        }
        let scope = scope.filter(|scope| !self.viewer.has(*scope))?;
        Some(Forbidden(format!("your key lacks the scope {scope}")))
    }

    /// Whether this person may read this from the API.
    pub(super) fn may_read(&self, path: &str) -> bool {
        Inside::needs(&Method::GET, path).is_none_or(|scope| self.viewer.has(scope))
    }

    /// The first page that this person may read, if there is one.
    pub(super) fn first_page(&self) -> Option<String> {
        LINKS.iter().find(|(_, _, scope)| self.viewer.has(*scope)).map(|(path, _, _)| self.at(path))
    }

    /// A key under which a form is carried out once, however often it is sent.
    pub(super) fn once(&self) -> String {
        self.page.parts.ids.next(self.now).to_string()
    }

    /// The page with this content.
    pub(super) fn show(&self, shown: &Shown<'_>, content: &Markup) -> Response {
        let page = &self.page;
        let links: Vec<Link<'_>> = LINKS
            .iter()
            .filter(|(_, _, scope)| self.viewer.has(*scope))
            .map(|(path, text, _)| Link { path, text, count: page.live.count(path) })
            .collect();
        let stream = format!("{}/live{}", page.base, value::query(&[("topics", shown.topics)]));
        let frame = Frame {
            service: SERVICE,
            base: &page.base,
            title: shown.title,
            links: &links,
            here: shown.here,
            viewer: Some((self.viewer.name(), matches!(self.viewer, Viewer::Known(_)))),
            live: (!shown.topics.is_empty()).then_some(stream.as_str()),
            notice: self.notice.as_ref(),
        };
        let mut response = as_html(&frame.around(content));
        if self.notice.is_some() {
            response.headers_mut().append(SET_COOKIE, set_cookie(page, SAID, "", 0, Way::Plain));
        }
        response
    }

    /// The page that says why what was asked for cannot be shown.
    pub(super) fn fail(&self, here: &str, heard: &Heard) -> Response {
        let shown = Shown { title: "Not shown", here, topics: "" };
        let content = html! { p .error role="alert" { (heard.why()) } };
        let mut response = self.show(&shown, &content);
        *response.status_mut() = heard.status;
        response
    }

    /// Leads back to a page that says what came of an action.
    pub(super) fn back(&self, to: &str, tone: Tone, text: &str) -> Response {
        // A cookie has room for so much.
        const CHARS_MAX: usize = 600;
        let mark = match tone {
            Tone::Done => 'd',
            Tone::Refused => 'r',
        };
        let cut: String = std::iter::once(mark).chain(text.chars().take(CHARS_MAX)).collect();
        let cookie =
            set_cookie(&self.page, SAID, &URL_SAFE_NO_PAD.encode(cut), SAID_SECONDS.into(), Way::Plain);
        ([(SET_COOKIE, cookie)], Redirect::to(to)).into_response()
    }
}

/// The outcome that a cookie holds.
fn said(cookie: &str) -> Option<Notice> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cookie).ok()?).ok()?;
    let mut chars = text.chars();
    let tone = match chars.next()? {
        'd' => Tone::Done,
        _ => Tone::Refused,
    };
    let text: String = chars.collect();
    (!text.is_empty()).then_some(Notice { tone, text })
}
