//! Listings of orders as statements that both engines understand but for a few words. Orders are sought by place and never
//! counted past; what no index knows is looked for among so many orders a page, and the next page goes on behind them.
//! Knows no connection.

use application::ports::{OrderFilter, OrderPage, OrderPlace, OrderView};
use application::saga::SagaState;
use domain::text::composed;
use domain::{OrderId, OrderStatus, ProductId, Sku};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Orders that one page looks at where no index leads straight to those that are meant.
pub(crate) const LOOKED_AT_MAX: usize = 3_000;

/// A value for a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text.
    Text(String),
    /// An id.
    Id(Uuid),
    /// A number, or a moment in microseconds.
    Number(i64),
}

/// A statement with its values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The text.
    pub(crate) sql: String,
    /// Its values, by number.
    pub(crate) values: Vec<Value>,
}

/// In what the engines differ.
pub(crate) struct Dialect {
    /// What stands before the number of a value.
    pub(crate) mark: char,
    /// What is shown of an order, from `o` and what is joined to it.
    pub(crate) columns: &'static str,
    /// What is joined to `o`.
    pub(crate) joins: &'static str,
    /// Orders `o` that may be of this status, read by the smallest index that has them all.
    pub(crate) orders_of: fn(Option<OrderStatus>) -> &'static str,
    /// Closed orders `o`, by their index.
    pub(crate) closed: &'static str,
    /// Open orders `o`, by their index.
    pub(crate) open: &'static str,
    /// Orders `o` whose saga is open, by the index of those sagas.
    pub(crate) in_progress: &'static str,
    /// Orders `o` whose saga waits for a person, by the index of those sagas.
    pub(crate) in_need: &'static str,
    /// The column of the index of closed orders that tells when they last changed.
    pub(crate) closed_at: &'static str,
}

/// The statement that finds the last order, as id and time of change, that a page may look at; it finds none if the page may
/// look at all. No statement if those that are meant are found straight away.
pub(crate) fn boundary(
    dialect: &Dialect,
    filter: &OrderFilter,
    product: Option<ProductId>,
) -> Option<Statement> {
    if !is_sparse(filter, product) {
        return None;
    }
    let mut making = Making::new(dialect);
    let last = LOOKED_AT_MAX - 1;
    let direction = direction(filter);
    let sql = if filter.sort.is_by_change() {
        let at = dialect.closed_at;
        making.seek_by_change(filter, at, None);
        let (orders, conditions) = (dialect.closed, making.conditions());
        format!(
            "select o.order_id, o.updated_at from {orders} where {conditions}
             order by {at} {direction}, o.order_id {direction} limit 1 offset {last}"
        )
    } else {
        making.seek_by_id(filter, None);
        if let Some(customer) = &filter.customer_id {
            making.and("o.customer_id =", Value::Text(customer.clone()));
        }
        let (orders, conditions) = (orders(dialect, filter), making.conditions());
        format!(
            "select o.order_id, o.updated_at from {orders} where {conditions}
             order by o.order_id {direction} limit 1 offset {last}"
        )
    };
    Some(Statement { sql, values: making.values })
}

/// The statement that reads up to `rows_max` orders, none behind the boundary.
pub(crate) fn rows(
    dialect: &Dialect,
    filter: &OrderFilter,
    product: Option<ProductId>,
    boundary: Option<OrderPlace>,
    rows_max: i64,
) -> Statement {
    if let Some(text) = &filter.find {
        found(dialect, filter, &names(text, product), boundary, rows_max)
    } else if filter.sort.is_by_change() {
        by_change(dialect, filter, boundary, rows_max)
    } else {
        by_id(dialect, filter, boundary, rows_max)
    }
}

/// The page that these orders make, of which one more was read than it may hold.
pub(crate) fn page(mut items: Vec<OrderView>, max: usize, boundary: Option<OrderPlace>) -> OrderPage {
    let next = if items.len() > max {
        items.truncate(max);
        items.last().map(place)
    } else {
        boundary
    };
    OrderPage { items, next }
}

