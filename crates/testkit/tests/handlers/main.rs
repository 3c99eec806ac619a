//! The command handlers over a real store, each through its own door: what they answer, and what they leave behind.

mod accepting;
mod comparing;
mod deliveries;
mod fewer;
mod firings;
mod holding;
mod operating;
mod overtaken;
mod returning;
mod shipping;
mod shop;
mod stocking;
mod telling;
mod validating;
mod vetting;
mod waiting;
