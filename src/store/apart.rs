//! Work that keeps a processor busy for a moment, on a thread of its own.

use tokio::runtime::Handle;

use crate::error::{Error, Result};

/// Does `work` on a thread for such work, so that whoever waits for it can do something else meanwhile; where there is no runtime, at once.
///
/// # Errors
///
/// Those of `work`; `Bug` if it broke off.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(|e| Error::bug("work on another thread broke off").because(e))?,
        Err(_) => work(),
    }
}
