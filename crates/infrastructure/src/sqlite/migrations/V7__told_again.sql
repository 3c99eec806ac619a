-- How often a timer has fired without its message being handled. Its row stays until that message was.
alter table timers add column fired integer not null default 0 check (fired >= 0);

-- Orders under way whose last timer was taken out when it fired, and whose message may be lost: they get that timer once
-- more, due now. If the message still comes, the second firing is a repeat.
insert into timers (correlation_id, name, generation, due_at, kind, traceparent, fired)
    select correlation_id,
        case state when 'created' then 'order' when 'paid' then 'shipping' when 'shipped' then 'delivery_poll'
            when 'compensating' then 'undo' else 'payment' end,
        timer_generation, cast(unixepoch() as integer) * 1000000, 'OrderTimeoutEvent', null, 0
    from order_saga s
    where is_open = 1 and state <> 'needs_attention'
        and not exists (select 1 from timers t where t.correlation_id = s.correlation_id);

-- Which database this is, for whoever meets several: a broker's virtual host belongs to one.
create table identity (
    only_row integer primary key check (only_row = 1),
    database_id blob not null check (length(database_id) = 16)
) strict;
insert into identity values (1, randomblob(16));
