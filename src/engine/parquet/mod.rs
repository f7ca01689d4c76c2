//! Parquet files in, Parquet files out.
//!
//! The work of one rewrite is ordinary blocking code on a thread of its own, so that bounded windows, decoding and encoding read as what they are;
//! columns are encoded on a pool of threads that all rewrites share. A rewrite waits until the memory it may use is free. A panic or a bad file
//! fails that rewrite alone.

mod adapt;
mod admission;
mod ahead;
mod convert;
mod copy;
mod encode;
mod extremes;
mod failure;
mod footer;
mod identity;
mod inspect;
mod lanes;
mod live;
mod nans;
mod pool;
mod properties;
mod read;
mod resolve;
mod sink;
mod source;
mod stats;
mod survey;
mod target;
#[cfg(test)]
mod tests;
mod thrift;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::runtime::Handle;

use self::admission::{Admission, Budget};
use self::ahead::{Ahead, Wanted};
use self::copy::Copier;
use self::encode::Encoder;
use self::footer::Opened;
use self::pool::Pool;
use self::read::{Input, RowWidth};
use self::resolve::{Constants, resolve};
use self::sink::Outputs;
use self::source::Source;
use self::survey::{Copyable, Footers, Survey};
use self::target::Target;
use super::{RewritePath, RewriteTask, Rewriter, Rewritten};
use crate::error::{Error, Result};
use crate::model::{DataFile, FileFormat, RowDeletes};
use crate::store::Store;
use crate::units::Bytes;

/// What the engine may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory of all rewrites together.
    pub memory: Bytes,
    /// Threads that encode columns.
    pub threads: usize,
    /// The runtime whose storage calls are waited for.
    pub runtime: Handle,
}

/// Rewrites Parquet files.
#[derive(Debug)]
pub struct ParquetRewriter {
    store: Store,
    settings: Settings,
    admission: Admission,
    pool: Pool,
}

impl ParquetRewriter {
    /// A rewriter over `store`.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the system gives no threads.
    pub fn new(store: Store, settings: Settings) -> Result<Self> {
        let admission = Admission::new(settings.memory);
        let pool = Pool::new(settings.threads)?;
        Ok(Self { store, settings, admission, pool })
    }
}

#[async_trait]
impl Rewriter for ParquetRewriter {
    async fn rewrite(&self, task: RewriteTask) -> Result<Rewritten> {
        let budget = Budget::new(self.settings.memory, task.output.row_group_size);
        let _permit = self.admission.admit(budget.need()).await?;
        let runtime = self.settings.runtime.clone();
        let outputs = Outputs::new(self.store.clone(), runtime, task.output.directory.clone(), task.name_stem.clone());
        let cancel = CancelOnDrop::default();
        let job = Job {
            store: self.store.clone(),
            runtime: self.settings.runtime.clone(),
            pool: self.pool.clone(),
            budget,
            outputs: outputs.clone(),
            cancelled: Arc::clone(&cancel.0),
        };
        match self.settings.runtime.spawn_blocking(move || job.run_and_tidy(&task)).await {
            Ok(result) => result,
            Err(panic) => {
                outputs.remove_all().await;
                Err(Error::bug("a rewrite broke off").because(panic))
            }
        }
    }

    async fn stored_rows(&self, file: &DataFile) -> Result<u64> {
        let (store, runtime, file) = (self.store.clone(), self.settings.runtime.clone(), file.clone());
        let opened = self.settings.runtime.spawn_blocking(move || footer::peek(source(&store, &runtime, &file)?, &file, None)).await;
        Ok(opened.unwrap_or_else(|panic| Err(Error::bug("reading a footer broke off").because(panic)))?.rows)
    }
}

/// Tells the blocking half that nobody waits for it any more.
#[derive(Debug, Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The file, to be read.
fn source(store: &Store, runtime: &Handle, file: &DataFile) -> Result<Source> {
    if file.format != FileFormat::Parquet {
        let message = format!("{} data files are not read yet", file.format.as_str());
        return Err(Error::unsupported(message).about("file", &file.location));
    }
    Ok(Source::new(store.clone(), runtime.clone(), file.location.clone(), file.size.0))
}

/// Takes an input with its deletes, opened.
type EachInput<'a> = dyn FnMut((&(DataFile, RowDeletes), &Opened)) -> Result<()> + 'a;

/// The blocking half of one rewrite.
struct Job {
    store: Store,
    runtime: Handle,
    pool: Pool,
    budget: Budget,
    outputs: Outputs,
    cancelled: Arc<AtomicBool>,
}

impl Job {
    /// Leaves no file behind where nobody gets to know of it.
    fn run_and_tidy(&self, task: &RewriteTask) -> Result<Rewritten> {
        let result = self.run(task);
        if result.is_err() || self.cancelled.load(Ordering::Relaxed) {
            self.runtime.block_on(self.outputs.remove_all());
        }
        result
    }

