//! The workers of this database over HTTP. Changes nothing.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::Api;
use super::problem::Problem;
use super::route::Route;
use super::shape::{Schema, Shape, may, need};
use crate::workers::{State as WorkerState, WorkersView};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/workers", "listWorkers", list)
            .about(
                "Lists the workers of this database, the oldest first: version, machine, what each reads and has in hand. One that \
                 was not heard of for 30 seconds is silent. A worker is forgotten a day after it was heard of last.",
            )
            .giving(200, &WORKERS)
            .asking_the_store(),
    ]
}

async fn list(State(api): State<Arc<Api>>) -> Result<Json<WorkersView>, Problem> {
    let workers = api.operations.workers.list_workers().await?;
    Ok(Json(WorkersView::of(workers, api.commands.context().clock.now())))
}

const QUEUE: Shape = Shape::Named(&Schema {
    name: "WorkerQueue",
    shape: Shape::Object(&[
        need("queue", Shape::Text, "Its name."),
        need(
            "held",
            Shape::Integer,
            "Messages of it that the worker has claimed in the store and not finished.",
        ),
    ]),
});
const WORKER: Shape = Shape::Named(&Schema {
    name: "Worker",
    shape: Shape::Object(&[
        need("id", Shape::Id, "Its id."),
        need(
            "state",
            Shape::Choice(WorkerState::NAMES),
            "running; silent if it was not heard of; left if it took its leave.",
        ),
        need("version", Shape::Text, "The version of its program."),
        need("host", Shape::Text, "The machine that it runs on."),
        need("process_id", Shape::Integer, "Its number there."),
        need("started_at", Shape::Time, "When it started."),
        need("seen_at", Shape::Time, "When it last reported."),
        may("left_at", Shape::Time, "When it took its leave, if it did."),
        may(
            "lease_until",
            Shape::Time,
            "Until when its claims stand unless it renews them, where the database keeps leases.",
        ),
        need("queues", Shape::List(&QUEUE), "The queues that it reads; a paused one is not among them."),
    ]),
});
static WORKERS: Schema = Schema {
    name: "WorkerList",
    shape: Shape::Object(&[
        need("items", Shape::List(&WORKER), "The workers, the oldest first."),
        need("versions", Shape::List(&Shape::Text), "The versions that run now."),
    ]),
};
