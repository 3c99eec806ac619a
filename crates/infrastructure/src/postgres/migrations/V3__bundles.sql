-- A row of the outbox may hold many messages for a broker. Such a row is written in one piece, as it is.
alter table outbox add column messages bigint not null default 1 check (messages > 0);
alter table outbox alter column body set storage external;
alter table outbox set (toast_tuple_target = 8128);
