//! A small shop for the tests of handlers: a store in memory, a clock that stands still, two products.

use std::sync::Arc;

use application::commands::{
    Command, CommandPipeline, CreateOrderCommand, CreateOrderHandler, CreateOrderReply,
    ImportProductsCommand, OrderAccepted, OrderKey,
};
use application::hold_rules::HoldRules;
use application::messages::correlation;
use application::pipeline::{Context, HandOver, PipelineSettings, topology};
use application::ports::{AnyUnit, Caller, InventoryView, Readers};
use application::saga::{EventKind, OrderProcessingSaga};
use bus::{Clock, Coalesce, PauseBoard, RandomIds, Routing, SagaRepository, Store, VirtualClock};
use domain::{CustomerId, OrderId};
use infrastructure::sqlite::{SqliteOptions, SqliteStore};
use jiff::Timestamp;
use orderwright_testkit::happen::Happen;
use orderwright_testkit::simulation::{line, new_product, sku};

/// The shop.
pub(crate) struct Shop {
    pub(crate) store: SqliteStore,
    pub(crate) context: Arc<Context>,
    commands: CommandPipeline,
    create: CreateOrderHandler,
}

impl Shop {
    /// Ten of product 0 at 12.50, three of product 1 at 1.00.
    pub(crate) async fn open() -> Self {
        Self::open_with(HoldRules::default()).await
    }

    /// The same with rules that put orders on hold.
    pub(crate) async fn open_with(hold_rules: HoldRules) -> Self {
        let store =
            SqliteStore::in_memory(SqliteOptions::new(topology(), Routing::Store)).expect("memory is there");
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
        // One step at a time, so that each can be looked at.
        let settings = PipelineSettings { hand_over: HandOver::ByQueue, ..PipelineSettings::default() };
        let context = Arc::new(Context {
            clock,
            ids: Arc::new(RandomIds::seeded(5)),
            settings,
            pauses: PauseBoard::default(),
            hold_rules,
        });
        let shop = Self {
            commands: CommandPipeline::new(Arc::new(store.clone()), Arc::clone(&context)),
            create: CreateOrderHandler::new(Arc::new(store.clone()), Arc::clone(&context)),
            store,
            context,
        };
        assert_eq!(shop.run(&catalogue()).await, 2);
        shop
    }

    pub(crate) async fn run<C: Command>(&self, command: &C) -> C::Reply {
        self.commands.run(command).await.expect("a store in memory is never away")
    }

    /// Lets this happen to an order, one after the other.
    pub(crate) async fn happen(&self, order_id: OrderId, kinds: &[EventKind]) {
        for kind in kinds {
            self.run(&Happen { order_id, kind: *kind }).await;
        }
    }

    pub(crate) async fn create(&self, requests: &[CreateOrderCommand]) -> Vec<CreateOrderReply> {
        let unit = self.create.begin().await.expect("a store in memory is never away");
        self.create.flush(unit, requests).await.expect("a store in memory is never away")
    }

    /// An accepted order for so many of product 0.
    pub(crate) async fn order(&self, number: u128, units: u32) -> OrderAccepted {
        let mut request = request(number);
        request.lines = vec![line(sku(0), units)];
        match self.create(&[request]).await.pop() {
            Some(CreateOrderReply::Created(accepted)) => accepted,
            other => panic!("a sound order was not accepted: {other:?}"),
        }
    }

    pub(crate) async fn unit(&self) -> Box<AnyUnit> {
        Store::<AnyUnit>::begin(&self.store).await.expect("a store in memory is never away")
    }

    pub(crate) async fn saga(&self, id: OrderId) -> OrderProcessingSaga {
        let mut unit = self.unit().await;
        let found =
            SagaRepository::load_sagas(unit.as_mut(), &[correlation(id)]).await.expect("it can be read");
        found.into_iter().next().expect("the order has a saga")
    }

    /// Puts a saga where a test wants it.
    pub(crate) async fn put(&self, saga: OrderProcessingSaga) {
        let mut unit = self.unit().await;
        unit.update_sagas(&[saga], self.context.clock.now()).await.expect("it can be written");
        unit.commit().await.expect("a store in memory is never away");
    }

    pub(crate) async fn stock(&self, number: u64) -> InventoryView {
        let found = self.store.inventory_of(&sku(number)).await.expect("it can be read");
        found.expect("the product is in the catalogue")
    }
}

pub(crate) fn catalogue() -> ImportProductsCommand {
    let products = vec![new_product(0, 1_250, 10), new_product(1, 100, 3)];
    ImportProductsCommand { products, import: "catalogue".to_owned() }
}

/// A sound request, one of each number.
pub(crate) fn request(number: u128) -> CreateOrderCommand {
    CreateOrderCommand {
        order_id: OrderId(uuid::Uuid::from_u128(number)),
        caller: Caller::without_key(),
        key: Some(OrderKey { key: format!("key-{number}"), digest: [1; 32] }),
        customer_id: CustomerId::parse("ALFKI").expect("a short text"),
        lines: vec![line(sku(0), 2), line(sku(1), 1)],
        ordered_at: None,
        external_reference: None,
        payment_token: None,
        total: None,
        money_lines: Vec::new(),
        details: None,
        holds: Vec::new(),
        when_short: None,
        traceparent: None,
    }
}
