//! A worker's message services besides handling: the relay to the broker, if there is one, and the adoption of
//! messages that were left for the other carrier. It never decides which carrier that is.

use std::sync::Arc;
use std::time::Duration;

use application::pipeline::Context;
use bus::{Relay, Stop, Supervisor};
use futures_util::future::join_all;

use crate::any_store::{AnyStore, Upkeep};

/// Slices of the outbox on their way at once: while one waits for its confirms, others are written and removed.
const RELAYS: usize = 2;

/// How often it is looked for messages that were left for the other carrier.
const STRAYS_LOOK: Duration = Duration::from_secs(1);

/// Starts what there is to do.
pub fn start(supervisor: &mut Supervisor, store: &AnyStore, context: &Arc<Context>) {
    if let Some(outgoing) = &store.outgoing {
        let relay = || {
            let relay = Relay::new(
                Arc::clone(&outgoing.outbox),
                Arc::clone(&store.transport),
                Arc::clone(&context.clock),
                Arc::clone(&context.ids),
            );
            Arc::new(relay.woken_by(Arc::clone(&outgoing.woken)))
        };
        let relays: Vec<_> = (0..RELAYS).map(|_| relay()).collect();
        supervisor.run("outbox-relay", move |stop| {
            let relays = relays.clone();
            async move { drop(join_all(relays.iter().map(|relay| relay.run(stop.clone()))).await) }
        });
    }
    let upkeep = Arc::clone(&store.upkeep);
    supervisor.run("stray-messages", move |stop| adopt_strays(Arc::clone(&upkeep), stop));
}

async fn adopt_strays(upkeep: Arc<dyn Upkeep>, stop: Stop) {
    while !stop.is_stopped() {
        match upkeep.adopt_strays().await {
            Ok(0) => {}
            Ok(messages) => {
                tracing::info!(messages, "messages that were left for another carrier are on their way");
            }
            Err(fault) => tracing::warn!(%fault, "messages that were left for another carrier wait"),
        }
        stop.sleep(STRAYS_LOOK).await;
    }
}
