//! Sound ledger, and what has to be condemned: each test breaks one thing.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::super::{Carrier, Engine, Mishap};
use super::*;

/// When an order was sent.
#[derive(Clone, Copy)]
enum Sent {
    Under,
    Afterwards,
}

/// Orders of the plan; most are sent under faults.
const ORDERS: u32 = 200;

/// Everything that a verdict is made of.
#[derive(Clone)]
struct Case {
    plan: Plan,
    happened: Happened,
    answers: Counted,
    meanwhile: Meanwhile,
    accepted: Vec<Accepted>,
    done: Done,
    ledger: Ledger,
}

impl Case {
    /// Orders under two faults, one of them timed out as it may, and two afterwards.
    fn sound() -> Self {
        let mut case = Self {
            plan: Plan {
                program: PathBuf::new(),
                engine: Engine::Postgres { workers: 2 },
                carrier: Carrier::Store,
                course: Course::Mishaps,
                faults: 2,
                limit: Duration::from_secs(1),
                orders: ORDERS,
                seed: 1,
            },
            happened: Happened::default(),
            answers: Counted { absent: 4, cut_off: 1, silent: 1, ..Counted::default() },
            meanwhile: Meanwhile { asked: 9, accepted: 3 },
            accepted: Vec::new(),
            done: Done { released: 1, fewer: 1, bought: 0 },
            ledger: Ledger {
                orders: Vec::new(),
                overview: json!({"dead_letters": 0}),
                check: json!([]),
                charges: Vec::new(),
                shipments: Vec::new(),
                stats: json!({
                    "payments": {"charges": 4, "keys_charged_twice": 0, "references_charged_twice": 0},
                    "shipping": {"references_shipped_twice": 0},
                }),
            },
        };
        case.happened.note(Mishap::WorkerKilled, 0);
        case.happened.note(Mishap::DatabaseReset, 1);
        for (id, sent) in [("a", Sent::Under), ("b", Sent::Under), ("d", Sent::Afterwards)] {
            case.delivered(id, sent);
        }
        case.cancelled("c", Sent::Under, "timeout");
        case.cancelled("e", Sent::Afterwards, "out_of_stock");
        case
    }

    /// The same for workers that were restarted in turn.
    fn rolling() -> Self {
        let mut case = Self::sound();
        case.plan.course = Course::RollingRestarts;
        case.happened = Happened::default();
        case.happened.note(Mishap::WorkerStopped, 0);
        case.happened.note(Mishap::WorkerStopped, 1);
        case.answers = Counted { absent: 4, ..Counted::default() };
        case
    }

    fn accept(&mut self, id: &str, sent: Sent) {
        let ordinal = match sent {
            Sent::Under => 0,
            Sent::Afterwards => ORDERS.into(),
        };
        self.accepted.retain(|accepted| accepted.order_id != id);
        self.accepted.push(Accepted { ordinal, key: format!("key-{id}"), order_id: id.to_owned() });
    }

    fn delivered(&mut self, id: &str, sent: Sent) {
        self.accept(id, sent);
        let order = json!({"order_id": id, "status": "delivered", "saga_state": "completed", "total": {"minor": 700}});
        self.ledger.orders.push(order);
        self.ledger.charges.push(json!({"reference": id, "captured_minor": 700, "refunded_minor": 0}));
        self.ledger.shipments.push(json!({"reference": id, "status": "delivered"}));
    }

    fn cancelled(&mut self, id: &str, sent: Sent, reason: &str) {
        self.accept(id, sent);
        let order =
            json!({"order_id": id, "status": "cancelled", "saga_state": "failed", "cancel_reason": reason});
        self.ledger.orders.push(order);
    }

    fn needs_attention(&mut self, id: &str, sent: Sent) {
        self.accept(id, sent);
        self.ledger
            .orders
            .push(json!({"order_id": id, "status": "created", "saga_state": "needs_attention"}));
    }

