//! One transaction over everything: the bus's tables and every repository.

use bus::{SagaRepository, Unit};

use super::{
    AuditRepository, HistoryRepository, HoldRepository, IdempotencyRepository, InventoryRepository,
    OrderRepository, PaymentRepository, ProductRepository, ReturnRepository, ShipmentRepository,
    UnmatchedRepository, WebhookEndpointRepository,
};
use crate::saga::OrderProcessingSaga;

/// All repositories of one transaction. Dropping it rolls back; committing makes everything durable at once.
///
/// Tables are locked in the order of these methods, rows in the order of their ids.
pub trait UnitOfWork: Unit + SagaRepository<OrderProcessingSaga> {
    /// Orders and their lines.
    fn orders(&mut self) -> &mut dyn OrderRepository;
    /// The catalogue.
    fn products(&mut self) -> &mut dyn ProductRepository;
    /// Stock and its ledger.
    fn inventory(&mut self) -> &mut dyn InventoryRepository;
    /// Payments.
    fn payments(&mut self) -> &mut dyn PaymentRepository;
    /// Shipments.
    fn shipments(&mut self) -> &mut dyn ShipmentRepository;
    /// The timelines of orders.
    fn history(&mut self) -> &mut dyn HistoryRepository;
    /// Holds of orders.
    fn holds(&mut self) -> &mut dyn HoldRepository;
    /// Returns of orders.
    fn returns(&mut self) -> &mut dyn ReturnRepository;
    /// Answers stored under idempotency keys.
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository;
    /// The audit log of operators.
    fn audit(&mut self) -> &mut dyn AuditRepository;
    /// Events of providers that belong to no order.
    fn unmatched(&mut self) -> &mut dyn UnmatchedRepository;
    /// Programs of others that are sent events.
    fn webhook_endpoints(&mut self) -> &mut dyn WebhookEndpointRepository;
}

/// A unit of work of the configured store.
pub type AnyUnit = dyn UnitOfWork + 'static;

/// A unit that implements every repository itself, as those of the stores do.
impl<U> UnitOfWork for U
where
    U: Unit
        + SagaRepository<OrderProcessingSaga>
        + OrderRepository
        + ProductRepository
        + InventoryRepository
        + PaymentRepository
        + ShipmentRepository
        + HistoryRepository
        + HoldRepository
        + ReturnRepository
        + IdempotencyRepository
        + AuditRepository
        + UnmatchedRepository
        + WebhookEndpointRepository,
{
    fn orders(&mut self) -> &mut dyn OrderRepository {
        self
    }

    fn products(&mut self) -> &mut dyn ProductRepository {
        self
    }

    fn inventory(&mut self) -> &mut dyn InventoryRepository {
        self
    }

    fn payments(&mut self) -> &mut dyn PaymentRepository {
        self
    }

    fn shipments(&mut self) -> &mut dyn ShipmentRepository {
        self
    }

    fn history(&mut self) -> &mut dyn HistoryRepository {
        self
    }

    fn holds(&mut self) -> &mut dyn HoldRepository {
        self
    }

    fn returns(&mut self) -> &mut dyn ReturnRepository {
        self
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self
    }

    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }

    fn unmatched(&mut self) -> &mut dyn UnmatchedRepository {
        self
    }

    fn webhook_endpoints(&mut self) -> &mut dyn WebhookEndpointRepository {
        self
    }
}
