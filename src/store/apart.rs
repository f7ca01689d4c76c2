//! Work that keeps a processor busy for a moment, beside whoever waits for it.

use tokio::runtime::Handle;

use crate::error::{Error, Result};

/// Does `work` on one of the runtime's own threads, so that whoever waits for it can do something else meanwhile; where there is no runtime, at
/// once. There are as many of those as processors: what is allocated by the million is spread over few of them, and each keeps some of it for later.
///
/// # Errors
///
/// Those of `work`; `Bug` if it broke off.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn(async { work() }).await.map_err(|e| Error::bug("work on another thread broke off").because(e))?,
        Err(_) => work(),
    }
}
