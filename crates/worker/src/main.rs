//! Orderwright.
fn main() {}
