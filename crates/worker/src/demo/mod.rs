//! The demonstration: a whole service on the embedded store, providers that misbehave over real sockets, the Northwind
//! catalogue with its 830 orders, and at the end the books of both sides, compared. Must never take a short cut past the API
//! to put something in.

mod books;
mod checks;
mod feeding;
mod northwind;
mod pace;
mod setting;
mod staff;
mod stage;
mod summary;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use application::ports::Readers;
use bus::{Clock as _, SystemClock};
use indicatif::MultiProgress;

use crate::any_store::{AnyStore, Purpose};
use crate::config::{Config, DatabaseAddress, Postgres};
use crate::import::{ApiClient, Gauge, Shown, Standing, settle};
use crate::say;
use books::{GatewayBooks, OurBooks};
use checks::Evidence;
use feeding::{Fed, Feeding};
use northwind::Northwind;
use pace::Pace;
use staff::{Done, Staff};
use summary::{Summary, Told};

pub use stage::Stage;

/// Pause between two looks for the progress bars.
const LOOK: Duration = Duration::from_millis(100);

/// No order moved for so long: something is wrong.
const STALL_MAX: Duration = Duration::from_secs(90);

/// How long the gateway may take to come to rest once every order is final: calls that hang there still do their work.
const REST_MAX: Duration = Duration::from_secs(10);

/// What a demonstration is run with.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Folder of its data.
    pub folder: PathBuf,
    /// The server that the orders are on; in the folder, if none.
    pub server: Option<Server>,
    /// Everything random derives from it.
    pub seed: u64,
    /// Whether to remove an earlier demonstration's data first.
    pub start: Start,
    /// Whether progress is shown.
    pub shown: Shown,
}

/// A PostgreSQL server to demonstrate on.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address.
    pub address: DatabaseAddress,
    /// How it is used.
    pub postgres: Postgres,
}

/// What becomes of an earlier demonstration's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It goes on from there.
    Resume,
    /// It is removed.
    Fresh,
}

/// What a demonstration came to.
pub struct Ended {
    summary: Summary,
}

impl Ended {
    /// Whether all invariants hold.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.summary.holds()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        self.summary.text()
    }

    /// For programs.
    ///
    /// # Errors
    /// Never for what this holds.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.summary)?)
    }
}

impl Demo {
    /// Runs it. The service stays up, at the address that `after` is given, until that ends.
    ///
    /// # Errors
    /// If the folder cannot be used, or an order does not come to its end.
    pub async fn run(&self, after: impl AsyncFnOnce(&Ended, &str)) -> Result<Ended> {
        let config = setting::config(&self.folder, self.server.as_ref());
        let earlier = match &self.server {
            None => self.books_beside_the_file()?,
            Some(_) => self.books_of_the_server(&config).await?,
        };
        let stage = Stage::open(config, Some(setting::sandbox(self.seed))).await?;
        if self.shown == Shown::Yes {
            say!("watch it at {}/ui", stage.address());
        }
        let ended = Box::pin(self.play(&stage, earlier)).await;
        if let Ok(ended) = &ended {
            after(ended, &stage.address()).await;
        }
        stage.close().await;
        ended
    }

    fn books_beside_the_file(&self) -> Result<Option<GatewayBooks>> {
        if self.start == Start::Fresh {
            remove(&self.folder)?;
        }
        let earlier = GatewayBooks::load(&self.folder)?;
        if earlier.is_none() && setting::database(&self.folder).exists() {
            bail!(
                "{} holds a demo that was interrupted, and the sandbox's books went with it; begin anew with: orderwright demo --fresh --data {}",
                self.folder.display(),
                self.folder.display()
            );
        }
        Ok(earlier)
    }

    /// On a server nothing is deleted, and the demo refuses a database with orders of others.
    async fn books_of_the_server(&self, config: &Config) -> Result<Option<GatewayBooks>> {
        if self.start == Start::Fresh {
            bail!("--fresh removes no tables from a server; make an empty database and name that one");
        }
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let store = AnyStore::open(config, Purpose::Migrate).await?;
        let overview = store.readers.overview().await;
        store.upkeep.close().await;
        let accepted = Standing::of(&overview?).accepted;
        let earlier = GatewayBooks::load(&self.folder)?;
        match earlier {
            _ if accepted == 0 => Ok(None),
            Some(earlier) if accepted == Northwind::read()?.orders() => Ok(Some(earlier)),
            Some(_) | None => bail!(
                "{} holds orders that no demo in {} has finished; name an empty database",
                config.database,
                self.folder.display()
            ),
        }
    }

