//! The order saga. State, table and reaction are pure; `carry_out` is the shell around them.

mod attention;
mod carry_out;
pub mod diagram;
mod migrations;
mod react;
mod standing;
mod state;
mod table;

pub use attention::{Attention, Choices};
pub use carry_out::{Facts, Happening, carry_out};
pub use migrations::{MIGRATIONS, Migration};
pub use react::{STAGE_LIMITS, SagaCommand, SagaEvent, StageLimits, Undo, timers};
pub(crate) use state::named;
pub use state::{
    NewerSaga, OrderProcessingSaga, PaymentStep, SAGA_VERSION, SagaState, ShipmentStep, StockStep,
};
pub use table::{EventKind, Rule, STATES, TABLE, rule};
