//! What an order costs on PostgreSQL: the whole pipeline from acceptance to delivery on a private server that syncs every
//! commit, with providers that answer at once and without HTTP. Prints orders a second and the processor time of either
//! side for each order.
//!
//! `cargo run --release --example postgres_floor -- [orders] [batch] [statements]`
//!
//! With `statements`, the dearest statements of the server are listed.

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(floor::run())
}

mod floor {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use anyhow::{Context as _, Result, ensure};
    use application::commands::{
        CommandPipeline, CreateOrderCommand, CreateOrderHandler, CreateOrderLine, ImportProductsCommand,
        NewProduct,
    };
    use application::pipeline::{Context, Parts, PipelineSettings, topology};
    use application::ports::Readers;
    use bus::{Clock, Coalesce, IdSource, RandomIds, Stop, Supervisor, SystemClock};
    use domain::{Availability, Currency, CustomerId, Money, OrderId, Quantity, Sku};
    use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore, Routing};

    use testkit::agreeable::Agreeable;
    use testkit::servers::{Durability, Postgres};

    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    const PRODUCTS: u64 = 77;

    /// Orders accepted and not yet delivered at most.
    const UNDER_WAY_MAX: usize = 4_000;

    pub(super) async fn run() -> Result<()> {
        let mut arguments = std::env::args().skip(1);
        let mut number =
            |default: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
        let (orders, batch) = (number(20_000), number(200));
        let statements = arguments.next().is_some();
        let extra =
            ["shared_preload_libraries=pg_stat_statements", "shared_buffers=512MB", "max_wal_size=4GB"];
        let server = Postgres::start_with(Durability::Fsync, if statements { &extra } else { &extra[1..] })?;
        let address = server.database()?;
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>) =
            (Arc::new(SystemClock), Arc::new(RandomIds::seeded(1)));
        let options = PostgresOptions::new(topology(), Routing::Store, Arc::clone(&clock), ids.as_ref());
        let store = PostgresStore::connect(&address, options).await?;
        let context = Arc::new(Context { clock, ids, settings: PipelineSettings::default() });
        let commands = CommandPipeline::new(Arc::new(store.clone()), Arc::clone(&context));
        commands.run(&catalogue()?).await?;
        if statements {
            list(&address, "create extension pg_stat_statements", 0).await?;
        }
        let (provider, arrivals) = Agreeable::new();
        let (mut supervisor, stop) = start(&store, &context, provider);
        supervisor.run_once("carrier", arrivals.tell(commands, batch));
        let before = (Instant::now(), own_time(), server_time(&server));
        accept(&store, &context, orders, batch).await?;
        while delivered(&store).await? < orders {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (wall, own, its) = (before.0.elapsed(), own_time() - before.1, server_time(&server) - before.2);
        let per_order = |time: Duration| time.as_secs_f64() * 1e6 / orders as f64;
        println!("{orders} orders in {wall:.2?}: {:.0} orders/s", orders as f64 / wall.as_secs_f64());
        println!(
            "client {:.1} µs, server {:.1} µs of processor time for each",
            per_order(own),
            per_order(its)
        );
        stop.stop();
        let broken = store.broken_invariants(context.clock.now(), 5).await?;
        ensure!(broken.is_empty(), "invariants are broken: {broken:?}");
        if statements {
            list(&address, DEAREST, orders).await?;
        }
        supervisor.drained(Duration::from_secs(5)).await;
        store.close().await;
        Ok(())
    }

    fn start(store: &PostgresStore, context: &Arc<Context>, provider: Arc<Agreeable>) -> (Supervisor, Stop) {
        let stop = Stop::new();
        let mut supervisor = Supervisor::new(stop.clone());
        let parts = Parts {
            notifications: None,
            store: Arc::new(store.clone()),
            transport: Arc::new(store.clone()),
            gateway: Arc::<Agreeable>::clone(&provider),
            shipping: provider,
            context: Arc::clone(context),
        };
        parts.start(&mut supervisor);
        (supervisor, stop)
    }

    async fn accept(
        store: &PostgresStore,
        context: &Arc<Context>,
        orders: usize,
        batch: usize,
    ) -> Result<()> {
        let handler = CreateOrderHandler::new(Arc::new(store.clone()), Arc::clone(context));
        let mut accepted = 0;
        while accepted < orders {
            let requests: Vec<_> =
                (0..batch.min(orders - accepted)).map(|_| request(context)).collect::<Result<_>>()?;
            handler.flush(handler.begin().await?, &requests).await?;
            accepted += requests.len();
            while accepted > delivered(store).await? + UNDER_WAY_MAX {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    }

    fn request(context: &Context) -> Result<CreateOrderCommand> {
        let now = context.clock.now();
        let line = |_| {
            let sku = Sku::parse(&format!("SKU-{}", context.ids.below(PRODUCTS)))?;
            Ok(CreateOrderLine { sku, quantity: Quantity::new(2)?, unit_price: None })
        };
        Ok(CreateOrderCommand {
            order_id: OrderId(context.ids.next(now)),
            idempotency_key: context.ids.next(now).to_string(),
            request_digest: [7; 32],
            customer_id: CustomerId::parse(&format!("customer-{}", context.ids.below(10_000)))?,
            lines: (0..2).map(line).collect::<Result<_>>()?,
            ordered_at: None,
            external_reference: None,
            payment_token: Some("tok_visa".to_owned()),
            traceparent: None,
        })
    }

    fn catalogue() -> Result<ImportProductsCommand> {
        let price = Money::new(1_250, Currency::parse("USD")?);
        let product = |number| {
            Ok(NewProduct {
                sku: Sku::parse(&format!("SKU-{number}"))?,
                name: "A thing".to_owned(),
                description: String::new(),
                price,
                stock: 1_000_000_000,
                reorder_level: 10,
                availability: Availability::Active,
            })
        };
        let products = (0..PRODUCTS).map(product).collect::<Result<_>>()?;
        Ok(ImportProductsCommand { products, import: "floor".to_owned() })
    }

    async fn delivered(store: &PostgresStore) -> Result<usize> {
        let counts = store.overview().await?.orders;
        let found = counts.into_iter().find(|(status, _)| status == "delivered");
        Ok(usize::try_from(found.context("every status is listed")?.1)?)
    }

    const DEAREST: &str = "select round(total_exec_time::numeric, 0)::text, calls, rows,
             round((total_exec_time * 1000 / calls)::numeric, 1)::text, left(regexp_replace(query, '\\s+', ' ', 'g'), 110)
         from pg_stat_statements order by total_exec_time desc limit 28";

    async fn list(address: &str, sql: &str, orders: usize) -> Result<()> {
        let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        if orders == 0 {
            return Ok(client.batch_execute(sql).await?);
        }
        println!("{:>9} {:>7} {:>8} {:>10}  statement", "µs/order", "calls", "rows", "µs/call");
        for row in client.query(sql, &[]).await? {
            let total_ms: f64 = row.get::<_, &str>(0).parse()?;
            let (calls, rows): (i64, i64) = (row.get(1), row.get(2));
            let (each, text): (&str, &str) = (row.get(3), row.get(4));
            println!("{:>9.1} {calls:>7} {rows:>8} {each:>10}  {text}", total_ms * 1e3 / orders as f64);
        }
        Ok(())
    }

    /// Processor time of this process.
    fn own_time() -> Duration {
        processor_time(std::process::id())
    }

    /// Processor time of the server: its living processes, and those that ended.
    fn server_time(server: &Postgres) -> Duration {
        server.pids().into_iter().map(processor_time).sum()
    }

    /// User and system, of the process and of its children that ended, in the kernel's ticks of 10 ms.
    fn processor_time(pid: u32) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Duration::from_millis((11..15).map(ticks).sum::<u64>() * 10)
    }
}
