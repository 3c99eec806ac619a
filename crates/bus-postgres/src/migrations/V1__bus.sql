-- The tables of the bus on PostgreSQL 15 and later. Times are microseconds since the epoch, and closed sets are stored under
-- their names.
--
-- When tables are vacuumed. By default after a change of a fifth of a table: the more rows there are the later, and the more at
-- once, of pages that have left memory long before. A vacuum reads the pages that have changed since the last one, and
-- passes over the indexes as long as few pages have lost a row, so that many small ones read no more than a few large ones do.
-- What is swept loses as many rows as it gets, however many it keeps.

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

-- Counts: messages by queue, and whatever the user of the bus counts.
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

-- Messages from outside that were seen. In order of time, so that the oldest are swept from one end.
create table inbox (
    position bigint generated always as identity primary key,
    source text not null,
    id text not null,
    seen_at bigint not null,
    unique (source, id)
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);

-- Outgoing messages, which are also the queues where no broker is: one row for each queue that wants the message, gone with
-- the transaction that handles it. A row for a broker has no queue. A row is worked on by the instance that claimed it; one
-- that is claimed from the start, by the instance that wrote it, never enters the index of those to be claimed.
-- A row may hold many messages for a broker. Such a row is written in one piece, as it is.
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
    claimed_by uuid,
    messages bigint not null default 1 check (messages > 0)
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0,
    toast_tuple_target = 8128
);
alter table outbox alter column body set storage external;
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

-- Timers that are running: one for each saga and name. 'fired' says how often a timer has fired without its message being
-- handled; its row stays until that message was.
create table timers (
    correlation_id uuid not null,
    name text not null,
    generation bigint not null,
    due_at bigint not null,
    kind text not null,
    traceparent text,
    fired bigint not null default 0 check (fired >= 0),
    primary key (correlation_id, name)
) with (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0
);
create index timers_due on timers (due_at);

-- Messages that could not be handled. 'group_key' is the same for all of one queue and kind whose errors differ in ids, numbers
-- and quoted texts only.
create table dead_letters (
    position bigint generated always as identity primary key,
    reason text not null,
    died_at bigint not null,
    group_key bigint not null,
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
create index dead_letters_by_group on dead_letters (group_key, position);
create index dead_letters_by_message on dead_letters (message_id);

-- Dead letters that a person has put away for good, with their positions. Nobody is told of them any more; they can be put back.
create table archived_dead_letters (
    position bigint primary key,
    reason text not null,
    died_at bigint not null,
    group_key bigint not null,
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
    archived_at bigint not null,
    archived_by text not null,
    archive_note text not null
);
create index archived_dead_letters_by_message on archived_dead_letters (message_id);

-- How far the tables that are swept from their old end have been swept. The index of a table that is swept begins with entries
-- of rows that are gone, until they are vacuumed; a sweep that began there would step over all of them. Whoever sweeps
-- holds the row, so one process does at a time.
create table sweeps (
    swept text primary key,
    position bigint not null
);
insert into sweeps values ('inbox', 0);

-- When the next call of an outside party may be made, in microseconds since 1970 by the server's clock: the budget of calls that
-- all workers share. There is a row for each party that has a budget.
create table call_slots (
    party text primary key,
    next_free bigint not null
);

-- Sagas of users who keep them in no table of their own: one row for each instance, its state as JSON.
create table sagas (
    saga text not null,
    correlation_id uuid not null,
    state bytea not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (saga, correlation_id)
) with (fillfactor = 50);

-- Queues that a person has paused: no process takes anything from them.
create table paused_queues (
    queue text primary key,
    paused_at bigint not null,
    paused_by text not null,
    note text not null
) with (fillfactor = 50);

-- Processes that work or worked on this database, as each says of itself; 'queues' is what it reads, as JSON.
create table workers (
    worker_id uuid primary key,
    version text not null,
    host text not null,
    process_id bigint not null,
    started_at bigint not null,
    seen_at bigint not null,
    left_at bigint,
    queues text not null
) with (fillfactor = 50);

-- Which database this is, for whoever meets several: a broker's virtual host belongs to one.
create table identity (
    only_row integer primary key check (only_row = 1),
    database_id uuid not null
);
insert into identity values (1, gen_random_uuid());
