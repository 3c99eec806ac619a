//! What must cost no more when there is more: looking at the whole, and sweeping up.

mod postgres_stage;

use std::time::Duration;

use application::ports::{OrderFilter, OrderPlace, OrderSort, Readers, VitalSigns};
use domain::OrderId;
use jiff::SignedDuration;
use orderwright_infrastructure::postgres::PostgresStore;
use orderwright_infrastructure::{Retention, Swept};
use postgres_stage::*;
use tokio_postgres::Client;

/// How many rows of a table are counted at most.
const COUNTED_MAX: i64 = 10_000;

const KEPT: Retention = Retention {
    inbox: Duration::from_secs(50),
    idempotency: Duration::from_secs(50),
    events: Duration::from_secs(50),
};

fn later(seconds: i64) -> jiff::Timestamp {
    NOW + SignedDuration::from_secs(seconds)
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Timers that fire a second after one another, the first at [`NOW`].
async fn set_timers(client: &Client, count: i64) {
    let set = "insert into timers select gen_random_uuid(), 'order', 1, $1::bigint + n * 1000000, 'K', null
         from generate_series(0, $2::bigint - 1) n";
    client.execute(set, &[&NOW.as_microsecond(), &count]).await.unwrap();
}

/// So many orders that are done, and so many that are not.
async fn place_orders(client: &Client, done: i64, open: i64) {
    let orders = "insert into orders (order_id, customer_id, order_date, status, total_minor, currency, created_at,
             updated_at)
         select md5(n::text)::uuid, 'c', 1, case when n <= $1 then 'delivered' else 'pending' end, 1, 'USD', 1, 1
         from generate_series(1, $1::bigint + $2::bigint) n";
    let sagas = "insert into order_saga (correlation_id, order_id, version, state, order_status, stock, payment,
             shipment, total_minor, currency, timer_generation, created_at, updated_at, expires_at)
         select order_id, order_id, 1, case status when 'delivered' then 'completed' else 'created' end, status,
             'none', 'none', 'none', 1, 'USD', 1, 1, 1, 1 from orders";
    client.execute(orders, &[&done, &open]).await.unwrap();
    client.execute(sagas, &[]).await.unwrap();
}

/// The limit of so many orders that are not done began anew, and that of as many others is over and was told.
async fn set_new_limits(client: &Client, count: i64) {
    let set = "insert into timers select correlation_id, 'order', 1, $1::bigint + 3600000000, 'K', null, (n > $2)::int
         from (select correlation_id, row_number() over (order by correlation_id) as n from order_saga where is_open) s
         where n <= 2 * $2";
    client.execute(set, &[&NOW.as_microsecond(), &count]).await.unwrap();
}

/// What the server knows of rows read is complete only when those who read are gone.
async fn wait_until_alone(client: &Client) {
    let others = "select count(*) from pg_stat_activity where datname = current_database()
         and backend_type = 'client backend' and pid <> pg_backend_pid()";
    while number(client, others).await > 0 {
        tokio::task::yield_now().await;
    }
}

async fn rows_read(client: &Client, table: &str) -> i64 {
    let sql = format!(
        "select (select seq_tup_read from pg_stat_user_tables where relname = '{table}')
             + (select sum(idx_tup_read) from pg_stat_user_indexes where relname = '{table}')::bigint"
    );
    number(client, &sql).await
}

#[tokio::test]
async fn looking_at_the_whole_reads_a_bounded_part_of_it() {
    let address = database();
    drop(store_over(&address, 1).await);
    let client = client(&address).await;
    set_timers(&client, 3 * COUNTED_MAX).await;
    place_orders(&client, 20_000, 300).await;
    set_new_limits(&client, 10).await;
    client.batch_execute("analyze; select pg_stat_force_next_flush()").await.unwrap();
    wait_until_alone(&client).await;
    client.batch_execute("select pg_stat_reset()").await.unwrap();
    let store = store_over(&address, 2).await;
    let vitals = store.vitals(NOW).await.unwrap();
    assert_eq!((vitals.first_timer, vitals.overdue_sagas), (Some(NOW), 300 - 10));
    assert_eq!((vitals.orphaned_sagas, vitals.inconsistent_sagas), (0, 0));
    store.overview().await.unwrap();
    store.close().await;
    wait_until_alone(&client).await;
    let timers = rows_read(&client, "timers").await;
    assert!((COUNTED_MAX..COUNTED_MAX + 40).contains(&timers), "{timers} timers were read");
    assert_eq!(rows_read(&client, "orders").await, 300, "one for each open saga");
    assert_eq!(rows_read(&client, "order_saga").await, 300);
}

/// How often a page is asked for: from the sixth time on the server may plan for all values at once.
const TIMES: i64 = 9;
/// Orders on a page.
const PAGE: i64 = 10;

