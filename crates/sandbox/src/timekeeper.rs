//! The one task that lets time pass: it sleeps until the timetable's next entry and makes what is due happen.

use std::sync::Arc;
use std::time::Duration;

use crate::events::Event;
use crate::provider::Provider;
use crate::settings::InTransitEvents;
use crate::shipments::Departure;
use crate::timetable::Due;

/// Runs until the sandbox stops.
pub(crate) async fn run(provider: Arc<Provider>) {
    let stop = provider.stop.clone();
    stop.run_until_cancelled_owned(keep_time(&provider)).await;
}

async fn keep_time(provider: &Provider) {
    loop {
        let now_micros = provider.clock.now_micros();
        let turn = provider.timetable.turn(now_micros);
        for due in turn.due {
            happen(provider, due, now_micros);
        }
        let earlier = provider.timetable.something_earlier();
        match turn.next_at_micros.map(|next| u64::try_from(next.saturating_sub(now_micros)).unwrap_or(0)) {
            None => earlier.await,
            Some(0) => tokio::task::yield_now().await,
            Some(wait) => drop(tokio::time::timeout(Duration::from_micros(wait), earlier).await),
        }
    }
}

fn happen(provider: &Provider, due: Due, now_micros: i64) {
    match due {
        Due::HandOver(departure, rest_micros) => hand_over(provider, departure, rest_micros, now_micros),
        Due::Deliver(departure) => {
            announce(provider, provider.shipments().deliver(departure, now_micros));
        }
        Due::Announce(event) => provider.mail(event.kind.topic()).put(event),
    }
}

fn hand_over(provider: &Provider, departure: Departure, rest_micros: i64, now_micros: i64) {
    let Some(event) = provider.shipments().hand_over(departure, now_micros) else { return };
    provider.timetable.add(now_micros.saturating_add(rest_micros), Due::Deliver(departure));
    match provider.settings.in_transit_events {
        InTransitEvents::Sent => provider.announce(event),
        InTransitEvents::Silent => {}
    }
}

fn announce(provider: &Provider, event: Option<Event>) {
    if let Some(event) = event {
        provider.announce(event);
    }
}
