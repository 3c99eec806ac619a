-- What the gateway told of each payment beyond our own calls: refunds that were told by events, and disputes. No row is
-- looked at or rewritten for it: a constant default and an unchecked column are facts about the table alone.
alter table payments add column refund_told_minor bigint not null default 0;
alter table payments add column dispute text;

-- What a person is asked about, where it is not an undoing that does not get on.
alter table order_saga add column attention text;

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
    occurred_at bigint not null,
    received_at bigint not null,
    seen_at bigint,
    seen_by text,
    note text,
    unique (provider, event_id),
    check ((seen_at is null) = (seen_by is null) and (seen_at is null) = (note is null))
);
create index unmatched_events_unseen on unmatched_events (position) where seen_at is null;
