//! The floor: the rows of an order written by set-based SQL alone, on a private server that syncs every commit. Four
//! transactions for each batch, as many as an order goes through, and not a word of who wants what: no HTTP, no JSON, no
//! decisions, no messages read. Prints the processor time of either side for each order.
//!
//! `cargo run --release -p orderwright-infrastructure --example postgres_rows -- [orders] [batch] [products]`

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(rows::run())
}

mod rows {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use anyhow::{Result, ensure};
    use application::pipeline::topology;
    use application::ports::Readers;
    use bus::{Clock, IdSource, RandomIds, Routing, SystemClock};
    use futures_util::future::{join_all, join3};
    use orderwright_infrastructure::postgres::{PostgresOptions, PostgresStore};
    use testkit::servers::{Durability, Postgres};
    use tokio_postgres::types::ToSql;
    use tokio_postgres::{Client, NoTls, Statement};
    use uuid::Uuid;

    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    pub(super) async fn run() -> Result<()> {
        let mut arguments = std::env::args().skip(1);
        let mut number =
            |default: usize| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
        let (orders, batch, products) = (number(20_000), number(100).max(1), number(1_000).max(1));
        let server = Postgres::start_with(Durability::Fsync, &[])?;
        let address = server.database()?;
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>) =
            (Arc::new(SystemClock), Arc::new(RandomIds::seeded(1)));
        let options = PostgresOptions::new(topology(), Routing::Store, clock.as_ref(), ids.as_ref());
        let store = PostgresStore::connect(&address, options).await?;
        let client = connect(&address).await?;
        let catalogue: Vec<Uuid> = (0..products).map(|_| ids.next(clock.now())).collect();
        stock(&client, &catalogue).await?;
        let stages = Stages::prepare(&client).await?;
        let pick = || usize::try_from(ids.below(products as u64)).map(|picked| catalogue[picked]);
        let before = (Instant::now(), own_time(), server_time(&server));
        for first in (0..orders).step_by(batch) {
            let orders: Vec<Uuid> =
                (first..orders.min(first + batch)).map(|_| ids.next(clock.now())).collect();
            let of_lines: Vec<Uuid> = orders.iter().flat_map(|order| [*order, *order]).collect();
            let products: Vec<Uuid> = of_lines.iter().map(|_| pick()).collect::<Result<_, _>>()?;
            let now = clock.now().as_microsecond();
            stages.write(&client, &Batch { orders, of_lines, products, now }).await?;
        }
        let (wall, own, its) = (before.0.elapsed(), own_time() - before.1, server_time(&server) - before.2);
        let per_order = |time: Duration| time.as_secs_f64() * 1e3 / orders as f64;
        println!("{orders} orders in {wall:.2?}: {:.0} orders/s", orders as f64 / wall.as_secs_f64());
        println!(
            "floor: client {:.4} ms, server {:.4} ms of processor time for each order",
            per_order(own),
            per_order(its)
        );
        let broken = store.broken_invariants(clock.now(), 5).await?;
        ensure!(broken.is_empty(), "what was written is not what a pipeline leaves: {broken:?}");
        store.close().await;
        Ok(())
    }

    async fn connect(address: &str) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
        tokio::spawn(connection);
        for setting in
            ["plan_cache_mode = force_generic_plan", "enable_seqscan = off", "enable_hashjoin = off"]
        {
            client.batch_execute(&format!("set {setting}")).await?;
        }
        Ok(client)
    }

    /// What a batch is about: the orders, each once and each twice, the products of their lines, and the time.
    struct Batch {
        orders: Vec<Uuid>,
        of_lines: Vec<Uuid>,
        products: Vec<Uuid>,
        now: i64,
    }

    impl Batch {
        fn params(&self) -> [&(dyn ToSql + Sync); 4] {
            [&self.orders, &self.of_lines, &self.products, &self.now]
        }
    }

    /// The statements of the four transactions.
    struct Stages(Vec<Vec<Statement>>);

    impl Stages {
        async fn prepare(client: &Client) -> Result<Self> {
            let mut stages = Vec::new();
            for texts in [ACCEPT, PAY, SHIP, DELIVER] {
                let mut stage = Vec::new();
                for text in texts {
                    stage.push(client.prepare(&format!("{WITH} {text}")).await?);
                }
                stages.push(stage);
            }
            Ok(Self(stages))
        }

        /// All statements of a transaction are on their way before the first is answered.
        async fn write(&self, client: &Client, batch: &Batch) -> Result<()> {
            let params = batch.params();
            for stage in &self.0 {
                let statements = join_all(stage.iter().map(|statement| client.execute(statement, &params)));
                let (begun, done, committed) =
                    join3(client.batch_execute("begin"), statements, client.batch_execute("commit")).await;
                begun?;
                done.into_iter().collect::<Result<Vec<_>, _>>()?;
                committed?;
            }
            Ok(())
        }
    }

    /// Makes products with their stock.
    async fn stock(client: &Client, products: &[Uuid]) -> Result<()> {
        for text in CATALOGUE {
            client.execute(*text, &[&products]).await?;
        }
        Ok(())
    }

    const CATALOGUE: &[&str] = &[
        "insert into products (product_id, sku, name, description, price_minor, currency, availability, created_at, updated_at)
         select id, 'SKU-' || n, 'A thing', '', 1250, 'EUR', 'active', 0, 0 from unnest($1::uuid[]) with ordinality as p (id, n)",
        "insert into inventory (product_id, available_stock, reserved_stock, shipped, received, adjusted, reorder_level,
             last_updated)
         select id, 1000000000, 0, 0, 1000000000, 0, 0, 0 from unnest($1::uuid[]) as p (id)",
        "insert into stock_movements (product_id, kind, quantity, cause, order_id, note, at)
         select id, 'received', 1000000000, 'import', null, 'floor', 0 from unnest($1::uuid[]) as p (id)",
    ];

    /// Before each statement: the orders, the lines and the time as rows.
    const WITH: &str = "with o as (select id, n from unnest($1::uuid[]) with ordinality as o (id, n)),
         l as (select id, product, n from unnest($2::uuid[], $3::uuid[]) with ordinality as l (id, product, n)),
         t as (select $4::bigint as now)";

    const ACCEPT: &[&str] = &[
        "insert into orders (order_id, customer_id, order_date, status, total_minor, currency, created_at, updated_at,
             external_reference, payment_token)
         select id, 'customer-' || n, now, 'validated', 5000, 'EUR', now, now, null, 'tok_visa' from o, t",
        "insert into order_items (order_id, ordinal, order_item_id, product_id, sku, quantity, unit_price_minor, currency)
         select id, (n - 1) % 2, gen_random_uuid(), product, 'SKU-' || n, 2, 1250, 'EUR' from l",
        "insert into order_saga (correlation_id, order_id, version, state, order_status, stock, payment, shipment, reason,
             total_minor, currency, timer_generation, created_at, updated_at, expires_at)
         select id, id, 1, 'inventory_reserved', 'validated', 'reserved', 'requested', 'none', null, 5000, 'EUR', 3, now, now,
             now + 1800000000 from o, t",
        "insert into payments (order_id, idempotency_key, status, amount_minor, currency, captured_minor, refunded_minor,
             provider_reference, attempts, decline_code, created_at, updated_at)
         select id, 'charge-' || id, 'requested', 5000, 'EUR', 0, 0, null, 0, null, now, now from o, t",
        "insert into idempotency (idempotency_key, request_digest, order_id, total_minor, currency, created_at)
         select gen_random_uuid()::text, sha256(id::text::bytea), id, 5000, 'EUR', now from o, t",
        "insert into timers (correlation_id, name, generation, due_at, kind, traceparent)
         select id, name, 1, now + 1800000000, 'OrderTimeoutEvent', null from o, t, unnest(array['order', 'payment']) as name",
        "select from inventory where product_id in (select product from l) order by product_id for update",
        "update inventory set available_stock = available_stock - units, reserved_stock = reserved_stock + units, last_updated = now
         from (select product, sum(2)::bigint as units from l group by product) as wanted, t where product_id = product",
        "insert into stock_movements (product_id, kind, quantity, cause, order_id, note, at)
         select product, 'reserved', 2, 'order', id, null, now from l, t",
        "insert into order_history (order_id, at, event, status, saga_state, detail)
         select id, now, event, 'validated', 'created', null
         from o, t, unnest(array['OrderCreated', 'OrderValidated', 'InventoryReserved']) as event",
        "insert into outbox (queue, message_id, kind, correlation_id, causation_id, conversation_id, traceparent, sent_at,
             attempt, body, claimed_by)
         select 'payment', gen_random_uuid(), 'PaymentProcessingRequested', id, id, id, null, now, 0,
             convert_to(format('{\"order_id\":\"%s\",\"amount\":{\"minor\":5000,\"currency\":\"EUR\"},\"idempotency_key\":\"charge-%s\",\"payment_token\":\"tok_visa\"}', id, id), 'UTF8'), id
         from o, t",
    ];

    const PAY: &[&str] = &[
        "select from order_saga where correlation_id = any($1) order by correlation_id for update",
        "update order_saga set state = 'paid', order_status = 'paid', payment = 'captured', shipment = 'requested',
             timer_generation = 5, updated_at = now from t where correlation_id = any($1)",
        "update orders set status = 'paid', updated_at = now from t where order_id = any($1)",
        "update payments set status = 'captured', captured_minor = amount_minor, provider_reference = 'ch_' || order_id,
             attempts = 1, updated_at = now from t where order_id = any($1)",
        "insert into shipments (order_id, idempotency_key, status, tracking_number, carrier, created_at, updated_at)
         select id, 'parcel-' || id, 'requested', null, null, now, now from o, t",
        "insert into order_history (order_id, at, event, status, saga_state, detail)
         select id, now, event, 'paid', 'paid', 'charge (attempt 1): captured as ch_1'
         from o, t, unnest(array['PaymentStarted', 'PaymentCaptured']) as event",
        "delete from timers where correlation_id = any($1) and name = 'payment'",
        "insert into timers (correlation_id, name, generation, due_at, kind, traceparent)
         select id, 'shipping', 1, now + 1800000000, 'OrderTimeoutEvent', null from o, t",
        "delete from outbox where position = any (array(
             select position from outbox order by position limit cardinality($1::uuid[])))",
        "insert into outbox (queue, message_id, kind, correlation_id, causation_id, conversation_id, traceparent, sent_at,
             attempt, body, claimed_by)
         select 'shipping', gen_random_uuid(), 'OrderShippingRequested', id, id, id, null, now, 0,
             convert_to(format('{\"order_id\":\"%s\",\"idempotency_key\":\"parcel-%s\"}', id, id), 'UTF8'), id
         from o, t",
        "insert into inbox (source, id, seen_at) select 'gateway', id || '/' || gen_random_uuid(), now from o, t",
    ];

    const SHIP: &[&str] = &[
        "select from order_saga where correlation_id = any($1) order by correlation_id for update",
        "update order_saga set state = 'shipped', order_status = 'shipped', stock = 'shipped', shipment = 'booked',
             timer_generation = 7, updated_at = now from t where correlation_id = any($1)",
        "update orders set status = 'shipped', updated_at = now from t where order_id = any($1)",
        "update shipments set status = 'shipped', tracking_number = 'TRACK-' || order_id, carrier = 'A carrier',
             updated_at = now from t where order_id = any($1)",
        "select from inventory where product_id in (select product from l) order by product_id for update",
        "update inventory set reserved_stock = reserved_stock - units, shipped = shipped + units, last_updated = now
         from (select product, sum(2)::bigint as units from l group by product) as wanted, t where product_id = product",
        "insert into stock_movements (product_id, kind, quantity, cause, order_id, note, at)
         select product, 'shipped', 2, 'order', id, null, now from l, t",
        "insert into order_history (order_id, at, event, status, saga_state, detail)
         select id, now, 'ShipmentBooked', 'shipped', 'shipped', 'create_shipment (attempt 1): booked as TRACK' from o, t",
        "delete from timers where correlation_id = any($1) and name = 'shipping'",
        "insert into timers (correlation_id, name, generation, due_at, kind, traceparent)
         select id, 'delivery', 1, now + 1800000000, 'OrderTimeoutEvent', null from o, t",
        "delete from outbox where position = any (array(
             select position from outbox order by position limit cardinality($1::uuid[])))",
    ];

    const DELIVER: &[&str] = &[
        "insert into inbox (source, id, seen_at) select 'carrier', id || '/' || gen_random_uuid(), now from o, t",
        "select from order_saga where correlation_id = any($1) order by correlation_id for update",
        "update order_saga set state = 'completed', order_status = 'delivered', shipment = 'delivered',
             timer_generation = 8, updated_at = now from t where correlation_id = any($1)",
        "update orders set status = 'delivered', updated_at = now from t where order_id = any($1)",
        "update shipments set status = 'delivered', updated_at = now from t where order_id = any($1)",
        "insert into order_history (order_id, at, event, status, saga_state, detail)
         select id, now, 'ParcelDelivered', 'delivered', 'completed', null from o, t",
        "delete from timers where correlation_id = any($1)",
    ];

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
