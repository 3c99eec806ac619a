//! Turnstiles before the providers: their call budgets, which all workers of a database share, and patience with those that
//! throttle or are away.

use std::sync::Arc;
use std::time::Duration;

use application::pipeline::Parts;
use application::turns::InTurn;
use bus::{CallBudget, Stop, Supervisor, Turnstile};

use crate::any_store::{AnyStore, Upkeep};
use crate::config::Providers;
use crate::observe::{Observation, ProviderWatch};

/// How often the workers that share a budget are counted.
const COUNT_PAUSE: Duration = Duration::from_secs(5);

/// The same parts with their providers called in turn.
#[must_use]
pub fn take_turns(
    parts: Parts,
    config: &Providers,
    store: &AnyStore,
    observation: &Observation,
    supervisor: &mut Supervisor,
) -> Parts {
    let [payment, shipping] = &observation.providers;
    let payment = turnstile(payment, config, config.payment_budget(), store, &supervisor.stop());
    let shipping = turnstile(shipping, config, config.shipping_budget(), store, &supervisor.stop());
    if [config.payment_budget(), config.shipping_budget()].iter().any(|budget| budget.in_flight_max > 0) {
        let (upkeep, turnstiles) = (Arc::clone(&store.upkeep), [Arc::clone(&payment), Arc::clone(&shipping)]);
        supervisor
            .run("call-budget-service", move |stop| share(Arc::clone(&upkeep), turnstiles.clone(), stop));
    }
    Parts {
        gateway: Arc::new(InTurn::new(parts.gateway, payment)),
        shipping: Arc::new(InTurn::new(parts.shipping, shipping)),
        ..parts
    }
}

fn turnstile(
    watch: &Arc<ProviderWatch>,
    config: &Providers,
    budget: CallBudget,
    store: &AnyStore,
    stop: &Stop,
) -> Arc<Turnstile> {
    let turnstile = Turnstile::new(watch.name, Duration::from_millis(config.turn_wait_ms), stop.clone());
    let turnstile = Arc::new(if budget.is_boundless() {
        turnstile
    } else {
        turnstile.within(budget, Arc::clone(&store.slots))
    });
    watch.stands_behind(Arc::clone(&turnstile));
    turnstile
}

/// Divides the bound on concurrent calls among all workers that share it.
async fn share(upkeep: Arc<dyn Upkeep>, turnstiles: [Arc<Turnstile>; 2], stop: Stop) {
    while !stop.is_stopped() {
        match upkeep.other_workers().await {
            Ok(others) => turnstiles.iter().for_each(|turnstile| turnstile.share_among(others + 1)),
            Err(fault) => {
                tracing::warn!(%fault, "nobody knows who shares the call budgets; the shares stay as they are");
            }
        }
        stop.sleep(COUNT_PAUSE).await;
    }
}
