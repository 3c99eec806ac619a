//! Clients made from the API's document by other people's programs, against the program itself: each places, finds and cancels
//! orders. The document is also read by two linters. The programs come from Python's and Node's package registries.

mod linters;
mod python;
mod rust;
mod service;
mod tools;
mod typescript;
