//! The workers: several on one store, each of which may die at any step and is started again a moment later. Customers and
//! webhooks come in by the door of whichever is up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use application::commands::{CommandPipeline, CreateOrderHandler};
use application::pipeline::{Context, Parts};
use application::ports::{PaymentGateway, ShippingProvider};
use application::turns::InTurn;
use bus::{Coalescer, LocalFirst, LocalSlots, Relay, Stop, Supervisor, Transport, Turnstile};
use infrastructure::sqlite::SqliteStore;

use super::broker::{OverBroker, SimulatedBroker, Wiring};
use super::conditions::Conditions;
use super::dice::Dice;
use super::errands::Errands;
use super::fate::StoreFate;
use super::findings::{Finding, Findings};
use super::journal::Journal;
use super::provider_line::pause;
use super::stage::Turns;
use super::store::{Death, Risks, RiskyStore};
use super::transport::{TransportFate, UnsteadyTransport};

/// How long a worker is gone after it died, at most.
const GONE_MAX: Duration = Duration::from_secs(3);

/// What every worker of a fleet is made of.
pub(super) struct Blueprint {
    pub(super) gateway: Arc<dyn PaymentGateway>,
    pub(super) shipping: Arc<dyn ShippingProvider>,
    pub(super) context: Arc<Context>,
    pub(super) turns: Turns,
    pub(super) slots: Arc<LocalSlots>,
    pub(super) store_fate: Arc<dyn StoreFate>,
    /// None for a transport that is as steady as the store itself.
    pub(super) transport_fate: Option<Arc<dyn TransportFate>>,
    pub(super) errands: Errands,
    pub(super) findings: Arc<Findings>,
    pub(super) journal: Arc<Journal>,
    pub(super) dice: Dice,
    /// A broker between the workers, if there is one.
    pub(super) broker: Option<Arc<SimulatedBroker>>,
    pub(super) wiring: Wiring,
    pub(super) conditions: Arc<Conditions>,
}

impl Blueprint {
    /// A worker's own turnstile, within the budget that all share.
    fn turnstile(&self, name: &'static str) -> Arc<Turnstile> {
        let turnstile = Turnstile::new(name, self.turns.wait_max, Stop::new());
        Arc::new(turnstile.within(self.turns.budget, Arc::clone(&self.slots) as _))
    }
}

/// Where the outside comes in.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) create: Coalescer<CreateOrderHandler>,
    pub(super) commands: CommandPipeline,
}

/// All workers.
pub(super) struct Fleet {
    blueprint: Blueprint,
    store: Mutex<SqliteStore>,
    up: Mutex<Vec<Option<Up>>>,
    crashes: Mutex<u64>,
}

