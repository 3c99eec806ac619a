-- How often a timer has fired without its message being handled. Its row stays until that message was.
alter table timers add column fired bigint not null default 0 check (fired >= 0);

-- Orders under way whose last timer was taken out when it fired, and whose message may be lost: they get that timer once
-- more, due now. If the message still comes, the second firing is a repeat.
insert into timers (correlation_id, name, generation, due_at, kind, traceparent, fired)
    select correlation_id,
        case state when 'created' then 'order' when 'paid' then 'shipping' when 'shipped' then 'delivery_poll'
            when 'compensating' then 'undo' else 'payment' end,
        timer_generation, (extract(epoch from clock_timestamp()) * 1000000)::bigint, 'OrderTimeoutEvent', null, 0
    from order_saga s
    where is_open and state <> 'needs_attention'
        and not exists (select from timers t where t.correlation_id = s.correlation_id);

-- Which database this is, for whoever meets several: a broker's virtual host belongs to one.
create table identity (
    only_row integer primary key check (only_row = 1),
    database_id uuid not null
);
insert into identity values (1, gen_random_uuid());
