//! The operators' page in a real browser: what an operator does all day, on two workers that share a PostgreSQL database and
//! a RabbitMQ broker; and every page against the rules of accessibility, in the dark, on a narrow screen, by keyboard and
//! without script. Pictures are written with `ORDERWRIGHT_PICTURES=FOLDER`.

mod rules;
mod screen;
mod shop;
mod tasks;