    fn verdict(&self) -> Verdict {
        let Self { plan, happened, answers, meanwhile, accepted, done, ledger } = self.clone();
        let found = Found { happened, answers, meanwhile, accepted: &accepted, done };
        Verdict::of(&plan, found, &ledger)
    }
}

/// What is wrong after a change; it must be one thing, which the words name.
#[track_caller]
fn condemned(case: Case, change: impl FnOnce(&mut Case), words: &str) {
    assert!(case.verdict().holds(), "without the change: {}", case.verdict());
    let mut changed = case;
    change(&mut changed);
    let verdict = changed.verdict();
    assert!(!verdict.holds() && verdict.problems.len() == 1, "{verdict}");
    assert!(verdict.to_string().contains(words), "{verdict}");
}

#[test]
fn sound_ledger_are_confirmed_and_say_what_happened() {
    let verdict = Case::sound().verdict();
    assert!(verdict.holds(), "{verdict}");
    assert_eq!((verdict.happened().all(), verdict.happened().times(Mishap::WorkerKilled)), (2, 1));
    assert_eq!(verdict.happened().times_to(Mishap::DatabaseReset, 1), 1);
    assert_eq!(verdict.happened().times_to(Mishap::DatabaseReset, 0), 0);
    assert!(Case::rolling().verdict().holds());
}

#[test]
fn many_orders_of_which_none_waits_for_a_person_prove_too_little() {
    let mut many = Case::sound();
    (0..VARIED_FROM).for_each(|number| many.delivered(&format!("o{number}"), Sent::Under));
    condemned(many.clone(), |case| case.done.released = 0, "0 holds were released");
    condemned(many, |case| case.done.fewer = 0, "units taken off 0 orders");
}

#[test]
fn a_message_that_was_set_aside_is_condemned_and_so_is_a_service_that_does_not_say() {
    condemned(Case::sound(), |case| case.ledger.overview = json!({"dead_letters": 1}), "dead letters: 1");
    condemned(Case::sound(), |case| case.ledger.overview = json!({}), "dead letters: null");
}

#[test]
fn many_charges_of_which_none_was_answered_with_another_amount_are_condemned() {
    let many = |case: &mut Case| case.ledger.stats["payments"]["charges"] = json!(500);
    condemned(Case::sound(), many, "never named another amount");
    let mut case = Case::sound();
    many(&mut case);
    case.ledger.stats["faults"] = json!({"other_amounts": 1});
    assert!(case.verdict().holds(), "{}", case.verdict());
}

#[test]
fn a_service_that_does_nothing_is_condemned() {
    let idle = |case: &mut Case| {
        let ids: Vec<String> = case.accepted.iter().map(|accepted| accepted.order_id.clone()).collect();
        (case.ledger.orders, case.ledger.charges, case.ledger.shipments) = Default::default();
        ids.iter().for_each(|id| case.cancelled(id, Sent::Under, "timeout"));
    };
    let mut case = Case::sound();
    idle(&mut case);
    let verdict = case.verdict();
    assert!(verdict.to_string().contains("nothing was ever delivered"), "{verdict}");
    assert!(verdict.to_string().contains("nothing was delivered when all was well again"), "{verdict}");
    condemned(
        Case::sound(),
        |case| case.ledger.stats["payments"]["charges"] = json!(0),
        "nothing was ever charged",
    );
}

#[test]
fn an_order_that_times_out_when_all_is_well_again_is_condemned() {
    for reason in ["timeout", "rejected", "operator", "no reason"] {
        let late = |case: &mut Case| case.cancelled("late", Sent::Afterwards, reason);
        condemned(
            Case::sound(),
            late,
            &format!("order late was sent when all was well again; cancelled: {reason}"),
        );
        let mut case = Case::sound();
        case.cancelled("early", Sent::Under, reason);
        assert!(case.verdict().holds(), "under faults it may: {reason}");
    }
}

