//! What an operator may do, and when.

use application::commands::{
    CancelOrderCommand, CancelReply, OperateReply, OperateSagaCommand, SagaOperation,
};
use application::ports::Readers;
use application::saga::{OrderProcessingSaga, PaymentStep, SagaState};
use domain::{CancelReason, Dispute, OrderId, OrderStatus, Payment};

use super::shop::Shop;

fn operate(order_id: OrderId, operation: SagaOperation) -> OperateSagaCommand {
    OperateSagaCommand { order_id, operation, actor: "ops".to_owned(), note: "called the bank".to_owned() }
}

/// An order whose refund could not be had: its money is with the gateway, its stock was never set aside.
async fn stuck(shop: &Shop) -> OrderProcessingSaga {
    let accepted = shop.order(1, 2).await;
    let saga = OrderProcessingSaga {
        state: SagaState::NeedsAttention,
        order: OrderStatus::Pending,
        payment: PaymentStep::Captured,
        reason: Some(CancelReason::Customer),
        ..shop.saga(accepted.order_id).await
    };
    let mut payment = Payment::request(accepted.order_id, accepted.total);
    let _ = payment.capture(accepted.total, "ch-1").expect("nothing was captured before");
    let mut unit = shop.unit().await;
    unit.payments().insert(&[payment], shop.context.clock.now()).await.unwrap();
    unit.commit().await.unwrap();
    shop.put(saga.clone()).await;
    saga
}

#[tokio::test(start_paused = true)]
async fn a_retry_asks_for_the_undoing_again() {
    let shop = Shop::open().await;
    let id = stuck(&shop).await.order_id;
    let reply = shop.run(&operate(id, SagaOperation::Retry)).await;
    assert_eq!(reply, OperateReply::Done(SagaState::Compensating));
    assert_eq!(shop.saga(id).await.payment, PaymentStep::Captured);
}

#[tokio::test(start_paused = true)]
async fn skipping_and_forcing_settle_captured_money_by_hand_and_keep_the_gateways_truth() {
    for operation in [SagaOperation::Skip, SagaOperation::Force] {
        let shop = Shop::open().await;
        let id = stuck(&shop).await.order_id;
        assert_eq!(shop.run(&operate(id, operation)).await, OperateReply::Done(SagaState::Failed));
        assert_eq!(shop.saga(id).await.payment, PaymentStep::Waived);
        let order = shop.store.order(id).await.unwrap().expect("it is stored");
        assert_eq!(order.status, "cancelled");
        let payment = order.payment.expect("its money was taken");
        assert_eq!((payment.captured_minor, payment.refunded_minor), (2_500, 0));
        let broken = shop.store.broken_invariants(shop.context.clock.now(), 10).await.unwrap();
        assert!(broken.is_empty(), "{broken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_does_well_is_left_alone() {
    let shop = Shop::open().await;
    let id = shop.order(1, 1).await.order_id;
    for operation in [SagaOperation::Retry, SagaOperation::Skip, SagaOperation::Force] {
        let reply = shop.run(&operate(id, operation)).await;
        assert!(matches!(reply, OperateReply::Refused { state: SagaState::Created, .. }), "{reply:?}");
    }
    let nobody = OrderId(uuid::Uuid::max());
    assert_eq!(shop.run(&operate(nobody, SagaOperation::Force)).await, OperateReply::NotFound);
}

#[tokio::test(start_paused = true)]
async fn while_a_dispute_is_open_no_cancellation_refunds_whatever_a_person_has_skipped() {
    for (dispute, is_refused) in [(Dispute::Open, true), (Dispute::Won, false)] {
        let shop = Shop::open().await;
        let accepted = shop.order(1, 2).await;
        let id = accepted.order_id;
        let (state, order, payment) = (SagaState::Paid, OrderStatus::Paid, PaymentStep::Captured);
        // The saga no longer waits for the dispute: a person has skipped it.
        shop.put(OrderProcessingSaga { state, order, payment, ..shop.saga(id).await }).await;
        let mut row = Payment::request(id, accepted.total);
        let _ = row.capture(accepted.total, "ch-1").expect("nothing was captured before");
        let _ = row.note_dispute(dispute);
        let mut unit = shop.unit().await;
        unit.payments().insert(&[row], shop.context.clock.now()).await.unwrap();
        unit.commit().await.unwrap();
        let (reason, actor, note) = (CancelReason::Customer, "ann".to_owned(), String::new());
        let reply = shop.run(&CancelOrderCommand { order_id: id, reason, actor, note }).await;
        assert_eq!(matches!(reply, CancelReply::Refused { .. }), is_refused, "{dispute}: {reply:?}");
        let stands = if is_refused { SagaState::Paid } else { SagaState::Compensating };
        assert_eq!(shop.saga(id).await.state, stands, "{dispute}");
    }
}
