//! The provider as a whole: its books, its faults, its outgoing mail, and the one way a changing call goes through
//! them. Locks are held for one step of the books and never across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::{Attempts, Fate, Plan};
use crate::clock::Clock;
use crate::dice::HangEnd;
use crate::dice::{Dice, Question};
use crate::events::{Event, Topic};
use crate::faults::{Availability, FaultSettings, Forced, Operation, Pause, Verdict};
use crate::limits;
use crate::mailbox::{Mailbox, Mishap};
use crate::payments::Payments;
use crate::problem::Problem;
use crate::rates::Rates;
use crate::reply::{Failure, Reply};
use crate::settings::Settings;
use crate::shipments::{Departure, Shipments};
use crate::stats::{FaultStats, Stats};
use crate::timetable::{Due, Timetable};

pub(crate) struct Provider {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) dice: Dice,
    pub(crate) timetable: Timetable,
    pub(crate) requests: Semaphore,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    faults: RwLock<Arc<FaultSettings>>,
    rates: Rates,
    attempts: Mutex<Attempts>,
    fault_counts: Mutex<FaultStats>,
    payments: Mutex<Payments>,
    shipments: Mutex<Shipments>,
    payment_mail: Mailbox,
    shipping_mail: Mailbox,
    payment_gate: watch::Sender<Availability>,
    shipping_gate: watch::Sender<Availability>,
    hung: Arc<Semaphore>,
}

impl Provider {
    pub(crate) fn new(settings: Settings, clock: Clock) -> Self {
        let dice = Dice::new(settings.seed);
        Self {
            clock,
            dice,
            timetable: Timetable::default(),
            requests: Semaphore::new(limits::REQUESTS_MAX),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            faults: RwLock::new(Arc::new(settings.faults.clone())),
            rates: Rates::default(),
            attempts: Mutex::new(Attempts::new(settings.max_keys)),
            fault_counts: Mutex::default(),
            payments: Mutex::new(Payments::new(dice, settings.max_keys)),
            shipments: Mutex::new(Shipments::new(dice, settings.max_keys)),
            payment_mail: Mailbox::default(),
            shipping_mail: Mailbox::default(),
            payment_gate: watch::Sender::default(),
            shipping_gate: watch::Sender::default(),
            hung: Arc::new(Semaphore::new(limits::HUNG_MAX)),
            settings,
        }
    }

    /// Lets a changing call meet its fate: does the act, does it unheard, does it late, or does not do it.
    pub(crate) async fn perform(
        self: &Arc<Self>,
        operation: Operation,
        key: &str,
        forced: Forced,
        act: impl FnOnce(&Self) -> Reply + Send + 'static,
    ) -> Result<Reply, Failure> {
        self.admit(operation)?;
        let plan = self.plan(operation, key, forced);
        take_time(plan.latency_ms).await;
        match plan.fate {
            Fate::Answered => Ok(act(self)),
            Fate::Throttled => Err(Problem::Throttled.into()),
            Fate::ServerError => Err(Problem::ServerError.into()),
            Fate::ResponseLost => {
                act(self);
                Err(Failure::ResponseLost)
            }
            Fate::OtherAmount => Ok(act(self).with_other_amounts()),
            Fate::Hung { hang_ms, end } => Ok(self.hang(hang_ms, end, act).await),
        }
    }

    /// Ends when this side answers calls; a side that is down, or hangs for too long, is a problem.
    pub(crate) async fn open(&self, side: Topic) -> Result<(), Problem> {
        let gate = self.gate(side);
        if *gate.borrow() == Availability::Up {
            return Ok(());
        }
        let mut changes = gate.subscribe();
        let resumed = changes.wait_for(|availability| *availability != Availability::Hang);
        match tokio::time::timeout(limits::PAUSE_MAX, resumed).await {
            Ok(Ok(availability)) if *availability == Availability::Up => Ok(()),
            Ok(_) | Err(_) => Err(Problem::Down),
        }
    }

    /// Lets the call through as far as the rate of its group goes.
    fn admit(&self, operation: Operation) -> Result<(), Problem> {
        let settings = self.faults();
        let faults = settings.of(operation);
        self.rates.admit(operation.group(), faults.rate_per_second, self.clock.now_micros()).map_err(|_| {
            lock(&self.fault_counts).count(Fate::Throttled);
            Problem::RateExceeded { retry_after_s: faults.rate_retry_after_s }
        })
    }

    /// What becomes of the answer to a look-up of a charge.
    pub(crate) fn look_up(&self, key: &str, answer: Reply) -> Reply {
        let settings = self.faults();
        if settings.of(Operation::LookUpCharge).other_amount_permille == 0 {
            return answer;
        }
        let fate = lock(&self.attempts).look_up(self.dice, &settings, Operation::LookUpCharge, key);
        lock(&self.fault_counts).count(fate);
        if fate == Fate::OtherAmount { answer.with_other_amounts() } else { answer }
    }

    /// Looking up goes by the rate of its side and takes as long as any call of it. It changes nothing, so most faults spare it.
    pub(crate) async fn take_lookup_time(&self, operation: Operation, key: &str) -> Result<(), Problem> {
        self.admit(operation)?;
        let latency_ms = self.faults().of(operation).latency_ms;
        take_time(self.dice.between(latency_ms, Question::LookupLatency, key, 0)).await;
        Ok(())
    }

