//! A worker that reads meters, on any store and any transport.

use std::sync::Arc;
use std::time::Duration;

use bus::{
    Clock, CorrelationId, Endpoint, EndpointPolicy, IdSource, Message, MessageId, SagaRepository, Store,
    Supervisor, TimerService, Transport, Unit,
};
use uuid::Uuid;

use super::{Meter, MeterReadings, News, QUEUE, ReadingTaken, Readings};

/// What a worker works with.
pub(crate) struct Worker<U: ?Sized> {
    pub(crate) store: Arc<dyn Store<U>>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

impl<U: Unit + SagaRepository<Meter> + Readings + 'static> Worker<U> {
    /// Runs the consumer and the timers.
    pub(crate) fn start(&self, supervisor: &mut Supervisor) {
        let (store, clock, ids) = (Arc::clone(&self.store), Arc::clone(&self.clock), Arc::clone(&self.ids));
        let timers = Arc::new(TimerService::new(Arc::clone(&store), Arc::clone(&clock)));
        let consumer = Arc::new(MeterReadings(Arc::clone(&clock)));
        let endpoint = Arc::new(Endpoint::new(consumer, store, clock, ids, EndpointPolicy::default()));
        let transport = Arc::clone(&self.transport);
        supervisor.run(QUEUE, move |stop| {
            let (endpoint, transport) = (Arc::clone(&endpoint), Arc::clone(&transport));
            async move { endpoint.run(transport.subscribe(QUEUE).await.expect("it is known"), stop).await }
        });
        supervisor.run("timers", move |stop| {
            let timers = Arc::clone(&timers);
            async move { timers.run(stop).await }
        });
    }

    /// Reads a meter twice, and waits until it is silent.
    pub(crate) async fn read_twice(&self) -> Meter {
        let id = self.ids.next(self.clock.now());
        for kwh in [7, 5] {
            let taken = News::Taken(ReadingTaken { meter_id: id, kwh });
            let (message, now) = (MessageId(self.ids.next(self.clock.now())), self.clock.now());
            let mut unit = self.store.begin().await.expect("the store is there");
            let envelope = taken.first(message, CorrelationId(id), now);
            unit.publish(vec![envelope]).await.expect("the store is there");
            unit.commit().await.expect("the store is there");
        }
        self.silent(id).await
    }

    async fn silent(&self, id: Uuid) -> Meter {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        loop {
            looks.tick().await;
            let mut unit = self.store.begin().await.expect("the store is there");
            let found = unit.load_sagas(&[CorrelationId(id)]).await.expect("the table is there");
            unit.commit().await.expect("nothing was changed");
            if let Some(meter) = found.into_iter().find(|meter: &Meter| meter.is_silent) {
                return meter;
            }
        }
    }
}