fn place(order: &OrderView) -> OrderPlace {
    OrderPlace { order_id: OrderId(order.order_id), updated_at: order.updated_at }
}

/// The product that a text may name; whether there is one is for the store to say. Only then are its orders looked for, because
/// no index leads to them.
pub(crate) fn product_named(filter: &OrderFilter) -> Option<ProductId> {
    filter.find.as_deref().and_then(|text| Sku::parse(text).ok()).map(|sku| ProductId::of(&sku))
}

/// One way in which a text may name orders.
struct Name {
    /// Where those orders lie.
    orders: &'static str,
    /// What tells them; the value stands where the braces are.
    condition: &'static str,
    /// The value.
    value: Value,
}

/// Every way in which a text may name orders.
fn names(text: &str, product: Option<ProductId>) -> Vec<Name> {
    let value = Value::Text(text.to_owned());
    let reference = Value::Text(composed(text).into_owned());
    let name = |orders, condition, value| Name { orders, condition, value };
    let mut all = vec![
        name("orders o", "o.external_reference = {}", reference),
        name("orders o", "o.customer_id = {}", value.clone()),
        name(
            "shipments f cross join orders o",
            "f.tracking_number = {} and o.order_id = f.order_id",
            value.clone(),
        ),
        name(
            "payments f cross join orders o",
            "f.provider_reference = {} and o.order_id = f.order_id",
            value,
        ),
    ];
    if let Ok(id) = text.parse::<OrderId>() {
        all.push(name("orders o", "o.order_id = {}", Value::Id(id.0)));
    }
    if let Some(product) = product {
        let line = "exists (select 1 from order_items i where i.order_id = o.order_id and i.product_id = {})";
        all.push(name("orders o", line, Value::Id(product.0)));
    }
    all
}

/// What a text names, each kind by its own index and no more of it than the page may hold; together each order once.
fn found(
    dialect: &Dialect,
    filter: &OrderFilter,
    names: &[Name],
    boundary: Option<OrderPlace>,
    rows_max: i64,
) -> Statement {
    let mut making = Making::new(dialect);
    let limit = making.bind(Value::Number(rows_max));
    let direction = direction(filter);
    let mut branches = Vec::new();
    for Name { orders, condition, value } in names {
        making.conditions.clear();
        making.seek_by_id(filter, boundary);
        let number = making.bind(value.clone());
        making.conditions.push(condition.replace("{}", &number));
        making.narrow(filter);
        making.changed_within(filter);
        let conditions = making.conditions();
        branches.push(format!(
            "select * from (select o.order_id from {orders} where {conditions}
             order by o.order_id {direction} limit {limit}) as branch"
        ));
    }
    let (Dialect { columns, joins, .. }, branches) = (dialect, branches.join(" union "));
    let sql = format!(
        "{columns} from ({branches}) as w cross join orders o {joins} where o.order_id = w.order_id
         order by w.order_id {direction} limit {limit}"
    );
    Statement { sql, values: making.values }
}

fn by_id(dialect: &Dialect, filter: &OrderFilter, boundary: Option<OrderPlace>, rows_max: i64) -> Statement {
    let mut making = Making::new(dialect);
    making.seek_by_id(filter, boundary);
    making.narrow(filter);
    making.changed_within(filter);
    let (orders, conditions, direction) = (orders(dialect, filter), making.conditions(), direction(filter));
    let limit = making.bind(Value::Number(rows_max));
    let Dialect { columns, joins, .. } = dialect;
    let sql = format!(
        "{columns} from {orders} {joins} where {conditions} order by o.order_id {direction} limit {limit}"
    );
    Statement { sql, values: making.values }
}

