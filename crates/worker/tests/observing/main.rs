//! What the service tells about itself: metrics as Prometheus reads them, and health that turns where something was broken,
//! and nowhere else.

mod health;
mod logs;
mod names;
mod scraping;
mod stage;
mod traces;
