//! The real program, run as people run it: what it answers, what it leaves behind, and how it refuses.

mod demonstration;
mod descriptors;
mod imports;
mod json;
mod keys;
mod mistakes;
mod places;
mod program;
mod running;
mod secrets;
mod terminal;
mod unread;
