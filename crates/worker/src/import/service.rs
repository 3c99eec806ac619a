//! What an import asks of the service: the same questions, whether it comes over the API or runs within the service itself.

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::known::{KnownOrder, KnownProduct};
use super::{ApiClient, Cancelled, OrderAnswer, ProductBody};

/// The service, from an import's side. Every request may be sent again without harm.
#[async_trait]
pub trait Service: Send + Sync {
    /// Shows each product of the catalogue.
    ///
    /// # Errors
    /// If the service cannot be reached.
    async fn catalogue(&self, show: &mut (dyn FnMut(KnownProduct) + Send)) -> Result<()>;

    /// Makes products; returns how many were new.
    ///
    /// # Errors
    /// If the service cannot be reached or would not have them.
    async fn make_products(&self, import: &str, products: &[ProductBody<'_>]) -> Result<u64>;

    /// The order of this reference.
    ///
    /// # Errors
    /// If the service cannot be reached.
    async fn find_order(&self, reference: &str) -> Result<Option<Uuid>>;

    /// An order that was found.
    ///
    /// # Errors
    /// If the service cannot be reached, or does not know the order.
    async fn order(&self, order_id: Uuid) -> Result<KnownOrder>;

    /// Sends an order under a key.
    ///
    /// # Errors
    /// If the service cannot be reached, or answers what it never should.
    async fn create_order(&self, key: &str, body: Bytes) -> Result<OrderAnswer>;

    /// Cancels an order in the customer's name.
    ///
    /// # Errors
    /// If the service cannot be reached, or does not know the order.
    async fn cancel_order(&self, order_id: Uuid, actor: &str, note: &str) -> Result<Cancelled>;
}

#[async_trait]
impl Service for ApiClient {
    async fn catalogue(&self, show: &mut (dyn FnMut(KnownProduct) + Send)) -> Result<()> {
        self.each_product(show).await
    }

    async fn make_products(&self, import: &str, products: &[ProductBody<'_>]) -> Result<u64> {
        self.put_products(import, products).await
    }

    async fn find_order(&self, reference: &str) -> Result<Option<Uuid>> {
        Self::find_order(self, reference).await
    }

    async fn order(&self, order_id: Uuid) -> Result<KnownOrder> {
        Self::order(self, order_id).await
    }

    async fn create_order(&self, key: &str, body: Bytes) -> Result<OrderAnswer> {
        Self::create_order(self, key, body).await
    }

    async fn cancel_order(&self, order_id: Uuid, actor: &str, note: &str) -> Result<Cancelled> {
        Self::cancel_order(self, order_id, actor, note).await
    }
}
