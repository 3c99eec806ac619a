//! The HTTP API over its real router and a real store in memory. Every answer is held against the document of the API.

mod audit;
mod conformance;
mod connections;
mod dead_letters;
mod document;
mod garbage;
mod gate;
mod harness;
mod imported_once;
mod imports;
mod in_doubt;
mod listings;
mod once;
mod orders;
mod outages;
mod pages;
mod personal;
mod problems;
mod sagas;
mod server;
mod stock;
mod texts;
mod tls;
mod waiting;
mod webhooks;
