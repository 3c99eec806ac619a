//! Laws of what is answered under a client's key: kept with its effect or not at all, once for each caller and operation, and
//! swept when its time is over. The same of references.

use std::sync::Arc;
use std::time::Duration;

use application::commands::{
    AdjustStockCommand, CommandPipeline, CreateOrderCommand, CreateOrderHandler, CreateOrderLine,
    CreateOrderReply, Once, OnceReply, StockChange, StockReply,
};
use application::hold_rules::HoldRules;
use application::pipeline::{Context, HandOver, PipelineSettings};
use application::ports::{Answer, Caller, IdempotencyRecord, KeptAnswer, ReferencedOrder, RequestKey};
use bus::{Coalesce, Fault, PauseBoard, RandomIds, Verdict, VirtualClock};
use domain::{CustomerId, Order, Quantity, Sku};
use infrastructure::Retention;
use tokio::task::JoinSet;

use super::stage::*;
use super::{Home, Process};

fn key(caller: &str, operation: &'static str, key: &str) -> RequestKey {
    let caller = Caller::new(caller.into(), caller.into());
    RequestKey { caller, operation, key: key.to_owned(), digest: [3; 32] }
}

fn answer(number: u8) -> Answer {
    Answer { status: 201, body: vec![number; 3] }
}

async fn kept(process: &Process, key: &RequestKey) -> Option<Answer> {
    let kept = process.unit().await.idempotency().kept(key).await.unwrap();
    kept.map(|KeptAnswer { digest, answer }| {
        assert_eq!(digest, key.digest);
        answer
    })
}

async fn keep(process: &Process, key: &RequestKey, number: u8) -> Result<(), Fault> {
    let mut unit = process.unit().await;
    unit.idempotency().keep(key, &answer(number), NOW).await?;
    unit.commit().await
}

/// Another caller, another operation and another key are each another answer.
pub async fn an_answer_is_of_one_key_of_one_caller_for_one_operation(home: &mut impl Home) {
    let process = home.process().await;
    let keys = [
        key("", "receive", "k"),
        key("shop", "receive", "k"),
        key("shop", "adjust", "k"),
        key("shop", "adjust", "l"),
    ];
    let mut dropped = process.unit().await;
    dropped.idempotency().keep(&keys[0], &answer(9), NOW).await.unwrap();
    drop(dropped);
    for (key, number) in keys.iter().zip(0..) {
        assert_eq!(kept(&process, key).await, None);
        keep(&process, key, number).await.unwrap();
    }
    let process = home.process().await;
    for (key, number) in keys.iter().zip(0..) {
        assert_eq!(kept(&process, key).await, Some(answer(number)));
        assert_eq!(keep(&process, key, 9).await.unwrap_err().verdict, Verdict::Conflict);
        assert_eq!(kept(&process, key).await, Some(answer(number)));
    }
}

/// As many as are asked for, and none before its time.
pub async fn an_answer_is_swept_when_its_time_is_over(home: &mut impl Home) {
    let process = home.process().await;
    let (old, new) = (key("", "receive", "old"), key("", "receive", "new"));
    for (key, at) in [(&old, NOW), (&new, later(90))] {
        let mut unit = process.unit().await;
        unit.idempotency().keep(key, &answer(1), at).await.unwrap();
        unit.commit().await.unwrap();
    }
    let time = Retention {
        inbox: Duration::from_secs(50),
        idempotency: Duration::from_secs(50),
        events: Duration::from_secs(50),
    };
    assert_eq!(process.sweep(later(100), time, 9).await.unwrap().kept_answers, 1);
    assert_eq!((kept(&process, &old).await, kept(&process, &new).await), (None, Some(answer(1))));
}

/// The order of a key is one of its caller's, and rows from before callers were kept are everybody's.
pub async fn the_key_of_an_order_is_its_callers(home: &mut impl Home) {
    let process = home.process().await;
    let of = |number: u128, caller: &str| IdempotencyRecord {
        key: "k".to_owned(),
        caller: caller.into(),
        ..record(&order(number, &[product("A")]), NOW)
    };
    let records = [of(1, ""), of(2, "shop"), of(3, Caller::ANYBODY)];
    let insert = async |record: &IdempotencyRecord| {
        let mut unit = process.unit().await;
        unit.idempotency().insert(std::slice::from_ref(record)).await?;
        unit.commit().await
    };
    for record in &records {
        insert(record).await.unwrap();
        assert_eq!(insert(record).await.unwrap_err().verdict, Verdict::Conflict);
    }
    let mut found = process.unit().await.idempotency().find(&["k".to_owned()]).await.unwrap();
    found.sort_by_key(|record| record.order_id);
    assert_eq!(found, records);
}

