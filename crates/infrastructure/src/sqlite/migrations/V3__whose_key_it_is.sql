-- A client's key belongs to its caller: '*' stands where it was used before that was kept, and may be anybody's.
create table idempotency_of_callers (
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
insert into idempotency_of_callers
    select position, idempotency_key, '*', request_digest, order_id, total_minor, currency, created_at from idempotency;
drop table idempotency;
alter table idempotency_of_callers rename to idempotency;

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

-- A reference belongs to whoever gave it; null where it was given before that was kept, and may be anybody's.
alter table orders add column reference_source text;
drop index orders_by_external_reference;
create unique index orders_by_external_reference on orders (external_reference, coalesce(reference_source, '*'))
    where external_reference is not null;
