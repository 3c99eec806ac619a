//! Every metric: its name, unit, meaning, labels and buckets. What is not defined here cannot be recorded, shown, alerted on
//! or drawn. A label never holds an id: each takes few values, all of them known beforehand.

use super::definition::{Definition, Kind, Origin, Unit};

/// Seconds of work in this process or over one network hop; OpenTelemetry's buckets, with finer ones below.
const FAST: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Seconds of work that may wait for people, providers and timers.
const SLOW: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0];

/// Messages in one transaction.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

macro_rules! metrics {
    ($($metric:ident = $name:literal, $unit:ident, $kind:expr, $origin:ident, [$($label:literal),*], $help:literal;)+) => {
        /// A metric.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Metric {
            $(#[doc = $help] $metric,)+
        }

        /// All of them, in the order of [`Metric`].
        pub const DEFINITIONS: &[Definition] = &[$(Definition {
            name: $name,
            unit: Unit::$unit,
            kind: $kind,
            origin: Origin::$origin,
            labels: &[$($label),*],
            help: $help,
        },)+];
    };
}

const COUNTER: Kind = Kind::Counter;
const GAUGE: Kind = Kind::Gauge;

impl Metric {
    /// Its definition.
    #[must_use]
    pub fn definition(self) -> &'static Definition {
        &DEFINITIONS[self as usize]
    }
}

