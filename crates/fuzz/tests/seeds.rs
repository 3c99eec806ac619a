//! What was ever found stays found: every seed is taken, and so is what becomes of it by small changes. Whoever looks for more
//! searches with `cargo xtask fuzz`.

use orderwright_fuzz::{Parser, seeds};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A change of a seed.
#[derive(Clone, Debug)]
enum Change {
    Drop(Index, usize),
    Put(Index, Vec<u8>),
    Repeat(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), 1..16_usize).prop_map(|(at, count)| Change::Drop(at, count)),
        (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Change::Put(at, bytes)),
        (any::<Index>(), select(&["\"", "{", "}", "\\", "\n", "\0", "-1", "1e999", "99999999999999999999", "\u{feff}", "ß"][..]))
            .prop_map(|(at, text)| Change::Put(at, text.as_bytes().to_vec())),
        (any::<Index>(), 1..24_usize).prop_map(|(at, count)| Change::Repeat(at, count)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |index: &Index| index.index(bytes.len() + 1);
        match change {
            Change::Drop(index, count) => {
                let at = at(index);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Change::Put(index, more) => {
                let at = at(index);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Repeat(index, count) => {
                let at = at(index);
                let piece = bytes[at..(at + count).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

#[test]
fn every_parser_has_seeds_and_takes_each_of_them() {
    for parser in Parser::ALL {
        let seeds = seeds(*parser);
        assert!(!seeds.is_empty(), "{} has none", parser.as_str());
        seeds.iter().for_each(|(_, bytes)| parser.take(bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_parser_takes_whatever_becomes_of_a_seed(
        parser in select(Parser::ALL),
        seed in any::<Index>(),
        changes in proptest::collection::vec(change(), 1..5),
    ) {
        let seeds = seeds(parser);
        let (_, bytes) = &seeds[seed.index(seeds.len())];
        parser.take(&changed(bytes.clone(), &changes));
    }
}
