//! Tells orders that wait for goods that some may be there. Whatever frees units says so, and only if somebody waits for them.

use bus::{CorrelationId, Envelope, Fault, Message, MessageId};
use domain::ProductId;

use crate::context::Context;
use crate::messages::StockArrived;
use crate::ports::UnitOfWork;

/// The message about these products, if an order waits for one of them.
pub(crate) async fn news_of(
    unit: &mut dyn UnitOfWork,
    products: &[ProductId],
) -> Result<Option<StockArrived>, Fault> {
    if products.is_empty() || unit.orders().awaiting_stock(products, None, 1).await?.is_empty() {
        return Ok(None);
    }
    let mut product_ids: Vec<_> = products.iter().map(|product| product.0).collect();
    product_ids.sort_unstable();
    product_ids.dedup();
    Ok(Some(StockArrived { product_ids }))
}

/// Tells it for a command.
pub(crate) async fn tell_who_waits(
    unit: &mut dyn UnitOfWork,
    context: &Context,
    products: &[ProductId],
) -> Result<(), Fault> {
    let Some(news) = news_of(unit, products).await? else { return Ok(()) };
    let now = context.clock.now();
    let id = MessageId(context.ids.next(now));
    let envelope: Envelope = news.first(id, CorrelationId(id.0), now);
    unit.publish(vec![envelope]).await
}
