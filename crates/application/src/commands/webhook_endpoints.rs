//! What persons do with webhook endpoints.

use async_trait::async_trait;
use bus::{Fault, Signed};
use uuid::Uuid;

use super::Command;
use crate::context::Context;
use crate::ports::{EndpointChange, Redelivery, UnitOfWork, WebhookEndpoint};

/// Add this endpoint; the reply says whether there was room for it.
pub struct AddEndpointCommand<'a> {
    /// The endpoint.
    pub endpoint: &'a WebhookEndpoint,
    /// Who asks for it.
    pub by: Signed<'a>,
}

/// Change this endpoint; the reply is what it is now, if there is such.
pub struct ChangeEndpointCommand<'a> {
    /// The endpoint.
    pub id: Uuid,
    /// What changes.
    pub change: &'a EndpointChange,
    /// Who asks for it.
    pub by: Signed<'a>,
}

/// Remove this endpoint and its deliveries; the reply says whether there was one.
pub struct RemoveEndpointCommand<'a> {
    /// The endpoint.
    pub id: Uuid,
    /// Who asks for it.
    pub by: Signed<'a>,
}

/// Send events to this endpoint once more; the reply says how many.
pub struct RedeliverCommand<'a> {
    /// The endpoint.
    pub id: Uuid,
    /// Which events.
    pub what: Redelivery,
    /// Who asks for it.
    pub by: Signed<'a>,
}

#[async_trait]
impl Command for AddEndpointCommand<'_> {
    type Reply = bool;

    const NAME: &'static str = "AddEndpointCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, _context: &Context) -> Result<bool, Fault> {
        unit.webhook_endpoints().add(self.endpoint, &self.by).await
    }
}

#[async_trait]
impl Command for ChangeEndpointCommand<'_> {
    type Reply = Option<WebhookEndpoint>;

    const NAME: &'static str = "ChangeEndpointCommand";

    async fn handle(
        &self,
        unit: &mut dyn UnitOfWork,
        _context: &Context,
    ) -> Result<Option<WebhookEndpoint>, Fault> {
        unit.webhook_endpoints().change(self.id, self.change, &self.by).await
    }
}

#[async_trait]
impl Command for RemoveEndpointCommand<'_> {
    type Reply = bool;

    const NAME: &'static str = "RemoveEndpointCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, _context: &Context) -> Result<bool, Fault> {
        unit.webhook_endpoints().remove(self.id, &self.by).await
    }
}

#[async_trait]
impl Command for RedeliverCommand<'_> {
    type Reply = usize;

    const NAME: &'static str = "RedeliverCommand";

    async fn handle(&self, unit: &mut dyn UnitOfWork, _context: &Context) -> Result<usize, Fault> {
        unit.webhook_endpoints().redeliver(self.id, self.what, &self.by).await
    }
}
