-- The tables of Orderwright on SQLite, beside those of the bus. Ids are 16-byte blobs that sort by time, times are microseconds
-- since the epoch, money is minor units with an ISO 4217 code, and closed sets are stored under their names. Sets are checked by
-- 'or' and not by 'in', for which SQLite would build a temporary table with every single row.

-- The catalogue. 'shipping' is what a carrier and the customs need to know of one unit, as one document.
create table products (
    product_id blob primary key check (length(product_id) = 16),
    sku text not null unique,
    name text not null,
    description text not null,
    price_minor integer not null check (price_minor >= 0),
    currency text not null check (length(currency) = 3),
    availability text not null check (availability = 'active' or availability = 'discontinued'),
    created_at integer not null,
    updated_at integer not null check (updated_at >= created_at),
    shipping text
) without rowid;

-- The stock of each product: the sums of its ledger. 'short_stock' was promised to orders and is not there: a count may find
-- less than is set aside. Nothing is available then, and whatever comes in, comes back or is found makes that good first.
create table inventory (
    product_id blob primary key references products (product_id),
    available_stock integer not null check (available_stock >= 0),
    reserved_stock integer not null check (reserved_stock >= 0),
    shipped integer not null check (shipped >= 0),
    received integer not null check (received >= 0),
    adjusted integer not null,
    reorder_level integer not null check (reorder_level >= 0),
    last_updated integer not null,
    last_movement integer,
    short_stock integer not null default 0 check (short_stock >= 0),
    check (available_stock + reserved_stock + shipped = received + adjusted + short_stock),
    check (available_stock = 0 or short_stock = 0)
) without rowid;
create index inventory_low on inventory (product_id) where available_stock <= reorder_level;
create index inventory_short on inventory (product_id) where short_stock > 0;

-- The ledger of the stock; only ever added to, and only at its end. Each movement knows the one before it of the same
-- product, and the stock row knows the last: a product's ledger is read backwards along that chain. An index by product
-- would touch a page for almost every movement.
create table stock_movements (
    position integer primary key,
    previous integer check (previous < position),
    product_id blob not null,
    kind text not null check (kind = 'received' or kind = 'reserved' or kind = 'released' or kind = 'shipped'
        or kind = 'adjusted'),
    quantity integer not null check (quantity <> 0),
    cause text not null check (cause = 'order' or cause = 'adjustment' or cause = 'import'),
    order_id blob check ((order_id is not null) = (cause = 'order')),
    note text check ((note is not null) = (cause <> 'order')),
    at integer not null
);

-- Orders, by time. 'is_open' is null once the order is delivered or cancelled, which takes the row out of its index: a
-- change of status then costs no index entry. Cancelled orders are found by their cancellations, delivered ones are most.
create table orders (
    order_id blob primary key check (length(order_id) = 16),
    customer_id text not null,
    order_date integer not null,
    status text not null check (
        status = 'pending' or status = 'validated' or status = 'payment_processing' or status = 'authorised'
            or status = 'paid' or status = 'shipped' or status = 'delivered' or status = 'cancelled'
    ),
    is_open integer check (is_open = 1),
    total_minor integer not null check (total_minor >= 0),
    currency text not null check (length(currency) = 3),
    created_at integer not null,
    updated_at integer not null check (updated_at >= created_at),
    external_reference text,
    payment_token text,
    reference_source text,
    -- What the money lines add to the goods, in minor units; null for nothing.
    added_minor integer check (added_minor <> 0),
    -- What it costs less since lines of it were cancelled, in minor units; null for nothing.
    cancelled_minor integer check (cancelled_minor > 0)
) without rowid;
create index orders_open on orders (order_id) where is_open = 1;
create index orders_by_customer on orders (customer_id, order_id);
-- A reference belongs to whoever gave it; no source where it may be anybody's.
create unique index orders_by_external_reference on orders (external_reference, coalesce(reference_source, '*'))
    where external_reference is not null;
-- Orders by their last change. An order enters when it is closed and never leaves: open ones are few, and are found by their
-- own index, so that no step of an order but its last touches this one.
create index orders_closed_by_change on orders (updated_at) where is_open is null;

-- The lines of each order.
create table order_items (
    order_id blob not null references orders (order_id),
    ordinal integer not null check (ordinal >= 0),
    order_item_id blob not null,
    product_id blob not null,
    sku text not null,
    -- Units that are still wanted, or were sent, and those that were cancelled; together what was ordered.
    quantity integer not null check (quantity >= 0),
    unit_price_minor integer not null check (unit_price_minor >= 0),
    currency text not null,
    cancelled integer not null check (cancelled >= 0),
    primary key (order_id, ordinal),
    check (quantity + cancelled > 0)
) without rowid;

-- What an order says beside who wants what: contact, addresses, money lines and the like, as one document. Only of orders that do.
create table order_details (
    order_id blob primary key references orders (order_id),
    details text not null
) without rowid;

