//! Guesses what somebody meant who mistyped a name. Never decides anything by a guess.

/// Letters that may be wrong, missing or too many for a guess to be worth telling: one in three.
const LETTERS_PER_SLIP: usize = 3;

/// The known name that is nearest, if one is near.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = typed.chars().count().max(LETTERS_PER_SLIP) / LETTERS_PER_SLIP;
    known
        .into_iter()
        .map(|name| (distance(typed, name), name))
        .filter(|(slips, _)| *slips <= slips_max)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be changed, put in or taken out to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, known) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *known);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let known = ["order_ms", "payment_ms", "shipping_ms"];
        for (typed, meant) in
            [("order_mss", "order_ms"), ("payement_ms", "payment_ms"), ("shiping_ms", "shipping_ms")]
        {
            let guess = nearest(typed, known);
            assert_eq!(guess, Some(meant), "{typed}");
        }
        assert_eq!(nearest("colour", known), None);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting"), distance("a", "a")), (3, 3, 0));
    }
}
