//! A route with everything that its caller must know: the router and the document are made from the same list, so that
//! neither can have what the other has not. Knows nothing of orders.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use http::Method;

use super::Api;
use super::problem::Code;
use super::shape::{Schema, Shape};

/// The header as the document has it, where it may be left out.
pub(super) const IDEMPOTENCY_KEY: Parameter = optional_header(
    "Idempotency-Key",
    "A text of the caller's choosing, new for each request. The same key and content give the same answer, and are done once.",
);

/// What a key may be refused for.
const IDEMPOTENCY_KEY_PROBLEMS: &[Code] =
    &[Code::IdempotencyKeyInvalid, Code::IdempotencyKeyReused, Code::RequestInProgress];

/// A route.
pub(super) struct Route {
    pub(super) operation: Operation,
    pub(super) handler: MethodRouter<Arc<Api>>,
}

/// What the document says about a route.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) takes: Vec<Content>,
    pub(super) gives: Vec<(u16, Content)>,
    pub(super) headings: Vec<Heading>,
    pub(super) problems: Vec<Code>,
}

/// A header of an answer.
pub(super) struct Heading {
    pub(super) status: u16,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
}

/// A kind of body.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// JSON of this form.
    Json(&'static Schema),
    /// A text of this media type.
    Text(&'static str),
}

/// A parameter beside the body.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: ParameterPlace,
    pub(super) shape: Shape,
    pub(super) about: &'static str,
}

/// The place of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ParameterPlace {
    /// A part of the path.
    Path,
    /// Behind the question mark; always optional.
    Query,
    /// A header that must be there.
    Header,
    /// A header that may be there.
    OptionalHeader,
}

impl Route {
    pub(super) fn get<T: 'static>(
        path: &'static str,
        id: &'static str,
        handler: impl Handler<T, Arc<Api>>,
    ) -> Self {
        Self::new(Method::GET, path, id, routing::get(handler))
    }

    pub(super) fn post<T: 'static>(
        path: &'static str,
        id: &'static str,
        handler: impl Handler<T, Arc<Api>>,
    ) -> Self {
        Self::new(Method::POST, path, id, routing::post(handler)).failing(&[
            Code::BodyTooLarge,
            Code::BodyTooSlow,
            Code::BodyBroken,
            Code::UnsupportedMediaType,
        ])
    }

    pub(super) fn put<T: 'static>(
        path: &'static str,
        id: &'static str,
        handler: impl Handler<T, Arc<Api>>,
    ) -> Self {
        Self::new(Method::PUT, path, id, routing::put(handler)).failing(&[
            Code::BodyTooLarge,
            Code::BodyTooSlow,
            Code::BodyBroken,
            Code::UnsupportedMediaType,
        ])
    }

    pub(super) fn patch<T: 'static>(
        path: &'static str,
        id: &'static str,
        handler: impl Handler<T, Arc<Api>>,
    ) -> Self {
        Self::new(Method::PATCH, path, id, routing::patch(handler)).failing(&[
            Code::BodyTooLarge,
            Code::BodyTooSlow,
            Code::BodyBroken,
        ])
    }

    fn new(method: Method, path: &'static str, id: &'static str, handler: MethodRouter<Arc<Api>>) -> Self {
        let operation = Operation {
            method,
            path,
            id,
            about: "",
            parameters: Vec::new(),
            takes: Vec::new(),
            gives: Vec::new(),
            headings: Vec::new(),
            problems: Vec::new(),
        };
        Self { operation, handler }
    }

    pub(super) fn about(mut self, about: &'static str) -> Self {
        self.operation.about = about;
        self
    }

    pub(super) fn with(mut self, parameters: &[Parameter]) -> Self {
        self.operation.parameters.extend(parameters);
        self
    }

    /// Takes JSON of this form.
    pub(super) fn taking(mut self, schema: &'static Schema) -> Self {
        self.operation.takes.push(Content::Json(schema));
        let of_units: &[Code] = if schema.shape.has_units() { &[Code::FractionalQuantity] } else { &[] };
        self.failing(of_units).failing(&[
            Code::MalformedJson,
            Code::ValidationFailed,
            Code::UnsupportedMediaType,
        ])
    }

    /// Takes a text of this media type.
    pub(super) fn taking_text(mut self, media_type: &'static str) -> Self {
        self.operation.takes.push(Content::Text(media_type));
        self
    }

    pub(super) fn giving(mut self, status: u16, schema: &'static Schema) -> Self {
        self.operation.gives.push((status, Content::Json(schema)));
        self
    }

    /// Has this header beside that answer, sometimes.
    pub(super) fn heading(mut self, status: u16, name: &'static str, about: &'static str) -> Self {
        self.operation.headings.push(Heading { status, name, about });
        self
    }

    /// Gives a text of this media type.
    pub(super) fn giving_text(mut self, status: u16, media_type: &'static str) -> Self {
        self.operation.gives.push((status, Content::Text(media_type)));
        self
    }

    pub(super) fn failing(mut self, problems: &[Code]) -> Self {
        let known = self.operation.problems.clone();
        self.operation.problems.extend(problems.iter().filter(|code| !known.contains(code)));
        self
    }

    /// Is done once under a key of the caller's choosing, if it has one.
    pub(super) fn once(self) -> Self {
        self.with(&[IDEMPOTENCY_KEY]).failing(IDEMPOTENCY_KEY_PROBLEMS)
    }

    /// Asks the store, which may be away; if something is changed there, just when it was told to make that durable.
    pub(super) fn asking_the_store(self) -> Self {
        let in_doubt: &[Code] = match self.operation.method {
            Method::GET => &[],
            _ => &[Code::OutcomeUnknown],
        };
        self.failing(&[Code::StoreUnavailable, Code::Internal]).failing(in_doubt)
    }
}

/// A part of the path.
pub(super) const fn path(name: &'static str, shape: Shape, about: &'static str) -> Parameter {
    Parameter { name, place: ParameterPlace::Path, shape, about }
}

/// A query parameter.
pub(super) const fn query(name: &'static str, shape: Shape, about: &'static str) -> Parameter {
    Parameter { name, place: ParameterPlace::Query, shape, about }
}

/// A header that must be there.
pub(super) const fn header(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: ParameterPlace::Header, shape: Shape::Text, about }
}

/// A header that may be there.
pub(super) const fn optional_header(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: ParameterPlace::OptionalHeader, shape: Shape::Text, about }
}