/// Closed orders by their index, open ones out of all of them, and the first of both together; or those that another index
/// leads to, sorted.
fn by_change(
    dialect: &Dialect,
    filter: &OrderFilter,
    boundary: Option<OrderPlace>,
    rows_max: i64,
) -> Statement {
    let mut making = Making::new(dialect);
    let limit = making.bind(Value::Number(rows_max));
    let direction = direction(filter);
    let mut branches = Vec::new();
    for (orders, at) in sources_by_change(dialect, filter) {
        making.conditions.clear();
        making.seek_by_change(filter, at, boundary);
        making.narrow(filter);
        let conditions = making.conditions();
        branches.push(format!(
            "select * from (select o.order_id, o.updated_at from {orders} where {conditions}
             order by {at} {direction}, o.order_id {direction} limit {limit}) as branch"
        ));
    }
    let (Dialect { columns, joins, .. }, branches) = (dialect, branches.join(" union all "));
    let sql = format!(
        "{columns} from ({branches}) as w cross join orders o {joins} where o.order_id = w.order_id
         order by w.updated_at {direction}, w.order_id {direction} limit {limit}"
    );
    Statement { sql, values: making.values }
}

/// Where a listing by change finds its orders, and the column that tells when each changed.
fn sources_by_change(dialect: &Dialect, filter: &OrderFilter) -> Vec<(&'static str, &'static str)> {
    let (closed, open) = ((dialect.closed, dialect.closed_at), (dialect.open, "o.updated_at"));
    if let Some(orders) = of_saga(dialect, filter) {
        return vec![(orders, "o.updated_at")];
    }
    match filter.status {
        _ if is_found_otherwise(filter) => vec![("orders o", "o.updated_at")],
        Some(status) if status.is_terminal() => vec![closed],
        Some(_) => vec![open],
        None => vec![closed, open],
    }
}

/// Whether an index leads to the few orders that can be meant, whatever their order.
const fn is_found_otherwise(filter: &OrderFilter) -> bool {
    filter.customer_id.is_some() || filter.external_reference.is_some() || filter.tracking_number.is_some()
}

/// The orders whose saga is open, if its state is asked for and no better index leads to them.
fn of_saga(dialect: &Dialect, filter: &OrderFilter) -> Option<&'static str> {
    let state = filter.saga_state.filter(|state| !is_found_otherwise(filter) && !state.is_final())?;
    Some(if state == SagaState::NeedsAttention { dialect.in_need } else { dialect.in_progress })
}

/// The orders that a listing by acceptance reads.
fn orders(dialect: &Dialect, filter: &OrderFilter) -> &'static str {
    if filter.find.is_some() {
        return "orders o";
    }
    if let Some(orders) = of_saga(dialect, filter) {
        return orders;
    }
    (dialect.orders_of)(filter.status.filter(|_| !is_found_otherwise(filter)))
}

const fn direction(filter: &OrderFilter) -> &'static str {
    if filter.sort.is_descending() { "desc" } else { "asc" }
}

/// Whether something is asked for that the index which gives the order does not know.
fn is_sparse(filter: &OrderFilter, product: Option<ProductId>) -> bool {
    if filter.find.is_some() {
        return product.is_some();
    }
    let is_of_final = filter.saga_state.is_some_and(SagaState::is_final);
    let is_in_progress = filter.saga_state.is_some() && !is_of_final;
    let of_acceptance = filter.created_from.is_some() || filter.created_before.is_some();
    let of_change = filter.updated_from.is_some() || filter.updated_before.is_some();
    if filter.sort.is_by_change() {
        let is_of_closed = filter.status.is_none_or(OrderStatus::is_terminal) && !is_in_progress;
        let is_narrowed = filter.sku.is_some() || filter.status.is_some() || of_acceptance || is_of_final;
        is_of_closed && is_narrowed && !is_found_otherwise(filter)
    } else {
        let is_one = filter.external_reference.is_some() || filter.tracking_number.is_some();
        let is_of_saga =
            is_of_final || (is_in_progress && filter.saga_state != Some(SagaState::NeedsAttention));
        !is_one && (filter.sku.is_some() || of_change || is_of_saga)
    }
}

/// That an order has such a row. Asked order by order: as `exists`, a planner that thinks such rows rare may read their whole table.
fn of_each(table: &str, condition: &str) -> String {
    format!("(select true from {table} where {condition} limit 1)")
}

