//! The two bodies of an exchange, watched: that of the request, which has to arrive in time, and that of the answer, which
//! the client has to take.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep_until};

use super::conduct::{Arriving, Conduct, Underway, Why};

/// The media type of an answer that goes on for as long as the client looks on.
const EVENT_STREAM: &str = "text/event-stream";

/// The body of a request did not arrive in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the body did not arrive in time")]
pub(super) struct TooSlow;

/// The body of a request.
pub(super) struct Sent {
    body: Incoming,
    conduct: Arc<Conduct>,
    begun_at: Instant,
    limit: Duration,
    /// Made when the body is first waited for: most come with their head.
    waited_for: Option<(Pin<Box<Sleep>>, Arriving)>,
}

impl Sent {
    /// This body, unless it has arrived already.
    pub(super) fn watched(body: Incoming, conduct: &Arc<Conduct>, limit: Duration) -> Body {
        if body.is_end_stream() {
            return Body::empty();
        }
        let conduct = Arc::clone(conduct);
        Body::new(Self { body, conduct, begun_at: Instant::now(), limit, waited_for: None })
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let (conduct, end) = (&self.conduct, self.begun_at + self.limit);
        let (sleep, _) =
            self.waited_for.get_or_insert_with(|| (Box::pin(sleep_until(end)), Arriving::begins(conduct)));
        if sleep.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.conduct.leave(Why::SlowBody);
        Poll::Ready(Some(Err(TooSlow.into())))
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(frame)) => Poll::Ready(Some(frame.map_err(Into::into))),
            Poll::Ready(None) => {
                self.waited_for = None;
                Poll::Ready(None)
            }
            Poll::Pending => self.wait(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, whose request is under way until it was handed over.
pub(super) struct Answered {
    body: Body,
    _underway: Underway,
}

impl Answered {
    pub(super) fn watched(answer: Response<Body>, mut underway: Underway) -> Response<Self> {
        let is_stream = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == EVENT_STREAM);
        match is_stream {
            true => underway.streams(),
            false => underway.answered(Instant::now()),
        }
        answer.map(|body| Self { body, _underway: underway })
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}
