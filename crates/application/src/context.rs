//! What every command and consumer may use: the time, ids and settings.

use std::sync::Arc;
use std::time::Duration;

use bus::{Clock, IdSource, Patience, PauseBoard, RetryPolicy};

use domain::{Capture, WhenShort};

use crate::hold_rules::HoldRules;
use crate::saga::{STAGE_LIMITS, StageLimits};

/// Settings of the pipeline.
#[derive(Clone, Copy, Debug)]
pub struct PipelineSettings {
    /// When the money of a new order is taken.
    pub capture: Capture,
    /// What becomes of a new order that does not say it, if its goods are short.
    pub when_short: WhenShort,
    /// The time limit of each stage.
    pub limits: StageLimits,
    /// Retries of a charge or booking, after the first attempt.
    pub call_retry: RetryPolicy,
    /// Longest interval between look-ups of a charge or booking with unknown outcome once the retries are used up;
    /// look-ups end when the stage times out.
    pub look_up_interval: Duration,
    /// Pauses while a provider is away or throttles.
    pub away: Patience,
    /// Retries of a compensation step before a person is asked.
    pub undo_retry: RetryPolicy,
    /// Calls under way at once, per kind.
    pub calls_at_once_max: usize,
    /// Messages in one transaction.
    pub batch_max: usize,
    /// How messages reach consumers without effects.
    pub hand_over: HandOver,
}

/// How a message reaches a consumer that only reads and writes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// It is handled in the unit of work that publishes it.
    InUnit,
    /// It goes through its queue.
    ByQueue,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            capture: Capture::AtOnce,
            when_short: WhenShort::Cancel,
            limits: STAGE_LIMITS,
            call_retry: RetryPolicy::exponential(3, Duration::from_millis(200), Duration::from_secs(10)),
            look_up_interval: Duration::from_secs(15),
            away: Patience { first: Duration::from_millis(500), longest: Duration::from_secs(15) },
            undo_retry: RetryPolicy::exponential(6, Duration::from_millis(500), Duration::from_secs(60)),
            calls_at_once_max: bus::limits::PERFORM_MAX,
            batch_max: bus::limits::BATCH_MAX,
            hand_over: HandOver::InUnit,
        }
    }
}

/// What every consumer and command handler may use.
pub struct Context {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and jitter.
    pub ids: Arc<dyn IdSource>,
    /// Settings.
    pub settings: PipelineSettings,
    /// Which consumers persons have paused.
    pub pauses: PauseBoard,
    /// Which new orders are put on hold.
    pub hold_rules: HoldRules,
}
