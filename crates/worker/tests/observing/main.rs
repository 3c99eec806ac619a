//! What the service tells about itself: metrics as Prometheus reads them, and health that turns where something was broken,
//! and nowhere else.

mod broker;
mod collector;
mod health;
mod logs;
mod names;
mod scraping;
mod stage;
mod traces;
