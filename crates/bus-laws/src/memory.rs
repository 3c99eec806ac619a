//! The harness's store under the laws, and a broker on memory: the harness's queues under a broker's marks, so that a store takes
//! their deliveries for none of its own rows. What is acknowledged is gone, what is not comes again when its feed goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::harness::{HoldsSagas, MemoryStore, MemoryUnit};
use bus::{
    CorrelationId, Delivery, Envelope, Fault, Feed, Host, Origin, Receipt, Routing, Transport, Unsent,
};

use crate::sagas::{Kettle, Lamp, SagaHome};
use crate::stage::topology;
use crate::{Bus, BusHome, CarrierHome};

/// The bus's own store on memory.
#[derive(Default)]
pub struct MemoryHome(Option<MemoryStore<()>>);

#[async_trait]
impl BusHome for MemoryHome {
    async fn bus(&mut self, routing: Routing) -> Bus {
        let store = self.0.get_or_insert_with(|| MemoryStore::with_routing(topology(), routing));
        Bus::over::<MemoryUnit<()>, _>(&Arc::new(store.clone()), |unit| unit)
    }
}

/// The same with sagas of two kinds.
#[derive(Default)]
pub struct MemorySagaHome(Option<MemoryStore<Both>>);

/// Sagas of two kinds in memory.
#[derive(Clone, Default)]
pub struct Both {
    kettles: BTreeMap<CorrelationId, Kettle>,
    lamps: BTreeMap<CorrelationId, Lamp>,
}

impl HoldsSagas<Kettle> for Both {
    fn sagas(&mut self) -> &mut BTreeMap<CorrelationId, Kettle> {
        &mut self.kettles
    }
}

impl HoldsSagas<Lamp> for Both {
    fn sagas(&mut self) -> &mut BTreeMap<CorrelationId, Lamp> {
        &mut self.lamps
    }
}

#[async_trait]
impl SagaHome for MemorySagaHome {
    type Unit = MemoryUnit<Both>;

    async fn host(&mut self) -> Host<MemoryUnit<Both>> {
        let store = self.0.get_or_insert_with(|| MemoryStore::new(topology()));
        Host::new(Arc::new(store.clone()), Arc::new(store.clone()))
    }
}

/// A broker on memory.
pub struct MemoryBroker(MemoryStore<()>);

impl Default for MemoryBroker {
    fn default() -> Self {
        Self(MemoryStore::new(topology()))
    }
}

#[async_trait]
impl CarrierHome for MemoryBroker {
    async fn connect(&mut self) -> Arc<dyn Transport> {
        Arc::new(Queues(self.0.clone()))
    }
}

struct Queues(MemoryStore<()>);

#[async_trait]
impl Transport for Queues {
    async fn subscribe(&self, queue: &str) -> Result<Box<dyn Feed>, Fault> {
        Ok(Box::new(Marking(self.0.subscribe(queue).await?)))
    }

    async fn send(&self, envelopes: &[Envelope]) -> Result<(), Unsent> {
        self.0.send(envelopes).await
    }
}

/// Gives each delivery a broker's mark, and knows it again.
struct Marking(Box<dyn Feed>);

#[async_trait]
impl Feed for Marking {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Fault> {
        let received = self.0.receive(max).await?;
        let marked = |delivery: Delivery| Delivery { receipt: marked(&delivery.receipt), ..delivery };
        Ok(received.into_iter().map(marked).collect())
    }

    async fn acknowledge(&mut self, receipts: &[Receipt]) -> Result<(), Fault> {
        let rows: Vec<Receipt> = receipts.iter().map(unmarked).collect();
        self.0.acknowledge(&rows).await
    }
}

fn marked(receipt: &Receipt) -> Receipt {
    let origin = receipt.row().map_or(receipt.origin, Origin::Broker);
    Receipt { queue: Arc::clone(&receipt.queue), origin }
}

fn unmarked(receipt: &Receipt) -> Receipt {
    let origin = receipt.mark().map_or(receipt.origin, Origin::Store);
    Receipt { queue: Arc::clone(&receipt.queue), origin }
}
