//! Events that belong to no order, as both engines store them.

use application::ports::{Provider, ProviderNews};
use bus::Fault;

/// The event of a row.
pub(crate) fn told(provider: &str, news: &str) -> Result<(Provider, ProviderNews), Fault> {
    let provider = provider.parse().map_err(|error: String| Fault::give_up("unmatched.get", error))?;
    Ok((provider, ProviderNews::of_stored(news)?))
}
