//! HTML for operators of the bus: the frame around a page, its components, and what the bus itself has to show:
//! queues, dead letters, sagas and timers. Pages are made on the server, work without script, and hold no inline script or style, so that
//! `default-src 'self'` is all they need. Knows nothing of
//! what the messages are about; services build their own pages on this.

mod assets;
mod chart;
mod dead_letters;
mod form;
mod frame;
mod parts;
mod queues;
mod router;
mod sagas;

pub use assets::{asset, headers};
pub use chart::{Bar, BarKind, sparkline, waterfall};
pub use dead_letters::{Letter, letter};
pub use form::{Action, Field, Forbidden};
pub use frame::{Frame, Link, Notice, Tone};
pub use parts::{Column, ago, badge, fragment, moment, pager, short_id, table};
pub use queues::{QueueRow, queues};
pub use router::{BusPages, router};
pub use sagas::{SagaRow, TimerRow, sagas, timer};