/// A statement in the making.
struct Making<'a> {
    dialect: &'a Dialect,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl<'a> Making<'a> {
    const fn new(dialect: &'a Dialect) -> Self {
        Self { dialect, conditions: Vec::new(), values: Vec::new() }
    }

    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("{}{}", self.dialect.mark, self.values.len())
    }

    fn and(&mut self, condition: &str, value: Value) {
        let number = self.bind(value);
        self.conditions.push(format!("{condition} {number}"));
    }

    fn and_place(&mut self, at: &str, relation: &str, place: OrderPlace) {
        let moment = self.bind(Value::Number(place.updated_at.as_microsecond()));
        let id = self.bind(Value::Id(place.order_id.0));
        self.conditions.push(format!("({at}, o.order_id) {relation} ({moment}, {id})"));
    }

    fn conditions(&self) -> String {
        self.conditions.join(" and ")
    }

    /// Orders past the place that was reached, accepted within the time asked about as far as ids tell, and not behind the
    /// boundary. One bound on either side and no more: SQLite goes by the first that it finds, and reads on to the end.
    fn seek_by_id(&mut self, filter: &OrderFilter, boundary: Option<OrderPlace>) {
        let (mut above, mut below) = (
            filter.created_from.map_or(Uuid::nil(), first_id_accepted_from),
            filter.created_before.map(first_id_accepted_after),
        );
        let is_descending = filter.sort.is_descending();
        if let Some(place) = filter.after {
            if is_descending {
                below = Some(below.map_or(place.order_id.0, |below| below.min(place.order_id.0)));
            } else {
                above = above.max(place.order_id.0);
            }
        }
        // The boundary is itself past the place and within the time.
        match boundary {
            Some(boundary) if is_descending => self.and("o.order_id >=", Value::Id(boundary.order_id.0)),
            Some(_) | None => self.and("o.order_id >", Value::Id(above)),
        }
        match (boundary, below) {
            (Some(boundary), _) if !is_descending => {
                self.and("o.order_id <=", Value::Id(boundary.order_id.0));
            }
            (_, Some(below)) => self.and("o.order_id <", Value::Id(below)),
            (_, None) => {}
        }
    }

    /// Orders past the place that was reached, changed within the time asked about, and not behind the boundary; one bound on
    /// either side. No order has the nil id, so that a place with it lies before all of its moment.
    fn seek_by_change(&mut self, filter: &OrderFilter, at: &str, boundary: Option<OrderPlace>) {
        let edge = |moment: Timestamp| OrderPlace { order_id: OrderId(Uuid::nil()), updated_at: moment };
        let from = filter.updated_from.map_or_else(|| edge(Timestamp::MIN), edge);
        let before = filter.updated_before.map_or_else(|| edge(Timestamp::MAX), edge);
        let key = |place: &OrderPlace| (place.updated_at, place.order_id);
        let is_descending = filter.sort.is_descending();
        let (above, below) = match filter.after {
            Some(place) if is_descending => (from, if key(&place) < key(&before) { place } else { before }),
            Some(place) => (if key(&place) > key(&from) { place } else { from }, before),
            None => (from, before),
        };
        match boundary {
            Some(boundary) if is_descending => self.and_place(at, ">=", boundary),
            Some(_) | None => self.and_place(at, ">", above),
        }
        match boundary {
            Some(boundary) if !is_descending => self.and_place(at, "<=", boundary),
            Some(_) | None => self.and_place(at, "<", below),
        }
    }

    /// What is asked for besides place and time of change.
    fn narrow(&mut self, filter: &OrderFilter) {
        if let Some(status) = filter.status {
            self.and("o.status =", Value::Text(status.as_str().to_owned()));
        }
        if let Some(customer) = &filter.customer_id {
            self.and("o.customer_id =", Value::Text(customer.clone()));
        }
        if let Some(reference) = &filter.external_reference {
            self.and("o.external_reference =", Value::Text(reference.clone()));
        }
        if let Some(number) = &filter.tracking_number {
            let number = self.bind(Value::Text(number.clone()));
            let parcels = format!("select h.order_id from shipments h where h.tracking_number = {number}");
            self.conditions.push(format!("o.order_id in ({parcels})"));
        }
        if let Some(sku) = &filter.sku {
            let id = self.bind(Value::Id(ProductId::of(sku).0));
            let line = format!("i.order_id = o.order_id and i.product_id = {id}");
            self.conditions.push(of_each("order_items i", &line));
        }
        if let Some(state) = filter.saga_state {
            let state = self.bind(Value::Text(state.as_str().to_owned()));
            let saga = format!("g.correlation_id = o.order_id and g.state = {state}");
            self.conditions.push(of_each("order_saga g", &saga));
        }
        if let Some(from) = filter.created_from {
            self.and("o.created_at >=", Value::Number(from.as_microsecond()));
        }
        if let Some(before) = filter.created_before {
            self.and("o.created_at <", Value::Number(before.as_microsecond()));
        }
    }

    fn changed_within(&mut self, filter: &OrderFilter) {
        if let Some(from) = filter.updated_from {
            self.and("o.updated_at >=", Value::Number(from.as_microsecond()));
        }
        if let Some(before) = filter.updated_before {
            self.and("o.updated_at <", Value::Number(before.as_microsecond()));
        }
    }
}

