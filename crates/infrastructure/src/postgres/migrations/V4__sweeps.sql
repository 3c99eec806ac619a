-- How far the tables that are swept from their old end have been swept. The index of a table that is swept begins with entries
-- of rows that are gone, until they are vacuumed; a sweep that began there would step over all of them. Whoever sweeps
-- holds the row, so one process does at a time.
create table sweeps (
    swept text primary key check (swept in ('inbox', 'idempotency')),
    position bigint not null
);
insert into sweeps values ('inbox', 0), ('idempotency', 0);

-- When tables are vacuumed. By default after a change of a fifth of a table: the more orders there are the later, and the more
-- at once, of pages that have left memory long before. A vacuum reads the pages that have changed since the last one, and
-- passes over the indexes as long as few pages have lost a row, so that many small ones read no more than a few large ones do.
--
-- What is swept loses as many rows as it gets, however many it keeps.
alter table inbox set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);
alter table idempotency set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);

-- What is only ever added to: a page that is full never changes again, and is vacuumed while it is still in memory.
alter table order_items set (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);
alter table order_history set (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);
alter table stock_movements set (
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 200000
);

-- What changes until its order has ended, and then rests: a share of the table, because an index that has to be vacuumed is
-- read whole, but a small one, because what is left of closed orders lies before the open ones in their index.
alter table orders set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
alter table order_saga set (autovacuum_vacuum_scale_factor = 0.02);
alter table payments set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
alter table shipments set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
