//! The real program, run as people run it: what it answers, what it leaves behind, and how it refuses.

mod against_provider;
mod at_the_provider;
mod backorders;
mod backup;
mod captures;
mod changes;
mod consumers;
mod demonstration;
mod descriptors;
mod fewer;
mod holds;
mod imports;
mod json;
mod keyed;
mod keys;
mod mistakes;
mod other_amounts;
mod places;
mod program;
mod refunds;
mod returns;
mod running;
mod secrets;
mod shop;
mod terminal;
mod unread;
