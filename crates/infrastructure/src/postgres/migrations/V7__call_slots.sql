-- When the next call of an outside party may be made, in microseconds since 1970 by the server's clock: the budget of calls that
-- all workers share. There is a row for each party that has a budget.
create table call_slots (
    party text primary key,
    next_free bigint not null
);
