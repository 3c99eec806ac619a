//! The sandbox as its clients see it: real sockets on loopback, a real HTTP client, a real webhook receiver.

mod by_hand;
mod client;
mod faults;
mod operator;
mod payments;
mod receiver;
mod shipping;
mod webhooks;