/// A worker that runs.
struct Up {
    door: Door,
    death: Arc<Death>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fleet {
    /// Starts so many workers on this store.
    pub(super) fn start(blueprint: Blueprint, store: SqliteStore, workers: usize) -> Arc<Self> {
        let up = (0..workers).map(|_| None).collect();
        let fleet = Arc::new(Self {
            blueprint,
            store: Mutex::new(store),
            up: Mutex::new(up),
            crashes: Mutex::new(0),
        });
        for place in 0..workers {
            tokio::spawn(Arc::clone(&fleet).guard(place));
        }
        fleet
    }

    /// The store, as a process that runs at present sees it.
    pub(super) fn store(&self) -> SqliteStore {
        lock(&self.store).clone()
    }

    /// A way in, if any worker is up.
    pub(super) fn door(&self) -> Option<Door> {
        let up = lock(&self.up);
        let doors: Vec<&Door> = up.iter().flatten().map(|worker| &worker.door).collect();
        (!doors.is_empty()).then(|| (*self.blueprint.dice.pick(&doors)).clone())
    }

    /// How many workers died so far.
    pub(super) fn crashes(&self) -> u64 {
        *lock(&self.crashes)
    }

    /// The whole process dies, and with it what its memory knew of the store.
    pub(super) fn strike_all(&self) {
        self.blueprint.journal.note(format_args!("the process dies"));
        let mut store = lock(&self.store);
        match store.restarted() {
            Some(restarted) => *store = restarted,
            None => self.blueprint.findings.add(Finding::of(0, "the run", "needs a store in memory")),
        }
        lock(&self.up).iter().flatten().for_each(|worker| worker.death.strike());
    }

    /// Keeps one place filled.
    async fn guard(self: Arc<Self>, place: usize) {
        loop {
            let (up, supervisor) = self.raise(place);
            let death = Arc::clone(&up.death);
            lock(&self.up)[place] = Some(up);
            death.struck().await;
            lock(&self.up)[place] = None;
            // Dropped, its tasks are aborted wherever they stand, and what they held is given back.
            drop(supervisor);
            *lock(&self.crashes) += 1;
            self.blueprint.journal.note(format_args!("worker {place} is dead"));
            pause(self.blueprint.dice.time(GONE_MAX)).await;
        }
    }

    fn raise(&self, place: usize) -> (Up, Supervisor) {
        let blueprint = &self.blueprint;
        let store = self.store();
        let death = Arc::new(Death::default());
        let risks = Arc::new(Risks {
            worker: place,
            store: store.clone(),
            fate: Arc::clone(&blueprint.store_fate),
            death: Arc::clone(&death),
            errands: blueprint.errands.clone(),
            findings: Arc::clone(&blueprint.findings),
            journal: Arc::clone(&blueprint.journal),
            broker: blueprint.broker.clone(),
            wiring: blueprint.wiring,
            conditions: Arc::clone(&blueprint.conditions),
        });
        let risky = Arc::new(RiskyStore(risks));
        let mut supervisor = Supervisor::new(Stop::new());
        let parts = Parts {
            notifications: None,
            store: Arc::clone(&risky) as _,
            transport: self.transport(store.clone()),
            gateway: Arc::new(InTurn::new(Arc::clone(&blueprint.gateway), blueprint.turnstile("gateway"))),
            shipping: Arc::new(InTurn::new(Arc::clone(&blueprint.shipping), blueprint.turnstile("carrier"))),
            context: Arc::clone(&blueprint.context),
        };
        parts.start(&mut supervisor);
        self.relay(store, &mut supervisor);
        let handler = CreateOrderHandler::new(Arc::clone(&risky) as _, Arc::clone(&blueprint.context));
        let (create, accepting) = Coalescer::new(Arc::new(handler));
        supervisor.run_once("order-acceptance", accepting);
        let commands = CommandPipeline::new(risky, Arc::clone(&blueprint.context));
        blueprint.journal.note(format_args!("worker {place} is up"));
        (Up { door: Door { create, commands }, death }, supervisor)
    }

    fn transport(&self, store: SqliteStore) -> Arc<dyn Transport> {
        let inner = self.carrier(store);
        match &self.blueprint.transport_fate {
            Some(fate) => {
                let (fate, is_brokered) = (Arc::clone(fate), self.blueprint.broker.is_some());
                Arc::new(UnsteadyTransport { inner, fate, is_brokered })
            }
            None => inner,
        }
    }

    fn carrier(&self, store: SqliteStore) -> Arc<dyn Transport> {
        let blueprint = &self.blueprint;
        let Some(broker) = &blueprint.broker else { return Arc::new(store) };
        let broker: Arc<dyn Transport> = Arc::new(OverBroker(Arc::clone(broker)));
        match blueprint.wiring {
            Wiring::Store | Wiring::Broker => broker,
            Wiring::LocalFirst => {
                let ids = Arc::clone(&blueprint.context.ids);
                Arc::new(LocalFirst::new(Arc::new(store), broker, ids))
            }
        }
    }

    /// Takes what leaves the outbox to the broker, where that is how it goes.
    fn relay(&self, store: SqliteStore, supervisor: &mut Supervisor) {
        let blueprint = &self.blueprint;
        let (Some(broker), Wiring::Broker) = (&blueprint.broker, blueprint.wiring) else { return };
        let (woken, broker) = (store.outgoing(), Arc::new(OverBroker(Arc::clone(broker))));
        let (clock, ids) = (Arc::clone(&blueprint.context.clock), Arc::clone(&blueprint.context.ids));
        let relay = Arc::new(Relay::new(Arc::new(store), broker, clock, ids).woken_by(woken));
        supervisor.run("outbox-relay", move |stop| {
            let relay = Arc::clone(&relay);
            async move { relay.run(stop).await }
        });
    }
}
