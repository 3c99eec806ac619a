-- What the gateway told of each payment beyond our own calls: refunds that were told by events, and disputes.
alter table payments add column refund_told_minor integer not null default 0 check (refund_told_minor between 0 and refunded_minor);
alter table payments add column dispute text check (dispute = 'open' or dispute = 'won' or dispute = 'lost');

-- What a person is asked about, where it is not an undoing that does not get on.
alter table order_saga add column attention text;

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
    occurred_at integer not null,
    received_at integer not null,
    seen_at integer,
    seen_by text,
    note text,
    unique (provider, event_id),
    check ((seen_at is null) = (seen_by is null) and (seen_at is null) = (note is null))
) strict;
create index unmatched_events_unseen on unmatched_events (position) where seen_at is null;
