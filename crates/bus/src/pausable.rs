//! Runs endpoints as long as their queues are not paused.

use std::pin::pin;

use crate::{Endpoint, PauseBoard, Stop, Transport, Unit};

/// Runs an endpoint whenever its queue is not paused. A pause ends a run as a stop does: what is in hand is finished, the rest
/// goes back with the feed.
pub(crate) async fn run_unless_paused<U: Unit + ?Sized + 'static>(
    endpoint: &Endpoint<U>,
    transport: &dyn Transport,
    board: &PauseBoard,
    stop: &Stop,
) {
    let queue = endpoint.queue();
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => return,
            () = board.until(queue, false) => {}
        }
        let feed = match transport.subscribe(queue).await {
            Ok(feed) => feed,
            Err(fault) => return tracing::warn!(queue, %fault, "cannot subscribe"),
        };
        let run = stop.child();
        let mut running = pin!(endpoint.run(feed, run.clone()));
        // A run that is never at a loss for work must not hide a pause.
        tokio::select! {
            biased;
            () = board.until(queue, true) => run.stop(),
            () = &mut running => return,
        }
        running.await;
        tracing::info!(queue, "the consumer is paused");
    }
}
