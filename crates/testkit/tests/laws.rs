//! Laws of the pipeline as a whole: how messages are batched and how often they come is nobody's business but the bus's.

#[expect(dead_code, reason = "shared by several test programs, each of which uses its own part")]
mod scripted;

use std::sync::Arc;
use std::time::Duration;

use application::hold_rules::HoldRules;
use orderwright_testkit::simulation::{
    Call, Consent, HandOver, Outcome, Script, Wish, line, new_product, sku,
};
use proptest::prelude::*;

use self::scripted::{ChosenStep, Copies, Crash, Rules, perform};

/// Some keys are declined, some refused, the same ones whenever they are asked.
fn choosy(call: Call, key: &str) -> Consent {
    let lot = key.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let refused_in_five = if call == Call::Charge { 1 } else { 2 };
    if lot % 5 == refused_in_five { Consent::No } else { Consent::Yes }
}

/// A shop with a few scarce products, and a queue of customers.
fn any_script() -> impl Strategy<Value = Script> {
    let products = proptest::collection::vec((prop_oneof![Just(0_i64), 1_i64..5_000], 0_i64..12), 1..4);
    let wishes =
        proptest::collection::vec((0_u64..3, proptest::collection::vec((0_u64..4, 1_u32..4), 1..4)), 1..12);
    (products, wishes).prop_map(|(products, wishes)| {
        let count = products.len() as u64;
        let wish = |(at_s, lines): (u64, Vec<(u64, u32)>)| Wish {
            at: Duration::from_secs(at_s),
            lines: lines.into_iter().map(|(product, units)| line(sku(product % count), units)).collect(),
            regret: None,
            presses: 1,
            holds: Vec::new(),
            when_short: None,
            second_thought: None,
        };
        Script {
            products: (0..)
                .zip(products)
                .map(|(number, (price, stock))| new_product(number, price, stock))
                .collect(),
            wishes: wishes.into_iter().map(wish).collect(),
            events: Vec::new(),
            storm: Duration::from_secs(5),
            hold_rules: HoldRules::default(),
        }
    })
}

fn perform_with(script: &Script, copies: Copies, batch_max: usize) -> Outcome {
    perform_by(script, copies, batch_max, HandOver::InUnit)
}

fn perform_by(script: &Script, copies: Copies, batch_max: usize, hand_over: HandOver) -> Outcome {
    let rules = Arc::new(Rules { hand_over, ..Rules::new(choosy) });
    let outcome = perform(script.clone(), &ChosenStep::new(Crash::Never, copies), &rules, batch_max);
    let found: String = outcome.findings.iter().map(|finding| format!("- {finding}\n")).collect();
    assert!(found.is_empty(), "stock or money is not conserved, or worse:\n{found}");
    outcome
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_batch_of_many_is_many_batches_of_one(script in any_script(), batch_max in 2_usize..40) {
        let one_by_one = perform_with(&script, Copies::One, 1);
        let together = perform_with(&script, Copies::One, batch_max);
        prop_assert_eq!(one_by_one.ends, together.ends);
    }

    #[test]
    fn a_message_handled_where_it_was_published_is_one_that_went_through_its_queue(
        script in any_script(),
        batch_max in 1_usize..40,
    ) {
        let in_unit = perform_by(&script, Copies::One, batch_max, HandOver::InUnit);
        let by_queue = perform_by(&script, Copies::One, batch_max, HandOver::ByQueue);
        prop_assert_eq!(in_unit.ends, by_queue.ends);
    }

    #[test]
    fn what_comes_twice_counts_once(script in any_script(), after_ms in 0_u64..40_000, batch_max in 1_usize..40) {
        let once = perform_with(&script, Copies::One, batch_max);
        let twice = perform_with(&script, Copies::Two(Duration::from_millis(after_ms)), batch_max);
        prop_assert_eq!(once.ends, twice.ends);
    }
}
