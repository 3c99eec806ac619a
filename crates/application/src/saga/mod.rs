//! The order saga. State, table and reaction are pure; `carry_out` is the shell around them.

mod attention;
mod awaiting_stock;
mod capture;
mod carry_out;
mod choices;
pub mod diagram;
mod event;
mod migrations;
pub(crate) mod named;
mod on_hold;
mod react;
mod standing;
mod state;
mod table;
mod undo;

pub use attention::{Attention, Attentions};
pub use carry_out::{Facts, Happening, carry_out};
pub use choices::Choices;
pub use event::{STAGE_LIMITS, SagaEvent, StageLimits, timers};
pub use migrations::{MIGRATIONS, Migration};
pub(crate) use named::named;
pub use react::SagaCommand;
pub use state::{
    NewerSaga, OrderProcessingSaga, PaymentStep, SAGA_VERSION, SagaState, ShipmentStep, StockStep,
};
pub use table::{EventKind, Rule, STATES, TABLE, rule};
pub use undo::Undo;
