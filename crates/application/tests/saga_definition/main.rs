//! The saga's definition as data: the table is total, the reaction agrees with it on every input, and what was released does
//! not change in silence. It must not know how an order runs; the model does that.

extern crate orderwright_application as application;

mod fingerprint;
mod reaction;
mod sagas;
mod table;
