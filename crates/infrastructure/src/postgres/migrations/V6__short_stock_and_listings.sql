-- Stock that was promised to orders and is not there: a count may find less than is set aside. Nothing is available then, and
-- whatever comes in, comes back or is found makes that good first. The old check has the name that the server gave it.
alter table inventory add column short_stock bigint not null default 0 check (short_stock >= 0);
alter table inventory drop constraint inventory_check;
alter table inventory add constraint inventory_conserved
    check (available_stock + reserved_stock + shipped = received + adjusted + short_stock);
alter table inventory add constraint inventory_honest check (available_stock = 0 or short_stock = 0);
create index inventory_short on inventory (product_id) where short_stock > 0;

-- Orders by their last change. 'closed_at' is that of a closed order; it stays empty while the status still moves, so that
-- moves touch no index. Open orders are few, and are found by their own index.
alter table orders add column closed_at bigint
    generated always as (case when status in ('delivered', 'cancelled') then updated_at end) stored;
create index orders_closed_by_change on orders (closed_at, order_id) where closed_at is not null;

-- The order that a tracking number belongs to.
create index if not exists shipments_by_tracking_number on shipments (tracking_number) where tracking_number is not null;
