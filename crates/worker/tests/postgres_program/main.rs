//! The program on a PostgreSQL server: every command, several workers, and what it says when the server cannot be used.

mod commands;
mod mistakes;
mod program;
mod reading;