    async fn play(&self, stage: &Stage, earlier: Option<GatewayBooks>) -> Result<Ended> {
        let northwind = Northwind::read()?;
        let readers: &dyn Readers = stage.service.store.readers.as_ref();
        let client = ApiClient::new(&stage.address())?.importing();
        let feeding = Feeding { northwind: &northwind, client: &client, readers };
        let found = OurBooks::read(readers).await?.as_text()?;
        let (fed, done) = self.feed(&feeding, &northwind).await?;
        let settled = at_rest(stage).await?.as_text()?;
        let is_repeat = fed.orders_new == 0;
        let again = if is_repeat { fed.clone() } else { feeding.again().await? };
        let ours = OurBooks::read(readers).await?;
        let after_again = ours.as_text()?;
        let stats = stage.sandbox.as_ref().context("the demonstration has a sandbox")?.stats();
        let gateway = match earlier {
            Some(earlier) if is_repeat => earlier,
            Some(_) | None => GatewayBooks::of(&stats),
        };
        let evidence = Evidence {
            orders: northwind.orders(),
            ours: &ours,
            gateway: &gateway,
            again,
            before_again: if is_repeat { &found } else { &settled },
            after_again: &after_again,
        };
        let checks = checks::checks(&evidence, readers, SystemClock.now()).await?;
        gateway.save(&self.folder)?;
        let summary = Summary::of(Told {
            orders: northwind.orders(),
            stock_before: northwind.stock(),
            fed,
            done,
            changed_nothing: is_repeat && found == after_again,
            ours: &ours,
            gateway: &gateway,
            pace: Pace::read(readers).await?,
            checks,
            database: setting::config(&self.folder, self.server.as_ref()).database.to_string(),
        });
        Ok(Ended { summary })
    }

    /// Feeds everything, sees to the orders that wait, and waits until every order is final, with the bars moving.
    async fn feed(&self, feeding: &Feeding<'_>, northwind: &Northwind) -> Result<(Fed, Done)> {
        let gauges = Gauges::new(self.shown, northwind.orders());
        let fed = tokio::select! {
            fed = feeding.run() => fed?,
            watched = gauges.follow(feeding.readers) => return watched.and_then(|()| bail!("the bars never end")),
        };
        if fed.orders_refused > 0 {
            bail!(
                "the service refused {} orders ({}); is {} a demo's folder?",
                fed.orders_refused,
                fed.first_refusal.unwrap_or_default(),
                self.folder.display()
            );
        }
        let standing = tokio::select! {
            standing = settle(feeding.readers, &gauges.settled, STALL_MAX) => standing?,
            watched = gauges.follow(feeding.readers) => return watched.and_then(|()| bail!("the bars never end")),
        };
        gauges.show(standing);
        let mut done = Done::default();
        if fed.orders_new > 0 {
            let staff = Staff { client: feeding.client, readers: feeding.readers };
            staff.see_to_those_who_wait(&mut done).await?;
            settle(feeding.readers, &gauges.settled, STALL_MAX).await?;
            staff.take_back(&mut done).await?;
        }
        gauges.finish();
        Ok((fed, done))
    }
}

/// Waits until the gateway has come to rest and our books agree with its own, but not for ever: a difference that stays is
/// for the checks to tell.
async fn at_rest(stage: &Stage) -> Result<OurBooks> {
    let sandbox = stage.sandbox.as_ref().context("the demonstration has a sandbox")?;
    let looking = async {
        loop {
            let ours = OurBooks::read(stage.service.store.readers.as_ref()).await?;
            let stats = sandbox.stats();
            let theirs = GatewayBooks::of(&stats);
            let untouched = stats.payments.charges == 0;
            if untouched
                || (checks::net(&ours.money()) == checks::net(&theirs.money) && stats.webhooks.waiting == 0)
            {
                return anyhow::Ok(ours);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(REST_MAX, looking).await {
        Ok(ours) => ours,
        Err(_) => OurBooks::read(stage.service.store.readers.as_ref()).await,
    }
}

/// Removes what a demonstration has made, and nothing else.
fn remove(folder: &Path) -> Result<()> {
    let database = setting::database(folder);
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", database.display()));
    let made = [books::file(folder), database.clone(), beside("-wal"), beside("-shm"), beside(".lock")];
    for file in made {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", file.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The bars.
struct Gauges {
    accepted: Gauge,
    delivered: Gauge,
    cancelled: Gauge,
    being_undone: Gauge,
    settled: Gauge,
}

impl Gauges {
    fn new(shown: Shown, orders: u64) -> Self {
        let group = MultiProgress::new();
        let gauge = |name| Gauge::among(&group, shown, name, orders);
        Self {
            accepted: gauge("accepted"),
            delivered: gauge("delivered"),
            cancelled: gauge("cancelled"),
            being_undone: gauge("being undone"),
            settled: Gauge::new(Shown::No, "final", orders),
        }
    }

    async fn follow(&self, readers: &dyn Readers) -> Result<()> {
        loop {
            self.show(Standing::of(&readers.overview().await?));
            tokio::time::sleep(LOOK).await;
        }
    }

    fn show(&self, standing: Standing) {
        self.accepted.set(standing.accepted);
        self.delivered.set(standing.delivered);
        self.cancelled.set(standing.cancelled);
        self.being_undone.set(standing.being_undone);
    }

    fn finish(&self) {
        for gauge in [&self.accepted, &self.delivered, &self.cancelled, &self.being_undone] {
            gauge.finish();
        }
    }
}