#[test]
fn more_than_one_order_in_a_hundred_that_needs_attention_is_condemned_and_so_is_any_when_all_is_well_again() {
    let mut many = Case::sound();
    (0..95).for_each(|number| many.delivered(&format!("more-{number}"), Sent::Under));
    many.ledger.orders.retain(|order| order["order_id"] != "c");
    many.needs_attention("c", Sent::Under);
    condemned(many, |case| case.needs_attention("another", Sent::Under), "2 of 101 orders need attention");
    let mut many = Case::sound();
    (0..95).for_each(|number| many.delivered(&format!("more-{number}"), Sent::Under));
    condemned(
        many,
        |case| case.needs_attention("one", Sent::Afterwards),
        "order one was sent when all was well again",
    );
}

#[test]
fn faults_that_did_not_happen_or_met_nobody_are_condemned() {
    condemned(Case::sound(), |case| case.plan.faults = 3, "only 2 of 3 faults happened");
    condemned(Case::sound(), |case| case.meanwhile.asked = 0, "no client asked for anything");
}

#[test]
fn restarts_without_orders_are_condemned_and_so_are_those_that_clients_suffered_from() {
    condemned(Case::rolling(), |case| case.meanwhile.accepted = 0, "no order was accepted while a worker");
    for worse in [
        Counted { cut_off: 1, absent: 4, ..Counted::default() },
        Counted { silent: 1, absent: 4, ..Counted::default() },
        Counted { failed: 1, absent: 4, ..Counted::default() },
    ] {
        condemned(Case::rolling(), |case| case.answers = worse, "rolling restarts were noticed");
    }
}

#[test]
fn an_order_that_is_lost_or_on_the_way_for_ever_is_condemned() {
    let mut lost = Case::sound();
    lost.accept("lost", Sent::Under);
    let said = lost.verdict().to_string();
    assert!(said.contains("order lost (key-lost) was accepted and is lost"), "{said}");
    assert!(said.contains("5 orders are stored, 6 were accepted"), "{said}");
    let stuck = |case: &mut Case| {
        case.accept("stuck", Sent::Under);
        case.ledger.orders.push(json!({"order_id": "stuck", "status": "paid", "saga_state": "paid"}));
    };
    condemned(Case::sound(), stuck, "order stuck ended as");
    condemned(
        Case::sound(),
        |case| case.ledger.orders.push(json!({"order_id": "stranger", "status": "created"})),
        "6 orders are stored, 5 were accepted",
    );
}

#[test]
fn money_and_parcels_that_do_not_fit_are_condemned() {
    for (group, count) in [
        ("payments", "keys_charged_twice"),
        ("payments", "references_charged_twice"),
        ("shipping", "references_shipped_twice"),
    ] {
        condemned(Case::sound(), |case| case.ledger.stats[group][count] = json!(1), count);
    }
    condemned(
        Case::sound(),
        |case| case.ledger.charges[0]["refunded_minor"] = json!(1),
        "keeps 699 for order a",
    );
    let kept = |case: &mut Case| {
        case.ledger.charges.push(json!({"reference": "c", "captured_minor": 5, "refunded_minor": 0}));
    };
    condemned(Case::sound(), kept, "keeps 5 for order c");
    condemned(Case::sound(), |case| drop(case.ledger.shipments.pop()), "order d is \"delivered\"");
    let sent = |case: &mut Case| case.ledger.shipments.push(json!({"reference": "c", "status": "booked"}));
    condemned(Case::sound(), sent, "order c is \"cancelled\"");
}

#[test]
fn what_the_service_itself_finds_broken_is_condemned() {
    condemned(
        Case::sound(),
        |case| case.ledger.check = json!(["invariant 3 of TEA"]),
        "check: \"invariant 3 of TEA\"",
    );
    condemned(Case::sound(), |case| case.ledger.check = json!("fine"), "check answered something else");
}