-- Why orders wait before their payment or their parcel, and who let them go on. Only of orders that did.
create table order_holds (
    order_id blob not null references orders (order_id),
    hold_id blob not null check (length(hold_id) = 16),
    before_step text not null check (before_step = 'payment' or before_step = 'shipping'),
    reason text not null,
    -- Null for a rule of the configuration.
    actor text,
    placed_at integer not null,
    released_at integer,
    released_by text,
    release_note text,
    primary key (order_id, hold_id),
    check ((released_at is null) = (released_by is null) and (released_at is null) = (release_note is null))
) strict, without rowid;

-- Goods that come back of orders that were shipped. Only of orders of which any do.
create table order_returns (
    order_id blob not null references orders (order_id),
    return_id blob not null unique check (length(return_id) = 16),
    status text not null check (status = 'requested' or status = 'received' or status = 'cancelled'),
    reason text not null,
    -- Null for the carrier, which turned back.
    actor text,
    requested_at integer not null,
    ended_at integer,
    ended_by text,
    end_note text,
    -- What is paid back, under which key, and when the gateway had given it back.
    refund_key text,
    refund_minor integer check (refund_minor > 0),
    refunded_at integer,
    primary key (order_id, return_id),
    check ((ended_at is null) = (status = 'requested')),
    check ((ended_at is null) = (ended_by is null) and (ended_at is null) = (end_note is null)),
    check ((refund_key is null) = (refund_minor is null) and (refunded_at is null or refund_key is not null))
) strict, without rowid;

-- The products of each return, in units.
create table order_return_lines (
    return_id blob not null references order_returns (return_id),
    ordinal integer not null check (ordinal >= 0),
    product_id blob not null check (length(product_id) = 16),
    sku text not null,
    quantity integer not null check (quantity > 0),
    received integer not null default 0 check (received between 0 and quantity),
    restocked integer not null default 0 check (restocked between 0 and received),
    primary key (return_id, product_id)
) strict, without rowid;

-- Why an order was called off; one for each cancelled order.
create table cancellations (
    order_id blob primary key references orders (order_id),
    reason text not null,
    actor text not null,
    note text not null,
    at integer not null
) without rowid;

-- One saga for each order. 'is_open' is null once the saga is final, which takes the row out of the index. 'attention'
-- is what a person is asked about, where it is not an undoing that does not get on.
create table order_saga (
    correlation_id blob primary key check (length(correlation_id) = 16),
    order_id blob not null,
    version integer not null,
    state text not null check (
        state = 'created' or state = 'inventory_reserved' or state = 'payment_processing'
            or state = 'authorised' or state = 'paid' or state = 'shipped' or state = 'completed' or state = 'failed' or state = 'compensating'
            or state = 'needs_attention' or state = 'on_hold' or state = 'awaiting_stock'
    ),
    is_open integer check (is_open = 1),
    order_status text not null,
    stock text not null,
    payment text not null,
    shipment text not null,
    reason text,
    total_minor integer not null,
    currency text not null,
    timer_generation integer not null,
    created_at integer not null,
    updated_at integer not null,
    expires_at integer not null,
    attention text,
    has_address integer not null default 0,
    -- The steps before which it has holds: a bit for each.
    holds integer not null default 0 check (holds between 0 and 3),
    -- Whether its money is authorised with the order and captured at its shipment.
    captures_later integer not null default 0,
    -- Whether it waits for goods that are short, instead of being cancelled.
    waits_for_stock integer not null default 0
) without rowid;
create index order_saga_open on order_saga (correlation_id) where is_open = 1;
create index order_saga_attention on order_saga (correlation_id) where state = 'needs_attention';
create index order_saga_awaiting_stock on order_saga (correlation_id) where state = 'awaiting_stock';

-- The money of each order, and what the gateway told of it beyond our own calls: refunds that were told by events, and disputes.
create table payments (
    order_id blob primary key check (length(order_id) = 16),
    idempotency_key text not null,
    status text not null,
    amount_minor integer not null check (amount_minor >= 0),
    currency text not null,
    captured_minor integer not null check (captured_minor >= 0),
    refunded_minor integer not null check (refunded_minor between 0 and captured_minor),
    provider_reference text,
    attempts integer not null,
    decline_code text,
    created_at integer not null,
    updated_at integer not null,
    refund_told_minor integer not null default 0 check (refund_told_minor between 0 and refunded_minor),
    dispute text check (dispute = 'open' or dispute = 'won' or dispute = 'lost'),
    -- Charges beside the order's own, and refunds that persons asked for: one a line.
    notes text,
    -- Until when the authorisation holds, where the gateway says so.
    authorised_until integer
) without rowid;
create index payments_open on payments (order_id) where status = 'requested' or status = 'unknown'
    or status = 'authorised' or status = 'refunding';
-- The order that the gateway's name for a charge belongs to.
create index payments_by_reference on payments (provider_reference) where provider_reference is not null;

