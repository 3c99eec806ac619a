//! Where the sweeps let die: a runtime that ends with whoever lives in it.

use std::thread;

use tokio::runtime::Builder;
use tokio::task::block_in_place;

/// Runs a life in a runtime of its own, which ends with it: nothing that it has left behind runs any more, so that it gives up no
/// claim and takes leave of nobody. Its connections close, as those of a process that was killed.
pub fn apart<T: Send>(life: impl Future<Output = T> + Send) -> T {
    let alone = || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("there are threads");
        let end = runtime.block_on(life);
        runtime.shutdown_background();
        end
    };
    let ended = block_in_place(|| thread::scope(|scope| scope.spawn(alone).join()));
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