/// Two sources may give the same reference to an order of theirs, no source to two.
pub async fn a_reference_is_borne_by_one_order_of_each_source(home: &mut impl Home) {
    let process = home.process().await;
    let bearer = |number: u128| {
        let mut snapshot = order(number, &[product("A")]).into_snapshot();
        snapshot.external_reference = Some("PO-7".to_owned());
        Order::restore(snapshot).unwrap()
    };
    let place = async |number: u128, source: Option<&str>| {
        let mut unit = process.unit().await;
        create_for(unit.as_mut(), &bearer(number), source).await?;
        unit.commit().await
    };
    let sources = [(1, None), (2, Some("")), (3, Some("shop"))];
    for (number, source) in sources {
        place(number, source).await.unwrap();
        assert_eq!(place(number + 10, source).await.unwrap_err().verdict, Verdict::Conflict, "{source:?}");
    }
    let mut unit = process.unit().await;
    let mut found = unit.orders().find_by_external_reference(&["PO-7".to_owned()]).await.unwrap();
    found.sort_by_key(|order| order.order_id);
    let expected = sources.map(|(number, source)| ReferencedOrder {
        reference: "PO-7".to_owned(),
        source: source.map(Into::into),
        order_id: order_id(number),
    });
    assert_eq!(found, expected);
}

/// How many ask at once.
const AT_ONCE: usize = 8;

pub(super) fn context() -> Arc<Context> {
    let settings = PipelineSettings { hand_over: HandOver::ByQueue, ..PipelineSettings::default() };
    let (clock, ids) = (Arc::new(VirtualClock::starting_at(NOW)), Arc::new(RandomIds::seeded(5)));
    Arc::new(Context {
        clock,
        ids,
        settings,
        pauses: PauseBoard::default(),
        hold_rules: HoldRules::default(),
    })
}

/// Ten units come in once, whoever of those that tell of them is the first.
async fn receive(commands: CommandPipeline) -> OnceReply<()> {
    let sku = Sku::parse("A").unwrap();
    let (reason, actor) = ("note 77".to_owned(), "anna".to_owned());
    let command = AdjustStockCommand { sku, change: StockChange::Receive(10), reason, actor };
    let key = key("shop", "receive", "note 77");
    let answer = |reply| match reply {
        StockReply::Done { inventory: stock, .. } => {
            Ok(Answer { status: 200, body: stock.available().to_string().into_bytes() })
        }
        StockReply::Rejected(_) | StockReply::UnknownSku => Err(()),
    };
    commands.run(&Once { key: Some(&key), command: &command, answer }).await.unwrap()
}

/// However many workers are asked at the same moment.
pub async fn what_is_asked_for_many_times_at_once_under_one_key_is_done_once(home: &mut impl Home) {
    let process = home.process().await;
    let mut unit = process.unit().await;
    unit.products().upsert(&[product("A")]).await.unwrap();
    unit.commit().await.unwrap();
    let commands = CommandPipeline::new(Arc::clone(&process.units), context());
    let mut asking = JoinSet::new();
    for _ in 0..AT_ONCE {
        asking.spawn(receive(commands.clone()));
    }
    let replies = asking.join_all().await;
    let answer = Answer { status: 200, body: b"10".to_vec() };
    assert_eq!(replies.iter().filter(|reply| **reply == OnceReply::Done(answer.clone())).count(), 1);
    let again = OnceReply::Replayed(answer);
    assert_eq!(replies.iter().filter(|reply| **reply == again).count(), AT_ONCE - 1, "{replies:?}");
    let level = process.readers.inventory_of(&Sku::parse("A").unwrap()).await.unwrap().unwrap();
    assert_eq!(level.available, 10);
}

fn referenced(number: u128) -> CreateOrderCommand {
    let line = CreateOrderLine {
        sku: Sku::parse("A").unwrap(),
        quantity: Quantity::new(1).unwrap(),
        unit_price: None,
    };
    CreateOrderCommand {
        order_id: order_id(number),
        caller: Caller::new("1".into(), "shop".into()),
        key: None,
        customer_id: CustomerId::parse("ALFKI").unwrap(),
        lines: vec![line],
        ordered_at: None,
        external_reference: Some("PO-7".to_owned()),
        payment_token: None,
        total: None,
        money_lines: Vec::new(),
        details: None,
        holds: Vec::new(),
        when_short: None,
        traceparent: None,
    }
}

/// Without any key, by handlers that know nothing of each other.
pub async fn orders_of_one_reference_that_come_at_once_are_one(home: &mut impl Home) {
    let process = home.process().await;
    let mut unit = process.unit().await;
    unit.products().upsert(&[product("A")]).await.unwrap();
    unit.commit().await.unwrap();
    let mut asking = JoinSet::new();
    for number in 0..AT_ONCE as u128 {
        let handler = CreateOrderHandler::new(Arc::clone(&process.units), context());
        asking.spawn(async move {
            let unit = handler.begin().await.unwrap();
            handler.flush(unit, &[referenced(number + 1)]).await.unwrap().remove(0)
        });
    }
    let replies = asking.join_all().await;
    let created = replies.iter().find_map(|reply| match reply {
        CreateOrderReply::Created(accepted) => Some(accepted.clone()),
        CreateOrderReply::Replayed(_)
        | CreateOrderReply::KeyReused { .. }
        | CreateOrderReply::ReferenceReused { .. }
        | CreateOrderReply::Rejected(_) => None,
    });
    let again = CreateOrderReply::Replayed(created.expect("one of them is new"));
    assert_eq!(replies.iter().filter(|reply| **reply == again).count(), AT_ONCE - 1, "{replies:?}");
    let page = process.readers.orders(&application::ports::OrderFilter::default(), 9).await.unwrap();
    assert_eq!(page.items.len(), 1);
}
