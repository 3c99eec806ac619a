//! Orderwright, the program: configuration, wiring, HTTP API, background services and command line. It has no
//! business rule and no SQL; it joins the crates that do.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod against_gateway;
pub mod any_store;
pub mod background;
pub mod broker;
pub mod cli;
pub mod conceal;
pub mod config;
pub mod deliveries;
pub mod demo;
pub mod descriptors;
pub mod entrance;
pub mod health;
pub mod http;
pub mod import;
mod letters;
pub mod metrics;
pub mod notifying;
pub mod observe;
pub mod operations;
pub mod otlp;
pub mod page;
pub mod said;
pub mod security;
mod set_aside;
pub mod telemetry;
mod terminal;
pub mod tls;
pub mod turns;
pub mod webhook_endpoints;
pub mod wiring;
pub mod workers;
