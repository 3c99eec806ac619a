//! The service's own metrics: definitions, registry and output. Knows no order and no store; observers record here. A
//! value costs a search in a short list and an atomic addition.

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
