//! Runs the verb.

use super::{CompactArgs, settings};
use crate::cli::session::Session;
use crate::error::{Error, Result};
use crate::formats::TableVersion;
use crate::ops::compact::Options;

/// Plans, shows the plan, and runs it once somebody agreed.
///
/// # Errors
///
/// As the operation: nothing has been committed, or the outcome in the document says what has.
pub async fn run(args: &CompactArgs, session: &Session<'_>) -> Result<u8> {
    let asked = settings::asked(args, &session.settings.config.compact)?;
    let store = session.store();
    let opened = session.open(&args.table, &store).await?;
    if opened.read_only && session.settings.yes && !session.settings.dry_run {
        return Err(Error::refused("a metadata file is one exact state of a table and cannot be changed")
            .about("location", opened.table.location())
            .hint("name the table's folder, or its name in a catalog"));
    }
    let version = opened.table.load().await?;
    let options = settings::options(&asked, None, version.defaults().target_file_size)?;
    execute_compact(session, version.as_ref(), &options).await
}

async fn execute_compact(_session: &Session<'_>, _version: &dyn TableVersion, _options: &Options) -> Result<u8> {
    Err(Error::unsupported("compaction is being joined"))
}