metrics! {
    // Business.
    OrdersAccepted = "orderwright.orders.accepted", Count, COUNTER, Worker, [],
        "Orders accepted and stored.";
    OrdersFinished = "orderwright.orders.finished", Count, COUNTER, Worker, ["outcome", "reason"],
        "Orders delivered or cancelled, by reason of the cancellation.";
    OrderDuration = "orderwright.order.duration", Seconds, Kind::Histogram(SLOW), Worker, ["outcome"],
        "Time from the acceptance of an order to its delivery or cancellation.";
    Orders = "orderwright.orders.stored", Count, GAUGE, Store, ["status"],
        "Orders by headline status.";
    Sagas = "orderwright.sagas.stored", Count, GAUGE, Store, ["state"],
        "Order sagas by state.";
    SagaOldestAge = "orderwright.sagas.oldest.age", Seconds, GAUGE, Store, ["state"],
        "Time since the saga that has stood longest in this state last moved; 0 if there is none.";
    SagasOverdue = "orderwright.sagas.overdue", Count, GAUGE, Store, [],
        "Open sagas past the time limit of their order: neither on hold nor waiting for a person.";

    // Messages.
    MessagesConsumed = "messaging.client.consumed.messages", Count, COUNTER, Worker,
        ["messaging.destination.name", "disposition"],
        "Messages settled, by what became of them: done, redelivered, postponed, parked or dead_lettered.";
    MessagesSent = "messaging.client.sent.messages", Count, COUNTER, Worker, ["message.type"],
        "Messages published by committed transactions, those handled within the same one included.";
    ProcessDuration = "messaging.process.duration", Seconds, Kind::Histogram(FAST), Worker,
        ["messaging.destination.name"],
        "Time of the transaction that handled a batch, from its beginning to the end of its commit.";
    BatchMessages = "orderwright.batch.messages", Count, Kind::Histogram(BATCH), Worker,
        ["messaging.destination.name"],
        "Messages in one batch.";
    MessageAge = "orderwright.message.age", Seconds, Kind::Histogram(FAST), Worker,
        ["messaging.destination.name"],
        "Time from the sending of a message to its settlement.";
    TimerLateness = "orderwright.timer.lateness", Seconds, Kind::Histogram(FAST), Worker, [],
        "Time from the moment a timer was due to its firing.";
    QueueDepth = "orderwright.queue.depth", Count, GAUGE, Store, ["messaging.destination.name"],
        "Messages that wait in a queue; those under way included.";
    QueueOldestAge = "orderwright.queue.oldest.age", Seconds, GAUGE, Store, ["messaging.destination.name"],
        "Time since the oldest message of a queue was sent; 0 if it is empty.";
    ConsumerPausedAge = "orderwright.consumer.paused.age", Seconds, GAUGE, Store, ["messaging.destination.name"],
        "Time since a person paused the consumer of a queue, at least 1; 0 if it is not paused.";
    OutboxBacklog = "orderwright.outbox.backlog", Count, GAUGE, Store, [],
        "Messages that wait for a broker to take them.";
    OutboxOldestAge = "orderwright.outbox.oldest.age", Seconds, GAUGE, Store, [],
        "Time since the oldest message that waits for a broker was sent; 0 if there is none.";
    MessagesDelayed = "orderwright.messages.delayed", Count, GAUGE, Store, [],
        "Messages that were put off or parked; PostgreSQL estimates more than 10,000.";
    DeadLetters = "orderwright.dead.letters", Count, GAUGE, Store, [],
        "Messages that could not be handled and wait for a person; PostgreSQL estimates more than 10,000.";
    ErrorQueueDepth = "orderwright.error.queue.depth", Count, GAUGE, Store, ["messaging.destination.name"],
        "Messages in a queue's error queue at the broker: they could not be read, had expired, or were delivered too often.";
    BrokerConsumers = "orderwright.broker.consumers", Count, GAUGE, Store, ["messaging.destination.name"],
        "Consumers of a queue, as the broker counts them.";
    BrokerConsumersUnserved = "orderwright.broker.consumers.unserved", Count, GAUGE, Store,
        ["messaging.destination.name"],
        "Consumers of a queue beyond one for each worker: they may hold messages that nobody handles.";
    BrokerHeldAge = "orderwright.broker.held.age", Seconds, GAUGE, Worker, ["messaging.destination.name"],
        "Time for which the oldest message of a queue has lain unacknowledged in this worker; 0 if there is none.";
    BrokerUnfit = "orderwright.broker.unfit", Count, GAUGE, Store, [],
        "Queues and exchanges with which something is amiss: otherwise than they should be, without a right, or not to be read here.";
    Timers = "orderwright.timers.running", Count, GAUGE, Store, [],
        "Timers that are set and have not fired; PostgreSQL estimates more than 10,000.";
    TimerOverdueAge = "orderwright.timers.overdue.age", Seconds, GAUGE, Store, [],
        "Time since the most overdue timer should have fired; 0 if none is overdue.";

    // The database and external parties.
    DatabaseDuration = "db.client.operation.duration", Seconds, Kind::Histogram(FAST), Worker,
        ["db.operation.name", "error.type"],
        "Time of the steps of a unit of work: begin (waiting included), commit, and the unit as a whole.";
    ProviderCallDuration = "orderwright.provider.call.duration", Seconds, Kind::Histogram(FAST), Worker,
        ["provider", "operation", "outcome"],
        "Time of a call to the payment gateway or the shipping provider, by what is known afterwards.";
    ProviderCallsWaiting = "orderwright.provider.calls.waiting", Count, GAUGE, Worker, ["provider"],
        "Calls of this worker that wait for their turn: for the call budget, or for a provider that throttles or is away.";
    ProviderWaitingAge = "orderwright.provider.waiting.age", Seconds, GAUGE, Worker, ["provider"],
        "How long there has been a call waiting for its turn; 0 if there is none.";
    BreakerState = "orderwright.breaker.state", State, GAUGE, Worker, ["provider", "state"],
        "1 for the state that a provider's circuit breaker is in (closed, open, probing), 0 for the others.";
    WebhookDeliveries = "orderwright.webhook.deliveries", Count, COUNTER, Worker, ["outcome"],
        "Attempts to send an event to a webhook endpoint: delivered, refused, away or gone.";
    HttpRequestDuration = "http.server.request.duration", Seconds, Kind::Histogram(FAST), Worker,
        ["http.request.method", "http.route", "http.response.status_code"],
        "Time of a request to the API.";
    ConnectionsEnded = "orderwright.connections.ended", Count, COUNTER, Worker, ["reason"],
        "Connections ended from this side: silent, idle, slow_body, slow_reader, or gave_way to new ones.";

    // Stock.
    StockMovements = "orderwright.stock.movements", Count, COUNTER, Worker, ["kind"],
        "Entries in the stock ledger, by kind.";
    StockUnits = "orderwright.stock.units", Count, COUNTER, Worker, ["kind"],
        "Units moved by entries in the stock ledger; of corrections, the absolute amount.";
    Reservations = "orderwright.reservations", Count, COUNTER, Worker, ["outcome"],
        "Attempts to set an order's stock aside: reserved, or short.";
    UnmatchedEvents = "orderwright.provider.events.unmatched", Count, GAUGE, Store, [],
        "Events of providers that belong to no order and that nobody has seen to; up to 10,000 are counted.";
    ProductsLow = "orderwright.products.low", Count, GAUGE, Store, [],
        "Products that are sold and at or below their reorder level.";
    ProductsShort = "orderwright.products.short", Count, GAUGE, Store, [],
        "Products of which more is promised to orders than is there.";
    BrokenInvariants = "orderwright.invariants.broken", Count, GAUGE, Store, [],
        "Breaches found by the last check of the books; it runs every five minutes in the eldest worker.";

    // The service itself.
    ServiceUp = "orderwright.service.up", State, GAUGE, Worker, ["service"],
        "1 while a background service or consumer runs, 0 while it waits for its next start.";
    ServiceRestarts = "orderwright.service.restarts", Count, COUNTER, Worker, ["service"],
        "Times that a background service or consumer fell and was started again.";
    ServiceSteps = "orderwright.service.steps", Count, COUNTER, Worker, ["service", "outcome"],
        "Steps of a background service: done or failed.";
    HealthStatus = "orderwright.health.status", State, GAUGE, Worker, ["check"],
        "Answer of a health check: 0 up, 1 degraded, 2 down.";
    CollectedAt = "orderwright.collected.timestamp", Seconds, GAUGE, Worker, [],
        "When the gauges that come from the store were last read, in seconds since the epoch.";
    TelemetryDropped = "orderwright.telemetry.dropped", Count, COUNTER, Worker, ["signal"],
        "Spans, and sendings of metrics, that no collector took.";
    BuildInfo = "orderwright.build.info", State, GAUGE, Worker, ["version"],
        "Always 1; names the version of the program.";
    ProcessCpu = "process.cpu.time", Seconds, COUNTER, Worker, [],
        "CPU time of the process.";
    ProcessMemory = "process.memory.usage", Bytes, GAUGE, Worker, [],
        "Resident memory of the process.";
    ProcessFiles = "process.open.file.descriptors", Count, GAUGE, Worker, [],
        "File descriptors that the process has open.";
}
