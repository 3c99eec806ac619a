//! The use cases of Orderwright: commands and queries with their handlers, consumers, the order saga, and the ports that
//! they need. Knows no SQL, no broker, no HTTP.

pub mod against_gateway;
mod amount;
pub mod commands;
pub mod consumers;
mod context;
pub mod countries;
pub mod hold_rules;
pub mod json_text;
pub mod messages;
pub mod order_details;
pub mod order_timeout_service;
pub mod pipeline;
pub mod ports;
pub mod queries;
mod refund_timer;
pub mod requests;
mod return_wish;
pub mod saga;
pub mod shipping_facts;
mod stock_arrival;
pub mod turns;
pub mod validators;
pub mod whole_number;
mod word;