#[tokio::test]
async fn a_page_far_down_a_listing_reads_no_more_than_the_first() {
    let address = database();
    drop(store_over(&address, 1).await);
    let client = client(&address).await;
    place_orders(&client, 20_000, 0).await;
    let payments =
        "insert into payments (order_id, idempotency_key, status, amount_minor, currency, captured_minor,
             refunded_minor, provider_reference, attempts, refund_told_minor, created_at, updated_at)
         select order_id, 'pay-' || order_id, 'captured', 1, 'USD', 1, 0, 'ch', 1, 0, 1, 1 from orders";
    client.batch_execute(payments).await.unwrap();
    client.batch_execute("vacuum analyze").await.unwrap();
    let at = async |sql: &str| OrderId(client.query_one(sql, &[]).await.unwrap().get(0));
    let late = at("select order_id from orders order by order_id offset 19000 limit 1").await;
    let early = at("select order_id from orders order by order_id offset 1000 limit 1").await;
    for (sort, after) in [(OrderSort::OldestFirst, late), (OrderSort::NewestFirst, early)] {
        let place = OrderPlace { order_id: after, updated_at: NOW };
        let filter = OrderFilter { sort, after: Some(place), ..OrderFilter::default() };
        let read = async |store: &PostgresStore| {
            assert_eq!(store.orders(&filter, 10).await.unwrap().items.len(), 10);
        };
        for (table, rows) in rows_read_by(&address, &client, read).await {
            assert!(rows <= TIMES * (PAGE + 1), "{sort:?}: {rows} rows of {table}");
        }
    }
    let read = async |store: &PostgresStore| {
        assert_eq!(store.captured_payments(Some(late), 10).await.unwrap().items.len(), 10);
    };
    for (table, rows) in rows_read_by(&address, &client, read).await {
        assert!(rows <= TIMES * (PAGE + 1), "{rows} rows of {table}");
    }
}

/// Rows of what is joined to orders that these reads touch.
async fn rows_read_by(
    address: &str,
    client: &Client,
    read: impl AsyncFn(&PostgresStore),
) -> Vec<(&'static str, i64)> {
    wait_until_alone(client).await;
    client.batch_execute("select pg_stat_force_next_flush(); select pg_stat_reset()").await.unwrap();
    let store = store_over(address, 1).await;
    for _ in 0..TIMES {
        read(&store).await;
    }
    store.close().await;
    wait_until_alone(client).await;
    let mut found = Vec::new();
    for table in ["order_saga", "payments"] {
        found.push((table, rows_read(client, table).await));
    }
    found
}

#[tokio::test]
async fn a_saga_without_its_order_and_one_that_disagrees_with_it_are_told_apart() {
    let address = database();
    let store = store_over(&address, 1).await;
    let client = client(&address).await;
    place_orders(&client, 2, 5).await;
    let (lost, moved) = (
        "delete from orders where order_id = md5('3')::uuid",
        "update orders set status = 'paid'
         where order_id in (md5('4')::uuid, md5('5')::uuid)",
    );
    client.batch_execute(&format!("{lost}; {moved}")).await.unwrap();
    let vitals = store.vitals(NOW).await.unwrap();
    assert_eq!((vitals.orphaned_sagas, vitals.inconsistent_sagas), (1, 2));
    assert_eq!(vitals.first_timer, None);
}

#[tokio::test]
async fn many_timers_are_estimated_and_few_are_counted() {
    let address = database();
    let store = store_over(&address, 1).await;
    let client = client(&address).await;
    // The server's own knowledge is to come from here alone.
    client.batch_execute("alter table timers set (autovacuum_enabled = off)").await.unwrap();
    set_timers(&client, COUNTED_MAX + 2_000).await;
    client.batch_execute("select pg_stat_force_next_flush()").await.unwrap();
    client.batch_execute("select pg_stat_reset_single_table_counters('timers'::regclass)").await.unwrap();
    let timers = async || i64::try_from(store.overview().await.unwrap().timers).unwrap();
    assert_eq!(timers().await, COUNTED_MAX, "as many as were counted");
    client.batch_execute("analyze timers; select pg_stat_force_next_flush()").await.unwrap();
    assert_eq!(timers().await, COUNTED_MAX + 2_000);
    client.execute("delete from timers where due_at > $1", &[&later(6).as_microsecond()]).await.unwrap();
    assert_eq!(timers().await, 7);
}

async fn see(store: &PostgresStore, ids: std::ops::Range<u32>, at: jiff::Timestamp) {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    let mut unit = unit(store).await;
    unit.admit("gateway", &ids, at).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn what_is_not_past_its_time_is_not_touched() {
    let address = database();
    let store = store_over(&address, 1).await;
    see(&store, 0..3, NOW).await;
    see(&store, 3..8, later(10)).await;
    let client = client(&address).await;
    let sweep = async |at| store.housekeeping_step(later(at), KEPT, 5).await.unwrap().inbox;
    assert_eq!((sweep(50).await, sweep(51).await), (0, 3));
    assert_eq!(number(&client, "select count(*) from inbox where xmax <> 0").await, 0, "none was locked");
    let ahead =
        "select count(*) from inbox where position <= (select position from sweeps where swept = 'inbox')";
    assert_eq!(number(&client, ahead).await, 0);
    assert_eq!(
        number(&client, "select position from sweeps where swept = 'inbox'").await,
        3,
        "it is known how far"
    );
    assert_eq!(sweep(61).await, 5);
}

#[tokio::test]
async fn one_process_sweeps_at_a_time_and_the_others_do_not_wait() {
    let address = database();
    let store = store_over(&address, 1).await;
    see(&store, 0..3, NOW).await;
    let sweeping = client(&address).await;
    sweeping.batch_execute("begin; select from sweeps for update").await.unwrap();
    let passed_over = store.housekeeping_step(later(51), KEPT, 5).await.unwrap();
    assert_eq!(passed_over, Swept::default());
    sweeping.batch_execute("commit").await.unwrap();
    assert_eq!(store.housekeeping_step(later(51), KEPT, 5).await.unwrap().inbox, 3);
}
