//! Laws of acting on what was seen: of many who act at the same moment on what all of them saw, one acts and the others are told
//! that it has changed.

use std::sync::Arc;

use application::commands::{
    AdjustStockCommand, CancelOrderCommand, Command, CommandPipeline, IfUnchanged, IfUnchangedReply,
    OperateReply, OperateSagaCommand, RefundOrderCommand, RefundReply, SagaOperation, Seen, StockChange,
    StockReply,
};
use application::saga::{PaymentStep, SagaState};
use domain::{CancelReason, Order, OrderStatus, Payment, Sku};
use tokio::task::JoinSet;

use super::answers::context;
use super::stage::*;
use super::{Home, Process};

/// How many act at once.
const AT_ONCE: usize = 8;

/// What each of so many is told who run this command at once.
async fn at_once<C>(process: &Process, command: C, seen: &Seen) -> Vec<IfUnchangedReply<C::Reply>>
where
    C: Command + Clone + 'static,
{
    let commands = CommandPipeline::new(Arc::clone(&process.units), context());
    let mut acting = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (commands, command, seen) = (commands.clone(), command.clone(), seen.clone());
        acting.spawn(async move {
            commands.run(&IfUnchanged { command: &command, seen: Some(&seen) }).await.unwrap()
        });
    }
    acting.join_all().await
}

/// Exactly one has acted; its reply.
fn only<R>(replies: Vec<IfUnchangedReply<R>>) -> R {
    assert_eq!(replies.len(), AT_ONCE);
    let mut ran = replies.into_iter().filter_map(|reply| match reply {
        IfUnchangedReply::Ran(reply) => Some(reply),
        IfUnchangedReply::Changed => None,
    });
    let only = ran.next().expect("one has acted");
    assert!(ran.next().is_none(), "another acted on what had changed");
    only
}

async fn seen(process: &Process, order: &Order) -> Seen {
    let saga = process.readers.saga(order.id()).await.unwrap().unwrap();
    let order_view = process.readers.order(order.id()).await.unwrap().unwrap();
    assert_eq!(order_view.saga_moved_at, Some(saga.updated_at), "an order tells the same moment");
    Seen::Order(order.id(), saga.updated_at)
}

/// Puts an order's saga there, all at one moment of the clock: what has changed must be told without its help.
async fn put(process: &Process, order: &Order, state: SagaState, status: OrderStatus) {
    let mut unit = process.unit().await;
    let mut saga = stored_saga(unit.as_mut(), order).await;
    (saga.state, saga.order, saga.payment) = (state, status, PaymentStep::Captured);
    saga.reason = (state == SagaState::NeedsAttention).then_some(CancelReason::Customer);
    unit.update_sagas(&[saga], NOW).await.unwrap();
    unit.commit().await.unwrap();
}

async fn paid(process: &Process) -> Order {
    stock_up(process, &[product("A")], 10).await;
    let order = accepted(process, 1, &[product("A")]).await;
    let mut payment = Payment::request(order.id(), order.total());
    let _ = payment.capture(order.total(), "ch-1").unwrap();
    let mut unit = process.unit().await;
    unit.payments().insert(&[payment], NOW).await.unwrap();
    unit.commit().await.unwrap();
    order
}

/// A saga that has left and come back in the meantime is another one, although it stands where it stood.
pub async fn of_many_who_decide_about_what_they_saw_of_an_order_one_does(home: &mut impl Home) {
    let process = home.process().await;
    let order = paid(&process).await;
    let (actor, note) = ("anna".to_owned(), "called the bank".to_owned());
    let retry = OperateSagaCommand { order_id: order.id(), operation: SagaOperation::Retry, actor, note };
    put(&process, &order, SagaState::NeedsAttention, OrderStatus::Pending).await;
    let first = seen(&process, &order).await;
    let reply = only(at_once(&process, retry.clone(), &first).await);
    assert_eq!(reply, OperateReply::Done(SagaState::Compensating));
    put(&process, &order, SagaState::NeedsAttention, OrderStatus::Pending).await;
    let late = at_once(&process, retry.clone(), &first).await;
    assert!(late.iter().all(|reply| *reply == IfUnchangedReply::Changed), "{late:?}");
    let reply = only(at_once(&process, retry, &seen(&process, &order).await).await);
    assert_eq!(reply, OperateReply::Done(SagaState::Compensating));
    let (actor, note) = ("anna".to_owned(), "as they wish".to_owned());
    let cancel = CancelOrderCommand { order_id: order.id(), reason: CancelReason::Customer, actor, note };
    let late = at_once(&process, cancel, &first).await;
    assert!(late.iter().all(|reply| *reply == IfUnchangedReply::Changed), "{late:?}");
}

/// A refund does not move a saga on, but it is seen of the order.
pub async fn of_many_who_refund_what_they_saw_one_does(home: &mut impl Home) {
    let process = home.process().await;
    let order = paid(&process).await;
    put(&process, &order, SagaState::Completed, OrderStatus::Delivered).await;
    let (actor, reason) = ("anna".to_owned(), "a scratch".to_owned());
    let refund = RefundOrderCommand { order_id: order.id(), amount: usd(1), actor, reason };
    let reply = only(at_once(&process, refund, &seen(&process, &order).await).await);
    assert!(matches!(reply, RefundReply::Accepted { .. }), "{reply:?}");
    let asked = process.readers.history(order.id()).await.unwrap().unwrap();
    assert_eq!(asked.iter().filter(|entry| entry.event == "RefundRequested").count(), 1, "{asked:?}");
}

/// Orders that take units meanwhile change nothing of what was booked.
pub async fn of_many_who_book_stock_on_what_they_saw_one_does(home: &mut impl Home) {
    let process = home.process().await;
    stock_up(&process, &[product("A")], 10).await;
    let sku = Sku::parse("A").unwrap();
    let order = accepted(&process, 1, &[product("A")]).await;
    let mut unit = process.unit().await;
    unit.inventory().reserve_stock(&[demand(&order)], NOW).await.unwrap();
    unit.commit().await.unwrap();
    for (change, booked, available) in
        [(StockChange::Receive(5), 10, 13), (StockChange::Adjust(-3), 15, 10), (StockChange::Count(7), 12, 5)]
    {
        let (reason, actor) = ("note 77".to_owned(), "anna".to_owned());
        let command = AdjustStockCommand { sku: sku.clone(), change, reason, actor };
        let reply = only(at_once(&process, command, &Seen::Stock(sku.clone(), booked)).await);
        let StockReply::Done { inventory, .. } = reply else { panic!("{reply:?}") };
        assert_eq!(inventory.available(), available);
    }
}
