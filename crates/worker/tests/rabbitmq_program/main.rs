//! The program with RabbitMQ between its workers: on PostgreSQL and on SQLite, under mishaps, with commands beside it, and
//! what it says when the broker cannot be used.

mod carriers;
mod mistakes;
mod requests;
mod servers;
