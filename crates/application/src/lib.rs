//! The use cases of Orderwright: commands and queries with their handlers, the consumers, the order saga, and the ports
//! through which they see the world. Knows no SQL, no broker, no HTTP.

pub mod commands;
pub mod consumers;
pub mod json_text;
pub mod messages;
pub mod pipeline;
pub mod ports;
pub mod saga;
pub mod turns;
pub mod validators;
