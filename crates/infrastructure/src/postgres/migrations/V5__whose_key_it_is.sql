-- A client's key belongs to its caller: '*' stands where it was used before that was kept, and may be anybody's. A worker of
-- an earlier release says nothing of callers and goes on writing such rows.
alter table idempotency add column caller text not null default '*';
alter table idempotency drop constraint idempotency_idempotency_key_key;
create unique index idempotency_by_key on idempotency (idempotency_key, caller);

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
alter table sweeps drop constraint sweeps_swept_check;
alter table sweeps add check (swept in ('inbox', 'idempotency', 'kept_answers'));
insert into sweeps values ('kept_answers', 0);

-- A reference belongs to whoever gave it; null where it was given before that was kept, and may be anybody's.
alter table orders add column reference_source text;
drop index orders_by_external_reference;
create unique index orders_by_external_reference on orders (external_reference, coalesce(reference_source, '*'))
    where external_reference is not null;
