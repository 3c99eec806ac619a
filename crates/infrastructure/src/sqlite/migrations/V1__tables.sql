-- The tables of Orderwright on SQLite. Ids are 16-byte blobs that sort by time, times are microseconds since the epoch,
-- money is minor units with an ISO 4217 code, and closed sets are stored under their names. Sets are checked by 'or' and
-- not by 'in', for which SQLite would build a temporary table with every single row.

-- The last position given to a row of any ledger or queue. One row: two processes take turns on it, and no position is
-- ever given twice, even after the rows that had it are gone.
create table positions (
    only_row integer primary key check (only_row = 1),
    last_position integer not null check (last_position >= 0)
);
insert into positions values (1, 0);

-- Counts over everything, kept as they change: orders by status, messages by queue, money by currency.
create table tallies (
    subject text not null,
    name text not null,
    amount integer not null,
    primary key (subject, name)
) without rowid;

-- The catalogue.
create table products (
    product_id blob primary key check (length(product_id) = 16),
    sku text not null unique,
    name text not null,
    description text not null,
    price_minor integer not null check (price_minor >= 0),
    currency text not null check (length(currency) = 3),
    availability text not null check (availability = 'active' or availability = 'discontinued'),
    created_at integer not null,
    updated_at integer not null check (updated_at >= created_at)
) without rowid;

-- The stock of each product: the sums of its ledger.
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
    check (available_stock + reserved_stock + shipped = received + adjusted)
) without rowid;
create index inventory_low on inventory (product_id) where available_stock <= reorder_level;

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
        status = 'pending' or status = 'validated' or status = 'payment_processing' or status = 'paid'
            or status = 'shipped' or status = 'delivered' or status = 'cancelled'
    ),
    is_open integer check (is_open = 1),
    total_minor integer not null check (total_minor >= 0),
    currency text not null check (length(currency) = 3),
    created_at integer not null,
    updated_at integer not null check (updated_at >= created_at),
    external_reference text,
    payment_token text
) without rowid;
create index orders_open on orders (order_id) where is_open = 1;
create index orders_by_customer on orders (customer_id, order_id);
create unique index orders_by_external_reference on orders (external_reference) where external_reference is not null;

-- The lines of each order.
create table order_items (
    order_id blob not null references orders (order_id),
    ordinal integer not null check (ordinal >= 0),
    order_item_id blob not null,
    product_id blob not null,
    sku text not null,
    quantity integer not null check (quantity > 0),
    unit_price_minor integer not null check (unit_price_minor >= 0),
    currency text not null,
    primary key (order_id, ordinal)
) without rowid;

-- Why an order was called off; one for each cancelled order.
create table cancellations (
    order_id blob primary key references orders (order_id),
    reason text not null,
    actor text not null,
    note text not null,
    at integer not null
) without rowid;

-- One saga for each order. 'is_open' is null once the saga is final, which takes the row out of the index.
create table order_saga (
    correlation_id blob primary key check (length(correlation_id) = 16),
    order_id blob not null,
    version integer not null,
    state text not null check (
        state = 'created' or state = 'inventory_reserved' or state = 'payment_processing' or state = 'paid'
            or state = 'shipped' or state = 'completed' or state = 'failed' or state = 'compensating'
            or state = 'needs_attention'
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
    expires_at integer not null
) without rowid;
create index order_saga_open on order_saga (correlation_id) where is_open = 1;

-- The money of each order.
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
    updated_at integer not null
) without rowid;
create index payments_open on payments (order_id) where status = 'requested' or status = 'unknown'
    or status = 'authorised' or status = 'refunding';

-- The parcel of each order.
create table shipments (
    order_id blob primary key check (length(order_id) = 16),
    idempotency_key text not null,
    status text not null,
    tracking_number text,
    carrier text,
    created_at integer not null,
    updated_at integer not null
) without rowid;
create index shipments_open on shipments (order_id) where status = 'requested' or status = 'unknown'
    or status = 'booked';

-- What happened to each order; only ever added to. Kept together by order, so that a timeline is one stretch.
create table order_history (
    order_id blob not null,
    position integer not null,
    at integer not null,
    event text not null,
    status text,
    saga_state text,
    detail text,
    primary key (order_id, position)
) without rowid;

-- Answers given under a client's key. In order of time, so that the oldest are swept from one end.
create table idempotency (
    position integer primary key,
    idempotency_key text not null unique,
    request_digest blob not null check (length(request_digest) = 32),
    order_id blob not null,
    total_minor integer not null,
    currency text not null,
    created_at integer not null
);

-- Messages from outside that were seen. In order of time, so that the oldest are swept from one end.
create table inbox (
    position integer primary key,
    source text not null,
    id text not null,
    seen_at integer not null,
    unique (source, id)
);

-- Outgoing messages, which are also the queues of a process that needs no broker: one row for each queue that wants the
-- message, gone with the transaction that handles it. A row for a broker has no queue; a relay leases it.
create table outbox (
    position integer primary key,
    queue text not null,
    message_id blob not null,
    kind text not null,
    correlation_id blob not null,
    causation_id blob,
    conversation_id blob not null,
    traceparent text,
    sent_at integer not null,
    attempt integer not null,
    body blob not null,
    leased_by blob,
    leased_until integer
);

-- Messages that come again: delayed ones when they are due, parked ones when their saga moves on or, at the latest, then.
create table delayed_messages (
    position integer primary key,
    waiting text not null check (waiting = 'delayed' or waiting = 'parked'),
    due_at integer not null,
    reason text,
    queue text not null,
    message_id blob not null,
    kind text not null,
    correlation_id blob not null,
    causation_id blob,
    conversation_id blob not null,
    traceparent text,
    sent_at integer not null,
    attempt integer not null,
    body blob not null
);
create index delayed_messages_due on delayed_messages (due_at);
create index delayed_messages_parked on delayed_messages (correlation_id) where waiting = 'parked';

-- Timers that are running: one for each saga and name.
create table timers (
    correlation_id blob not null,
    name text not null,
    generation integer not null,
    due_at integer not null,
    kind text not null,
    traceparent text,
    primary key (correlation_id, name)
) without rowid;
create index timers_due on timers (due_at);

-- Messages that could not be handled.
create table dead_letters (
    position integer primary key,
    reason text not null,
    died_at integer not null,
    queue text not null,
    message_id blob not null,
    kind text not null,
    correlation_id blob not null,
    causation_id blob,
    conversation_id blob not null,
    traceparent text,
    sent_at integer not null,
    attempt integer not null,
    body blob not null
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
