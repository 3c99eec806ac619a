//! What the service counts about itself: definitions, where they are kept, and how they are written down. Knows no order and
//! no store; whoever observes records here. A value costs a look along a short list and an atomic addition.

mod definition;
mod definitions;
mod documentation;
mod exposition;
mod registry;

pub use definition::{Definition, Kind, Origin, Unit};
pub use definitions::{DEFINITIONS, Metric};
pub use documentation::documentation;
pub use exposition::{MEDIA_TYPE, text};
pub use registry::{Reading, Registry, Series};
