-- The tables of Orderwright on PostgreSQL 15 and later, beside those of the bus. Times are microseconds since the epoch, money is
-- minor units with an ISO 4217 code, and closed sets are stored under their names, as in the embedded store.
--
-- Rows that are changed often leave room in their page (fillfactor), and no index names a column that every step changes:
-- such a change stays within its page and touches no index at all.
--
-- When tables are vacuumed: see the tables of the bus. What is only ever added to: a page that is full never changes again, and
-- is vacuumed while it is still in memory. What changes until its order has ended, and then rests: a share of the table,
-- because an index that has to be vacuumed is read whole, but a small one, because what is left of closed orders lies before
-- the open ones in their index.

-- The catalogue. 'shipping' is what a carrier and the customs need to know of one unit, as one document.
create table products (
    product_id uuid primary key,
    sku text not null unique,
    name text not null,
    description text not null,
    price_minor bigint not null check (price_minor >= 0),
    currency text not null check (length(currency) = 3),
    availability text not null check (availability in ('active', 'discontinued')),
    created_at bigint not null,
    updated_at bigint not null check (updated_at >= created_at),
    shipping text
);

-- The stock of each product: the sums of its ledger. 'short_stock' was promised to orders and is not there: a count may find
-- less than is set aside. Nothing is available then, and whatever comes in, comes back or is found makes that good first.
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
    short_stock bigint not null default 0 check (short_stock >= 0),
    constraint inventory_conserved
        check (available_stock + reserved_stock + shipped = received + adjusted + short_stock),
    constraint inventory_honest check (available_stock = 0 or short_stock = 0)
) with (
    fillfactor = 20, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
create index inventory_low on inventory (product_id) where is_low;
create index inventory_short on inventory (product_id) where short_stock > 0;

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
) with (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);