/// How far the time within an order's id may be from the time of its acceptance; ids narrow a search by time, which is
/// then exact by the column.
const ID_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Orders accepted at or after this moment have ids above.
fn first_id_accepted_from(from: Timestamp) -> Uuid {
    first_id_at(from.saturating_sub(ID_SKEW).unwrap_or(Timestamp::MIN))
}

/// Orders accepted before this moment have ids below.
fn first_id_accepted_after(before: Timestamp) -> Uuid {
    first_id_at(before.saturating_add(ID_SKEW).unwrap_or(Timestamp::MAX))
}

/// The least id with this time in front.
fn first_id_at(at: Timestamp) -> Uuid {
    let millis = u128::try_from(at.as_millisecond()).unwrap_or(0);
    Uuid::from_u128(millis << 80)
}

#[cfg(test)]
mod tests {
    use application::ports::OrderSort;

    use super::*;

    const DIALECT: Dialect = Dialect {
        mark: '?',
        columns: "select o.order_id",
        joins: "",
        orders_of: |_| "orders o",
        closed: "closed o",
        open: "open o",
        in_progress: "in_progress o",
        in_need: "in_need o",
        closed_at: "o.updated_at",
    };

    /// SQLite goes by one bound on either side, the first that it finds: a second one is only looked at for each row.
    #[test]
    fn a_page_that_may_look_so_far_has_one_bound_on_either_side() {
        let place = OrderPlace { order_id: OrderId(Uuid::from_u128(7)), updated_at: Timestamp::UNIX_EPOCH };
        let product = Sku::parse("TEA").map(|sku| ProductId::of(&sku)).ok();
        for sort in [
            OrderSort::OldestFirst,
            OrderSort::NewestFirst,
            OrderSort::EarliestChangeFirst,
            OrderSort::LatestChangeFirst,
        ] {
            for (after, boundary) in
                [(None, None), (None, Some(place)), (Some(place), None), (Some(place), Some(place))]
            {
                for (sku, find) in [(Sku::parse("TEA").ok(), None), (None, Some("TEA".to_owned()))] {
                    let filter = OrderFilter { sort, after, sku, find, ..OrderFilter::default() };
                    let Statement { sql, .. } = rows(&DIALECT, &filter, product, boundary, 31);
                    for branch in sql.split(" from ").filter(|branch| branch.contains(" where ")) {
                        let bounds = |signs: [&str; 2]| {
                            let found = |sign: &str| {
                                branch.matches(&format!("order_id {sign} ?")).count()
                                    + branch.matches(&format!("order_id) {sign} (")).count()
                            };
                            signs.map(found).iter().sum::<usize>()
                        };
                        assert!(bounds([">", ">="]) <= 1 && bounds(["<", "<="]) <= 1, "{branch}");
                    }
                }
            }
        }
    }
}