-- The parcel of each order.
create table shipments (
    order_id blob primary key check (length(order_id) = 16),
    idempotency_key text not null,
    status text not null,
    tracking_number text,
    carrier text,
    created_at integer not null,
    updated_at integer not null,
    -- What the carrier told of its way: one bit for each kind of trouble.
    troubles integer not null default 0
) without rowid;
create index shipments_open on shipments (order_id) where status = 'requested' or status = 'unknown'
    or status = 'booked';
-- The order that a tracking number belongs to.
create index shipments_by_tracking_number on shipments (tracking_number) where tracking_number is not null;

-- What happened to each order; only ever added to. Kept together by order, so that a timeline is one stretch.
create table order_history (
    order_id blob not null,
    position integer not null,
    at integer not null,
    event text not null,
    status text,
    saga_state text,
    detail text,
    -- Whether the saga refused it: nothing happened to the order then.
    is_refused integer not null,
    primary key (order_id, position)
) without rowid;

-- What leads from a position to the entries of all timelines: the orders of which so many entries were written in a row,
-- 16 bytes for each. One row and not an index entry for each of them. Kept for a while.
create table event_batches (
    position integer primary key,
    entries integer not null check (entries > 0),
    at integer not null,
    order_ids blob not null
) strict;
-- Up to which position the batches are gone.
create table event_floor (position integer not null) strict;
insert into event_floor values (0);

-- Answers given under a client's key, which belongs to its caller. In order of time, so that the oldest are swept from one end.
create table idempotency (
    position integer primary key,
    idempotency_key text not null,
    caller text not null,
    request_digest blob not null check (length(request_digest) = 32),
    order_id blob not null,
    total_minor integer not null,
    currency text not null,
    created_at integer not null,
    unique (idempotency_key, caller)
);

-- What operators did; only ever added to.
create table audit_log (
    position integer primary key,
    at integer not null,
    actor text not null,
    action text not null,
    subject text not null,
    note text not null
);
create index audit_log_by_actor on audit_log (actor);
create index audit_log_by_subject on audit_log (subject);

-- Answers given under a client's key to whatever is no new order. In order of time, so that the oldest are swept from one end.
create table kept_answers (
    position integer primary key,
    idempotency_key text not null,
    operation text not null,
    caller text not null,
    request_digest blob not null check (length(request_digest) = 32),
    status integer not null check (status between 100 and 599),
    body blob not null,
    created_at integer not null,
    unique (idempotency_key, operation, caller)
);

-- Keys that let callers in: what each may do, and the digest of its secret. The secret itself is nowhere.
create table api_keys (
    id text primary key check (length(id) between 1 and 40),
    name text not null,
    digest blob not null check (length(digest) = 32),
    scopes text not null,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) strict, without rowid;

-- Receivers of our webhooks that have answered 410, which means that they want no more.
create table closed_endpoints (
    address text primary key,
    reason text not null,
    closed_at integer not null
) strict, without rowid;

-- Events of providers that belong to no order: each once, kept until a person has seen to it and for a while longer.
create table unmatched_events (
    position integer primary key,
    provider text not null check (provider = 'payments' or provider = 'shipping'),
    event_id text not null,
    kind text not null,
    reason text not null,
    reference text not null,
    idempotency_key text not null,
    detail text not null,
    -- The whole event, to be taken once more.
    news text not null,
    occurred_at integer not null,
    received_at integer not null,
    seen_at integer,
    seen_by text,
    note text,
    unique (provider, event_id),
    check ((seen_at is null) = (seen_by is null) and (seen_at is null) = (note is null))
) strict;
create index unmatched_events_unseen on unmatched_events (position) where seen_at is null;

-- Programs of others that are sent the events of orders, each from its own place in the log.
create table webhook_endpoints (
    id blob primary key check (length(id) = 16),
    url text not null,
    types text not null,
    note text not null,
    secret text not null,
    previous_secret text,
    rotated_at integer,
    state text not null check (state = 'active' or state = 'paused' or state = 'closed'),
    trouble text not null,
    position integer not null,
    failures integer not null,
    failing_since integer,
    next_attempt_at integer,
    created_at integer not null,
    revision integer not null
) strict, without rowid;

-- What became of each event that was sent to an endpoint; kept for a while.
create table webhook_deliveries (
    endpoint_id blob not null references webhook_endpoints (id) on delete cascade,
    position integer not null,
    order_id blob not null,
    event_type text not null,
    state text not null check (state = 'delivered' or state = 'waiting' or state = 'failed'),
    attempts integer not null,
    last_at integer not null,
    next_at integer check ((state = 'waiting') = (next_at is not null)),
    took_ms integer not null,
    answer text not null,
    revision integer not null,
    primary key (endpoint_id, position)
) strict, without rowid;
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, next_at) where state = 'waiting';
create index webhook_deliveries_failed on webhook_deliveries (endpoint_id, position) where state = 'failed';
create index webhook_deliveries_by_time on webhook_deliveries (last_at) where state <> 'waiting';
