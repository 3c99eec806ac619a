-- The tables of Orderwright on PostgreSQL 15 and later. Times are microseconds since the epoch, money is minor units with an
-- ISO 4217 code, and closed sets are stored under their names, as in the embedded store.
--
-- Rows that are changed often leave room in their page (fillfactor), and no index names a column that every step changes:
-- such a change stays within its page and touches no index at all.

-- Fails the statement, and with it the transaction, if it did not find the rows that it must have found. Statements are sent
-- in a row together with the commit, so the database itself has to stop the commit. The SQLSTATE says what it means.
create function require_rows(there bigint, wanted bigint, state text, act text) returns void
language plpgsql as $$
begin
    if there <> wanted then
        raise exception using errcode = state, message = format('%s found %s of %s rows', act, there, wanted);
    end if;
end
$$;

-- Processes that share this database. What a process has claimed is its own as long as it renews this row in time.
create table instances (
    instance_id uuid primary key,
    started_at bigint not null,
    alive_until bigint not null
) with (fillfactor = 50);

-- Counts over everything: orders by status, messages by queue, money by currency.
create table tallies (
    subject text not null,
    name text not null,
    amount bigint not null,
    primary key (subject, name)
) with (fillfactor = 50);

-- Changes to the counts that are not summed up yet. Added to by every transaction, so that no two of them wait for each
-- other; folded into the counts in the background.
create table tally_changes (
    position bigint generated always as identity primary key,
    subject text not null,
    name text not null,
    amount bigint not null
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0
);

-- The catalogue.
create table products (
    product_id uuid primary key,
    sku text not null unique,
    name text not null,
    description text not null,
    price_minor bigint not null check (price_minor >= 0),
    currency text not null check (length(currency) = 3),
    availability text not null check (availability in ('active', 'discontinued')),
    created_at bigint not null,
    updated_at bigint not null check (updated_at >= created_at)
);