    pub(crate) fn verdict(&self, operation: Operation, key: &str, forced: Verdict) -> Verdict {
        match forced {
            Verdict::Refuse => Verdict::Refuse,
            Verdict::Accept => self.dice.verdict(operation, key, self.faults().of(operation)),
        }
    }

    /// Sends an event on its way, or does to it what the faults say.
    pub(crate) fn announce(&self, event: Event) {
        if self.settings.webhook_url.is_none() {
            return;
        }
        let settings = self.faults();
        let faults = &settings.webhooks;
        let mail = self.mail(event.kind.topic());
        let strikes = |permille, question| self.dice.happens(permille, question, &event.id, 0);
        if strikes(faults.drop_permille, Question::WebhookDrop) {
            return mail.count(Mishap::Dropped);
        }
        let straggle_ms = self.dice.between(limits::STRAGGLE_MS, Question::WebhookStraggle, &event.id, 0);
        let mut delay_ms = self.dice.between(faults.delay_ms, Question::WebhookDelay, &event.id, 0);
        if strikes(faults.reorder_permille, Question::WebhookReorder) {
            mail.count(Mishap::Reordered);
            delay_ms += straggle_ms;
        }
        if strikes(faults.duplicate_permille, Question::WebhookDuplicate) {
            mail.count(Mishap::Duplicated);
            self.post_after(delay_ms + straggle_ms, event.clone());
        }
        self.post_after(delay_ms, event);
    }

    /// Puts a parcel on its way: handed over half way through its time, delivered at the end of it.
    pub(crate) fn depart(&self, departure: Departure, key: &str) {
        let whole_ms = self.dice.between(self.settings.delivery_delay_ms, Question::DeliveryDelay, key, 0);
        let half = micros(whole_ms) / 2;
        let rest = micros(whole_ms) - half;
        self.timetable.add(self.clock.now_micros().saturating_add(half), Due::HandOver(departure, rest));
    }

    pub(crate) fn faults(&self) -> Arc<FaultSettings> {
        Arc::clone(&self.faults.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace_faults(&self, faults: FaultSettings) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(faults);
    }

    pub(crate) fn pause(&self, pause: Pause) {
        for (side, wanted) in [(Topic::Payments, pause.payments), (Topic::Shipping, pause.shipping)] {
            if let Some(availability) = wanted {
                self.gate(side).send_replace(availability);
            }
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            payments: self.payments().stats(),
            shipping: self.shipments().stats(),
            faults: *lock(&self.fault_counts),
            webhooks: self.payment_mail.stats().plus(self.shipping_mail.stats()),
        }
    }

    pub(crate) fn payments(&self) -> MutexGuard<'_, Payments> {
        lock(&self.payments)
    }

    pub(crate) fn shipments(&self) -> MutexGuard<'_, Shipments> {
        lock(&self.shipments)
    }

    pub(crate) fn mail(&self, topic: Topic) -> &Mailbox {
        match topic {
            Topic::Payments => &self.payment_mail,
            Topic::Shipping => &self.shipping_mail,
        }
    }

    fn gate(&self, side: Topic) -> &watch::Sender<Availability> {
        match side {
            Topic::Payments => &self.payment_gate,
            Topic::Shipping => &self.shipping_gate,
        }
    }

    fn plan(&self, operation: Operation, key: &str, forced: Forced) -> Plan {
        let settings = self.faults();
        if let Some(plan) = Plan::undisturbed(settings.of(operation), forced) {
            return plan;
        }
        let plan = lock(&self.attempts).plan(self.dice, &settings, operation, key, forced);
        lock(&self.fault_counts).count(plan.fate);
        plan
    }

    /// Runs apart from the connection: a client that gives up does not stop what the provider is doing.
    async fn hang(
        self: &Arc<Self>,
        hang_ms: u64,
        end: HangEnd,
        act: impl FnOnce(&Self) -> Reply + Send + 'static,
    ) -> Reply {
        let Ok(seat) = Arc::clone(&self.hung).try_acquire_owned() else { return Problem::Overloaded.into() };
        let provider = Arc::clone(self);
        let work = self.tasks.spawn(async move {
            let _seat = seat;
            let stopped = provider.stop.run_until_cancelled(take_time(hang_ms)).await.is_none();
            match end {
                HangEnd::Done if !stopped => act(&provider),
                HangEnd::Done | HangEnd::NotDone => Problem::ServerError.into(),
            }
        });
        work.await.unwrap_or_else(|_| Problem::ServerError.into())
    }

    fn post_after(&self, delay_ms: u64, event: Event) {
        let mail = self.mail(event.kind.topic());
        let now = if delay_ms == 0 {
            Some(event)
        } else {
            self.timetable.delay(self.clock.now_micros().saturating_add(micros(delay_ms)), event)
        };
        if let Some(event) = now {
            mail.put(event);
        }
    }
}

async fn take_time(milliseconds: u64) {
    if milliseconds > 0 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}

fn micros(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
