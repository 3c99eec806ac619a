//! How many columns a list names, for those who read what stands behind it.

/// The columns in a list of names with commas between.
pub(crate) const fn column_count(list: &str) -> usize {
    let (bytes, mut at, mut commas) = (list.as_bytes(), 0, 0);
    while at < bytes.len() {
        if bytes[at] == b',' {
            commas += 1;
        }
        at += 1;
    }
    commas + 1
}