-- Orders, by time. 'closed_as' is the status that an order ends in, and 'closed_at' the last change of a closed order; both stay
-- empty while the status still moves, so that moves touch no index. Open orders are few, and are found by their own index.
create table orders (
    order_id uuid primary key,
    customer_id text not null,
    order_date bigint not null,
    status text not null check (
        status in (
            'pending', 'validated', 'payment_processing', 'authorised', 'paid', 'shipped', 'delivered', 'cancelled'
        )
    ),
    total_minor bigint not null check (total_minor >= 0),
    currency text not null check (length(currency) = 3),
    created_at bigint not null,
    updated_at bigint not null check (updated_at >= created_at),
    external_reference text,
    payment_token text,
    closed_as text generated always as (case when status in ('delivered', 'cancelled') then status end) stored,
    reference_source text,
    closed_at bigint generated always as (case when status in ('delivered', 'cancelled') then updated_at end) stored,
    -- What the money lines add to the goods, in minor units; null for nothing.
    added_minor bigint check (added_minor <> 0),
    -- What it costs less since lines of it were cancelled, in minor units; null for nothing.
    cancelled_minor bigint check (cancelled_minor > 0)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
create index orders_open on orders (order_id) where closed_as is null;
create index orders_closed on orders (closed_as, order_id) where closed_as is not null;
create index orders_by_customer on orders (customer_id, order_id);
-- A reference belongs to whoever gave it; no source where it may be anybody's.
create unique index orders_by_external_reference on orders (external_reference, coalesce(reference_source, '*'))
    where external_reference is not null;
create index orders_closed_by_change on orders (closed_at, order_id) where closed_at is not null;

-- The lines of each order.
create table order_items (
    order_id uuid not null references orders (order_id),
    ordinal integer not null check (ordinal >= 0),
    order_item_id uuid not null,
    product_id uuid not null,
    sku text not null,
    -- Units that are still wanted, or were sent, and those that were cancelled; together what was ordered.
    quantity bigint not null check (quantity >= 0),
    unit_price_minor bigint not null check (unit_price_minor >= 0),
    currency text not null,
    cancelled bigint not null default 0 check (cancelled >= 0),
    primary key (order_id, ordinal),
    check (quantity + cancelled > 0)
) with (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);

-- What an order says beside who wants what: contact, addresses, money lines and the like, as one document. Only of orders that do.
create table order_details (
    order_id uuid primary key references orders (order_id),
    details text not null
);

-- Why orders wait before their payment or their parcel, and who let them go on. Only of orders that did.
create table order_holds (
    order_id uuid not null references orders (order_id),
    hold_id uuid not null,
    before_step text not null check (before_step in ('payment', 'shipping')),
    reason text not null,
    -- Null for a rule of the configuration.
    actor text,
    placed_at bigint not null,
    released_at bigint,
    released_by text,
    release_note text,
    primary key (order_id, hold_id),
    check ((released_at is null) = (released_by is null) and (released_at is null) = (release_note is null))
);

-- Goods that come back of orders that were shipped. Only of orders of which any do.
create table order_returns (
    order_id uuid not null references orders (order_id),
    return_id uuid not null unique,
    status text not null check (status in ('requested', 'received', 'cancelled')),
    reason text not null,
    -- Null for the carrier, which turned back.
    actor text,
    requested_at bigint not null,
    ended_at bigint,
    ended_by text,
    end_note text,
    -- What is paid back, under which key, and when the gateway had given it back.
    refund_key text,
    refund_minor bigint check (refund_minor > 0),
    refunded_at bigint,
    primary key (order_id, return_id),
    check ((ended_at is null) = (status = 'requested')),
    check ((ended_at is null) = (ended_by is null) and (ended_at is null) = (end_note is null)),
    check ((refund_key is null) = (refund_minor is null) and (refunded_at is null or refund_key is not null))
);

-- The products of each return, in units.
create table order_return_lines (
    return_id uuid not null references order_returns (return_id),
    ordinal bigint not null check (ordinal >= 0),
    product_id uuid not null,
    sku text not null,
    quantity bigint not null check (quantity > 0),
    received bigint not null default 0 check (received between 0 and quantity),
    restocked bigint not null default 0 check (restocked between 0 and received),
    primary key (return_id, product_id)
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
-- 'attention' is what a person is asked about, where it is not an undoing that does not get on.
create table order_saga (
    correlation_id uuid primary key,
    order_id uuid not null,
    version integer not null,
    state text not null check (
        state in (
            'created', 'inventory_reserved', 'payment_processing', 'authorised', 'paid', 'shipped', 'completed',
            'failed', 'compensating', 'needs_attention', 'on_hold', 'awaiting_stock'
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
    is_open boolean not null generated always as (state not in ('completed', 'failed')) stored,
    attention text,
    needs_person boolean not null generated always as (state = 'needs_attention') stored,
    has_address boolean not null default false,
    -- The steps before which it has holds: a bit for each.
    holds bigint not null default 0 check (holds between 0 and 3),
    -- Whether its money is authorised with the order and captured at its shipment.
    captures_later boolean not null default false,
    -- Whether it waits for goods that are short, instead of being cancelled.
    waits_for_stock boolean not null default false,
    awaits_stock boolean not null generated always as (state = 'awaiting_stock') stored
) with (
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);
create index order_saga_open on order_saga (correlation_id) where is_open;
-- Over a column of its own, so that a saga's other moves touch no index.
create index order_saga_attention on order_saga (correlation_id) where needs_person;
create index order_saga_awaiting_stock on order_saga (correlation_id) where awaits_stock;

-- The money of each order, and what the gateway told of it beyond our own calls: refunds that were told by events, and disputes.
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
    updated_at bigint not null,
    refund_told_minor bigint not null default 0,
    dispute text,
    -- Charges beside the order's own, and refunds that persons asked for: one a line.
    notes text,
    -- Until when the authorisation holds, where the gateway says so.
    authorised_until bigint
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
-- The order that the gateway's name for a charge belongs to.
create index payments_by_reference on payments (provider_reference) where provider_reference is not null;

-- The parcel of each order.
create table shipments (
    order_id uuid primary key,
    idempotency_key text not null,
    status text not null,
    tracking_number text,
    carrier text,
    created_at bigint not null,
    updated_at bigint not null,
    -- What the carrier told of its way: one bit for each kind of trouble.
    troubles bigint not null default 0
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
-- The order that a tracking number belongs to.
create index shipments_by_tracking_number on shipments (tracking_number) where tracking_number is not null;

-- What happened to each order; only ever added to. Positions come from the batch that an entry was written in: 16384 for each.
create table order_history (
    order_id uuid not null,
    position bigint not null,
    at bigint not null,
    event text not null,
    status text,
    saga_state text,
    detail text,
    -- Whether the saga refused it: nothing happened to the order then.
    is_refused boolean not null,
    primary key (order_id, position)
) with (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);

-- What leads from a position to the entries of all timelines: the orders of which a unit of work wrote entries. One row for a
-- unit and not an index entry for each of its entries. Kept for a while.
create table event_batches (
    position bigint generated always as identity primary key,
    at bigint not null,
    order_ids uuid[] not null
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);
-- Up to which position the batches are gone.
create table event_floor (position bigint not null);
insert into event_floor values (0);

-- Answers given under a client's key, which belongs to its caller. In order of time, so that the oldest are swept from one end.
create table idempotency (
    position bigint generated always as identity primary key,
    idempotency_key text not null,
    request_digest bytea not null check (length(request_digest) = 32),
    order_id uuid not null,
    total_minor bigint not null,
    currency text not null,
    created_at bigint not null,
    caller text not null default '*'
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);
create unique index idempotency_by_key on idempotency (idempotency_key, caller);

-- What operators did; only ever added to.
create table audit_log (
    position bigint generated always as identity primary key,
    at bigint not null,
    actor text not null,
    action text not null,
    subject text not null,
    note text not null
);
create index audit_log_by_actor on audit_log (actor, position);
create index audit_log_by_subject on audit_log (subject, position);

-- Answers given under a client's key to whatever is no new order. In order of time, so that the oldest are swept from one end.
create table kept_answers (
    position bigint generated always as identity primary key,
    idempotency_key text not null,
    operation text not null,
    caller text not null,
    request_digest bytea not null check (length(request_digest) = 32),
    status bigint not null check (status between 100 and 599),
    body bytea not null,
    created_at bigint not null,
    unique (idempotency_key, operation, caller)
);
insert into sweeps values ('idempotency', 0), ('kept_answers', 0);

-- Keys that let callers in: what each may do, and the digest of its secret. The secret itself is nowhere.
create table api_keys (
    id text primary key check (length(id) between 1 and 40),
    name text not null,
    digest bytea not null check (length(digest) = 32),
    scopes text not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);

-- Receivers of our webhooks that have answered 410, which means that they want no more.
create table closed_endpoints (
    address text primary key,
    reason text not null,
    closed_at bigint not null
);

-- Events of providers that belong to no order: each once, kept until a person has seen to it and for a while longer.
create table unmatched_events (
    position bigint generated always as identity primary key,
    provider text not null check (provider = 'payments' or provider = 'shipping'),
    event_id text not null,
    kind text not null,
    reason text not null,
    reference text not null,
    idempotency_key text not null,
    detail text not null,
    -- The whole event, to be taken once more.
    news text not null,
    occurred_at bigint not null,
    received_at bigint not null,
    seen_at bigint,
    seen_by text,
    note text,
    unique (provider, event_id),
    check ((seen_at is null) = (seen_by is null) and (seen_at is null) = (note is null))
);
create index unmatched_events_unseen on unmatched_events (position) where seen_at is null;

-- Programs of others that are sent the events of orders, each from its own place in the log.
create table webhook_endpoints (
    id uuid primary key,
    url text not null,
    types text not null,
    note text not null,
    secret text not null,
    previous_secret text,
    rotated_at bigint,
    state text not null check (state in ('active', 'paused', 'closed')),
    trouble text not null,
    position bigint not null,
    failures bigint not null,
    failing_since bigint,
    next_attempt_at bigint,
    created_at bigint not null,
    revision bigint not null
) with (fillfactor = 50);

-- What became of each event that was sent to an endpoint; kept for a while.
create table webhook_deliveries (
    endpoint_id uuid not null references webhook_endpoints (id) on delete cascade,
    position bigint not null,
    order_id uuid not null,
    event_type text not null,
    state text not null check (state in ('delivered', 'waiting', 'failed')),
    attempts bigint not null,
    last_at bigint not null,
    next_at bigint check ((state = 'waiting') = (next_at is not null)),
    took_ms bigint not null,
    answer text not null,
    revision bigint not null,
    primary key (endpoint_id, position)
);
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_at) where state = 'waiting';
create index webhook_deliveries_failed on webhook_deliveries (endpoint_id, position) where state = 'failed';
create index webhook_deliveries_by_time on webhook_deliveries (last_at) where state <> 'waiting';
