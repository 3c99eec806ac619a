//! What spreadsheets do to numbers that are names: they round them, and take them for days. Two orders become one that way, so
//! that such a name is refused and never guessed at.

/// What is to be done about it.
pub(super) const REMEDY: &str =
    "format its column as text before the numbers are put in, or take the export as the shop wrote it";

/// Whether a spreadsheet has rounded a number: `1.23457E+11`, of which nobody knows the last digits.
pub(super) fn is_rounded(field: &str) -> bool {
    let Some((digits, exponent)) = field.trim().split_once(['E', 'e']) else { return false };
    let (whole, decimals) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let has_decimals = whole.len() < digits.len();
    let negative = exponent.strip_prefix('-').filter(|_| has_decimals);
    number(whole)
        && (!has_decimals || number(decimals))
        && exponent.strip_prefix('+').or(negative).is_some_and(|power| power.len() >= 2 && number(power))
}

/// What is wrong with a name that was rounded.
pub(super) fn rounded(what: &str, field: &str) -> String {
    format!("{what} is '{field}', which a spreadsheet has rounded; {REMEDY}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounded_number_is_told_from_a_name() {
        for field in ["1.23457E+11", "1,23457E+11", "1E+11", " 1.2e+05 ", "5.00E-10"] {
            assert!(is_rounded(field), "{field}");
        }
        for field in ["1E5", "12E3", "5E-10", "E+11", "1.E+11", "A1E+11", "1E+1", "1E+", "1E+1x", "", "1001"]
        {
            assert!(!is_rounded(field), "{field}");
        }
    }
}
