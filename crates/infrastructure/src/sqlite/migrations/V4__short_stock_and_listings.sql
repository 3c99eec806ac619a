-- Stock that was promised to orders and is not there: a count may find less than is set aside. Nothing is available then, and
-- whatever comes in, comes back or is found makes that good first. A check of a table cannot be altered, so the table is
-- made anew.
create table inventory_with_short (
    product_id blob primary key references products (product_id),
    available_stock integer not null check (available_stock >= 0),
    reserved_stock integer not null check (reserved_stock >= 0),
    shipped integer not null check (shipped >= 0),
    received integer not null check (received >= 0),
    adjusted integer not null,
    reorder_level integer not null check (reorder_level >= 0),
    last_updated integer not null,
    last_movement integer,
    short_stock integer not null default 0 check (short_stock >= 0),
    check (available_stock + reserved_stock + shipped = received + adjusted + short_stock),
    check (available_stock = 0 or short_stock = 0)
) without rowid;
insert into inventory_with_short
    select product_id, available_stock, reserved_stock, shipped, received, adjusted, reorder_level, last_updated,
        last_movement, 0
    from inventory;
drop table inventory;
alter table inventory_with_short rename to inventory;
create index inventory_low on inventory (product_id) where available_stock <= reorder_level;
create index inventory_short on inventory (product_id) where short_stock > 0;

-- Orders by their last change. An order enters when it is closed and never leaves: open ones are few, and are found by their
-- own index, so that no step of an order but its last touches this one.
create index orders_closed_by_change on orders (updated_at) where is_open is null;

-- The order that a tracking number belongs to.
create index if not exists shipments_by_tracking_number on shipments (tracking_number) where tracking_number is not null;