-- The stock of each product: the sums of its ledger.
create table inventory (
    product_id uuid primary key references products (product_id),
    available_stock bigint not null check (available_stock >= 0),
    reserved_stock bigint not null check (reserved_stock >= 0),
    shipped bigint not null check (shipped >= 0),
    received bigint not null check (received >= 0),
    adjusted bigint not null,
    reorder_level bigint not null check (reorder_level >= 0),
    last_updated bigint not null,
    is_low boolean not null generated always as (available_stock <= reorder_level) stored,
    check (available_stock + reserved_stock + shipped = received + adjusted)
) with (
    fillfactor = 20, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
create index inventory_low on inventory (product_id) where is_low;

-- The ledger of the stock; only ever added to.
create table stock_movements (
    product_id uuid not null,
    position bigint generated always as identity,
    kind text not null check (kind in ('received', 'reserved', 'released', 'shipped', 'adjusted')),
    quantity bigint not null check (quantity <> 0),
    cause text not null check (cause in ('order', 'adjustment', 'import')),
    order_id uuid check ((order_id is not null) = (cause = 'order')),
    note text check ((note is not null) = (cause <> 'order')),
    at bigint not null,
    primary key (product_id, position)
);

-- Orders, by time. 'closed_as' is the status that an order ends in; it stays empty while the status still moves, so that
-- moves touch no index.
create table orders (
    order_id uuid primary key,
    customer_id text not null,
    order_date bigint not null,
    status text not null check (
        status in ('pending', 'validated', 'payment_processing', 'paid', 'shipped', 'delivered', 'cancelled')
    ),
    total_minor bigint not null check (total_minor >= 0),
    currency text not null check (length(currency) = 3),
    created_at bigint not null,
    updated_at bigint not null check (updated_at >= created_at),
    external_reference text,
    payment_token text,
    closed_as text generated always as (case when status in ('delivered', 'cancelled') then status end) stored
) with (fillfactor = 60);
create index orders_open on orders (order_id) where closed_as is null;
create index orders_closed on orders (closed_as, order_id) where closed_as is not null;
create index orders_by_customer on orders (customer_id, order_id);
create unique index orders_by_external_reference on orders (external_reference) where external_reference is not null;

-- The lines of each order.
create table order_items (
    order_id uuid not null references orders (order_id),
    ordinal integer not null check (ordinal >= 0),
    order_item_id uuid not null,
    product_id uuid not null,
    sku text not null,
    quantity bigint not null check (quantity > 0),
    unit_price_minor bigint not null check (unit_price_minor >= 0),
    currency text not null,
    primary key (order_id, ordinal)
);

-- Why an order was called off; one for each cancelled order.
create table cancellations (
    order_id uuid primary key references orders (order_id),
    reason text not null,
    actor text not null,
    note text not null,
    at bigint not null
);

-- One saga for each order. Its row is also the lock of everything that belongs to the order.
create table order_saga (
    correlation_id uuid primary key,
    order_id uuid not null,
    version integer not null,
    state text not null check (
        state in (
            'created', 'inventory_reserved', 'payment_processing', 'paid', 'shipped', 'completed', 'failed',
            'compensating', 'needs_attention'
        )
    ),
    order_status text not null,
    stock text not null,
    payment text not null,
    shipment text not null,
    reason text,
    total_minor bigint not null,
    currency text not null,
    timer_generation bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    expires_at bigint not null,
    is_open boolean not null generated always as (state not in ('completed', 'failed')) stored
) with (
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);
create index order_saga_open on order_saga (correlation_id) where is_open;

-- The money of each order.
create table payments (
    order_id uuid primary key,
    idempotency_key text not null,
    status text not null,
    amount_minor bigint not null check (amount_minor >= 0),
    currency text not null,
    captured_minor bigint not null check (captured_minor >= 0),
    refunded_minor bigint not null check (refunded_minor between 0 and captured_minor),
    provider_reference text,
    attempts bigint not null,
    decline_code text,
    created_at bigint not null,
    updated_at bigint not null
) with (fillfactor = 70);

-- The parcel of each order.
create table shipments (
    order_id uuid primary key,
    idempotency_key text not null,
    status text not null,
    tracking_number text,
    carrier text,
    created_at bigint not null,
    updated_at bigint not null
) with (fillfactor = 70);

-- What happened to each order; only ever added to.
create table order_history (
    order_id uuid not null,
    position bigint generated always as identity,
    at bigint not null,
    event text not null,
    status text,
    saga_state text,
    detail text,
    primary key (order_id, position)
);

-- Answers given under a client's key. In order of time, so that the oldest are swept from one end.
create table idempotency (
    position bigint generated always as identity primary key,
    idempotency_key text not null unique,
    request_digest bytea not null check (length(request_digest) = 32),
    order_id uuid not null,
    total_minor bigint not null,
    currency text not null,
    created_at bigint not null
);

-- Messages from outside that were seen. In order of time, so that the oldest are swept from one end.
create table inbox (
    position bigint generated always as identity primary key,
    source text not null,
    id text not null,
    seen_at bigint not null,
    unique (source, id)
);

-- Outgoing messages, which are also the queues where no broker is: one row for each queue that wants the message, gone with
-- the transaction that handles it. A row for a broker has no queue. A row is worked on by the instance that claimed it; one
-- that is claimed from the start, by the instance that wrote it, never enters the index of those to be claimed.
create table outbox (
    position bigint generated always as identity primary key,
    queue text not null,
    message_id uuid not null,
    kind text not null,
    correlation_id uuid not null,
    causation_id uuid,
    conversation_id uuid not null,
    traceparent text,
    sent_at bigint not null,
    attempt bigint not null,
    body bytea not null,
    claimed_by uuid
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0
);
create index outbox_unclaimed on outbox (queue, position) where claimed_by is null;

-- Messages that come again: delayed ones when they are due, parked ones when their saga moves on or, at the latest, then.
create table delayed_messages (
    position bigint generated always as identity primary key,
    waiting text not null check (waiting in ('delayed', 'parked')),
    due_at bigint not null,
    reason text,
    queue text not null,
    message_id uuid not null,
    kind text not null,
    correlation_id uuid not null,
    causation_id uuid,
    conversation_id uuid not null,
    traceparent text,
    sent_at bigint not null,
    attempt bigint not null,
    body bytea not null
);
create index delayed_messages_due on delayed_messages (due_at);
create index delayed_messages_parked on delayed_messages (correlation_id) where waiting = 'parked';

-- Timers that are running: one for each saga and name.
create table timers (
    correlation_id uuid not null,
    name text not null,
    generation bigint not null,
    due_at bigint not null,
    kind text not null,
    traceparent text,
    primary key (correlation_id, name)
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0
);
create index timers_due on timers (due_at);

-- Messages that could not be handled.
create table dead_letters (
    position bigint generated always as identity primary key,
    reason text not null,
    died_at bigint not null,
    queue text not null,
    message_id uuid not null,
    kind text not null,
    correlation_id uuid not null,
    causation_id uuid,
    conversation_id uuid not null,
    traceparent text,
    sent_at bigint not null,
    attempt bigint not null,
    body bytea not null
);

-- What operators did; only ever added to.
create table audit_log (
    position bigint generated always as identity primary key,
    at bigint not null,
    actor text not null,
    action text not null,
    subject text not null,
    note text not null
);