    fn run(&self, task: &RewriteTask) -> Result<Rewritten> {
        let target = Target::new(&task.output)?;
        let mut footers = Footers::default();
        if task.path != RewritePath::Encode {
            match self.survey(task, &target, &mut footers)? {
                Ok(plan) if plan.worthwhile || task.path == RewritePath::Copy => return self.copy(task, &plan, &mut footers),
                Err(obstacle) if task.path == RewritePath::Copy => {
                    return Err(Error::unsupported("the row groups cannot be copied as they are")
                        .about("because", obstacle)
                        .hint("leave the choice of the path to the tool, or ask for encoding"));
                }
                Ok(_) | Err(_) => {}
            }
        }
        self.encode(task, &target, &mut footers)
    }

    /// Reads all footers, as long as copying seems possible; else says what it fails for.
    fn survey(&self, task: &RewriteTask, target: &Target, footers: &mut Footers) -> Result<Result<Copyable, &'static str>> {
        if task.output.row_ids.is_some() {
            return Ok(Err("row ids have to be stored"));
        }
        if task.inputs.iter().any(|(_, deletes)| !deletes.is_empty()) {
            return Ok(Err("deleted rows have to go"));
        }
        let mut survey = Survey::default();
        let mut tails = self.ahead(task.inputs.iter().map(|(file, _)| wanted(file, footer::tail(file.size.0))), u64::MAX);
        for (file, _) in &task.inputs {
            self.check_cancelled()?;
            let opened = footer::peek(self.source(file)?, file, tails.take())?;
            let descriptor = opened.metadata.file_metadata().schema_descr();
            let resolution = resolve(descriptor, target, &task.output, Constants::Fill).map_err(|e| e.about("file", &file.location))?;
            if let Err(obstacle) = survey.add(&opened.metadata, resolution, &task.output) {
                return Ok(Err(obstacle));
            }
            footers.push(opened);
        }
        Ok(survey.finish(&task.output).ok_or("there are no files"))
    }

    fn copy(&self, task: &RewriteTask, plan: &Copyable, footers: &mut Footers) -> Result<Rewritten> {
        let mut copier = Copier::new(plan, &task.output, &self.outputs)?;
        self.open_all(task, footers, copy::AHEAD, &mut |(_, opened)| {
            self.check_cancelled()?;
            copier.copy(opened)
        })?;
        copier.finish()
    }

    fn check_cancelled(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::unavailable("the rewrite was given up")) } else { Ok(()) }
    }

    fn source(&self, file: &DataFile) -> Result<Source> {
        source(&self.store, &self.runtime, file)
    }

    fn ahead<I: Iterator<Item = Wanted>>(&self, wanted: I, budget: u64) -> Ahead<I> {
        Ahead::new(self.store.clone(), self.runtime.clone(), wanted, budget)
    }

    /// Opens the inputs in turn, of which some footers are known already. Of those to come, about `budget` bytes are fetched before their turn.
    fn open_all(&self, task: &RewriteTask, footers: &mut Footers, budget: u64, each: &mut EachInput<'_>) -> Result<()> {
        let starts: Vec<Wanted> = task
            .inputs
            .iter()
            .enumerate()
            .map(|(at, (file, _))| {
                let Some(known) = footers.get(at) else { return wanted(file, footer::start(file.size.0)) };
                wanted(file, footer::rest(known.source.size())?)
            })
            .collect();
        let mut starts = self.ahead(starts.into_iter(), budget);
        for (at, input) in task.inputs.iter().enumerate() {
            let (file, fetched) = (&input.0, starts.take());
            let opened = match (footers.take(at), fetched) {
                (None, fetched) => footer::open(self.source(file)?, file, fetched)?,
                (Some(known), None) => known,
                (Some(known), Some(whole)) => {
                    known.source.keep(0, whole?);
                    known
                }
            };
            each((input, &opened))?;
        }
        Ok(())
    }

    fn encode(&self, task: &RewriteTask, target: &Target, footers: &mut Footers) -> Result<Rewritten> {
        let mut encoder = Encoder::new(target, &task.output, &self.outputs, self.pool.clone(), self.budget)?;
        let total: Bytes = task.inputs.iter().map(|(file, _)| file.size).sum();
        let widths = RowWidth::default();
        let mut before = Bytes(0);
        self.open_all(task, footers, self.budget.window, &mut |((file, deletes), opened)| {
            let input = Input::new((file, opened), target, &task.output, self.budget, &widths)?;
            input.read(deletes, &mut |columns, rows, share| {
                self.check_cancelled()?;
                encoder.write(columns, rows, progress(before, file.size, share, total))
            })?;
            before = before.plus(file.size);
            Ok(())
        })?;
        encoder.finish()
    }
}

/// `range` of `file`.
#[allow(clippy::unnecessary_wraps, reason = "some files need nothing")]
fn wanted(file: &DataFile, range: Range<u64>) -> Wanted {
    Some((file.location.clone(), range))
}

/// How much of all inputs is read when `share` of one of `size` bytes is, after `before` bytes of others.
#[allow(clippy::cast_precision_loss, reason = "a fraction for an estimate")]
fn progress(before: Bytes, size: Bytes, share: f64, total: Bytes) -> f64 {
    (before.0 as f64 + size.0 as f64 * share) / (total.0.max(1) as f64)
}
