-- The tables of the bus on SQLite. Ids are 16-byte blobs that sort by time, times are microseconds since the epoch, and closed
-- sets are stored under their names. Sets are checked by 'or' and not by 'in', for which SQLite would build a temporary table
-- with every single row.

-- The last position given to a row of any ledger or queue. One row: two processes take turns on it, and no position is
-- ever given twice, even after the rows that had it are gone.
create table positions (
    only_row integer primary key check (only_row = 1),
    last_position integer not null check (last_position >= 0)
);
insert into positions values (1, 0);

-- Counts, kept as they change: messages by queue, and whatever the user of the bus counts.
create table tallies (
    subject text not null,
    name text not null,
    amount integer not null,
    primary key (subject, name)
) without rowid;

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

-- Timers that are running: one for each saga and name. 'fired' says how often a timer has fired without its message being
-- handled; its row stays until that message was.
create table timers (
    correlation_id blob not null,
    name text not null,
    generation integer not null,
    due_at integer not null,
    kind text not null,
    traceparent text,
    fired integer not null default 0 check (fired >= 0),
    primary key (correlation_id, name)
) without rowid;
create index timers_due on timers (due_at);

-- Messages that could not be handled. 'group_key' is the same for all of one queue and kind whose errors differ in ids, numbers
-- and quoted texts only.
create table dead_letters (
    position integer primary key,
    reason text not null,
    died_at integer not null,
    group_key integer not null,
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
create index dead_letters_by_group on dead_letters (group_key);
create index dead_letters_by_message on dead_letters (message_id);

-- Dead letters that a person has put away for good, with their positions. Nobody is told of them any more; they can be put back.
create table archived_dead_letters (
    position integer primary key,
    reason text not null,
    died_at integer not null,
    group_key integer not null,
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
    archived_at integer not null,
    archived_by text not null,
    archive_note text not null
);
create index archived_dead_letters_by_message on archived_dead_letters (message_id);

-- Sagas of users who keep them in no table of their own: one row for each instance, its state as JSON.
create table sagas (
    saga text not null,
    correlation_id blob not null,
    state blob not null,
    created_at integer not null,
    updated_at integer not null,
    primary key (saga, correlation_id)
) without rowid;

-- Queues that a person has paused: no process takes anything from them.
create table paused_queues (
    queue text primary key,
    paused_at integer not null,
    paused_by text not null,
    note text not null
) without rowid;

-- Processes that work or worked on this database, as each says of itself; 'queues' is what it reads, as JSON.
create table workers (
    worker_id blob primary key,
    version text not null,
    host text not null,
    process_id integer not null,
    started_at integer not null,
    seen_at integer not null,
    left_at integer,
    queues text not null
) without rowid;

-- Which database this is, for whoever meets several: a broker's virtual host belongs to one.
create table identity (
    only_row integer primary key check (only_row = 1),
    database_id blob not null check (length(database_id) = 16)
) strict;
insert into identity values (1, randomblob(16));
