//! Parquet files in, Parquet files out.
//!
//! The work of one rewrite is ordinary blocking code on a thread of its own, so that bounded windows, decoding and encoding read as what they are;
//! columns are encoded on a pool of threads that all rewrites share. A rewrite waits until the memory it may use is free. A panic or a bad file
//! fails that rewrite alone.

pub(super) mod adapt;
pub(super) mod admission;
mod ahead;
pub(super) mod by_value;
mod calendar;
pub(super) mod convert;
mod copy;
mod encode;
mod extremes;
mod failure;
pub(super) mod footer;
mod identity;
mod inspect;
mod keys;
mod lanes;
pub(super) mod listed;
pub(super) mod live;
mod nans;
mod pages;
mod pool;
mod properties;
pub(super) mod prune;
pub(super) mod read;
pub(super) mod resolve;
mod route;
mod sink;
pub(super) mod source;
mod stats;
mod survey;
pub(super) mod target;
#[cfg(test)]
mod tests;
mod value;
mod variant;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::runtime::Handle;

use self::admission::{Admission, Budget};
use self::ahead::{Ahead, Wanted};
use self::by_value::{Locator, key_memory};
use self::calendar::Calendar;
use self::copy::Copier;
use self::encode::Encoder;
use self::pool::Pool;
use self::read::RowWidth;
use self::resolve::{Constants, resolve};
use self::route::Router;
use self::sink::Outputs;
use self::source::Source;
use self::survey::{Copyable, Footers, Survey};
use self::target::Target;
use super::rows::{Each, RowReader, Start, source};
use super::{RewritePath, RewriteTask, Rewriter, Rewritten};
use crate::error::{Error, Result};
use crate::model::{DataFile, FileFormat, OutputSpec, Routing, RowDeletes};
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
    async fn rewrite(&self, mut task: RewriteTask) -> Result<Rewritten> {
        let located = self.locate_deletes(&task.inputs).await?;
        task.inputs.iter_mut().zip(located).for_each(|(input, located)| input.1 = located);
        let inputs = task.inputs.iter().map(|(file, _)| file);
        let mut budget = Budget::new(self.settings.memory, task.output.row_group_size).with_inputs(inputs);
        if task.output.routing.is_some() {
            budget = budget.of_many_files(self.settings.memory, task.output.directory.scheme() == "file");
        }
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
        match self.settings.runtime.spawn_blocking(move || job.run_and_tidy(&mut task)).await {
            Ok(result) => result,
            Err(panic) => {
                outputs.remove_all().await;
                Err(Error::bug("a rewrite broke off").because(panic))
            }
        }
    }

    async fn stored_rows(&self, file: &DataFile) -> Result<u64> {
        let (store, runtime, file) = (self.store.clone(), self.settings.runtime.clone(), file.clone());
        let opened = self.settings.runtime.spawn_blocking(move || stored_rows(source(&store, &runtime, &file), &file)).await;
        opened.unwrap_or_else(|panic| Err(Error::bug("reading a footer broke off").because(panic)))
    }

    async fn files_if_copied(&self, file: &DataFile, target: Bytes) -> Result<u64> {
        if file.format != FileFormat::Parquet {
            return Ok(1);
        }
        let (source, file) = (source(&self.store, &self.settings.runtime, file), file.clone());
        let counted = self.settings.runtime.spawn_blocking(move || {
            let opened = footer::peek(source, &file, None)?;
            Ok(copy::files_if_copied(&opened.metadata, target.0))
        });
        counted.await.unwrap_or_else(|panic| Err(Error::bug("reading a footer broke off").because(panic)))
    }

    async fn locate_deletes(&self, files: &[(DataFile, RowDeletes)]) -> Result<Vec<RowDeletes>> {
        if files.iter().all(|(_, deletes)| deletes.len().is_some()) {
            return Ok(files.iter().map(|(_, deletes)| deletes.clone()).collect());
        }
        let budget = Budget::new(self.settings.memory, Bytes(0)).with_inputs(files.iter().map(|(file, _)| file));
        let keys = key_memory(files, self.settings.memory);
        let _permit = self.admission.admit(Bytes(keys.saturating_add(budget.need().0))).await?;
        let cancel = CancelOnDrop::default();
        let (store, runtime, cancelled) = (self.store.clone(), self.settings.runtime.clone(), Arc::clone(&cancel.0));
        let (locator, files) = (Locator { store, runtime, budget, keys, cancelled }, files.to_vec());
        let located = self.settings.runtime.spawn_blocking(move || locator.run(&files)).await;
        located.unwrap_or_else(|panic| Err(Error::bug("reading deletes broke off").because(panic)))
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

/// Rows that the footer of `file` counts.
fn stored_rows(source: Source, file: &DataFile) -> Result<u64> {
    match file.format {
        FileFormat::Parquet => Ok(footer::peek(source, file, None)?.rows),
        other => {
            let message = format!("the table does not say how many rows a data file in {} has", other.as_str());
            Err(Error::unsupported(message).about("file", &file.location))
        }
    }
}

/// Takes an input with its deletes, and what is at hand of it.
type EachInput<'a> = dyn FnMut(&(DataFile, RowDeletes), Start) -> Result<()> + 'a;

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
    fn run_and_tidy(&self, task: &mut RewriteTask) -> Result<Rewritten> {
        let result = self.note_calendar(task).and_then(|calendar| {
            let mut done = self.run(task)?;
            done.files.iter_mut().for_each(|file| calendar.loosen(&mut file.stats));
            Ok(done)
        });
        if result.is_err() || self.cancelled.load(Ordering::Relaxed) {
            self.runtime.block_on(self.outputs.remove_all());
        }
        result
    }

    /// New files have the calendar of the first input, and say so.
    fn note_calendar(&self, task: &mut RewriteTask) -> Result<Calendar> {
        let matters = task.output.calendars && calendar::matters(&task.output.schema.fields);
        let first = task.inputs.first().map(|(file, _)| file).filter(|file| matters && file.format == FileFormat::Parquet);
        let Some(file) = first else { return Ok(Calendar::default()) };
        let opened = footer::peek(self.source(file), file, None)?;
        let notes = calendar::notes(opened.metadata.file_metadata());
        let calendar = Calendar::noted(&notes);
        task.output.metadata.extend(notes);
        Ok(calendar)
    }

    fn run(&self, task: &RewriteTask) -> Result<Rewritten> {
        let target = Target::new(&task.output)?;
        if let Some(routing) = &task.output.routing {
            return self.route(task, &target, routing);
        }
        let mut footers = Footers::default();
        if task.path != RewritePath::Encode {
            match self.survey(task, &target, &mut footers)? {
                Ok(plan) if plan.worthwhile || task.path == RewritePath::Copy => return self.copy(task, &plan, &mut footers),
                Err(obstacle) if task.path == RewritePath::Copy => {
                    return Err(cannot_copy(obstacle));
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
        let own = task.output.partition.spec_id;
        if task.inputs.iter().any(|(file, _)| file.partition.spec_id != own && !file.partition.constants.is_empty()) {
            return Ok(Err("a column that was the same for a partition becomes an ordinary one"));
        }
        let mut survey = Survey::default();
        let mut tails = self.ahead(task.inputs.iter().map(|(file, _)| wanted(file, footer::tail(file.size.0))), u64::MAX);
        for (file, _) in &task.inputs {
            self.check_cancelled()?;
            if file.format != FileFormat::Parquet {
                return Ok(Err("a file is not Parquet"));
            }
            let opened = footer::peek(self.source(file), file, tails.take())?;
            let descriptor = opened.metadata.file_metadata().schema_descr();
            let resolution =
                resolve(descriptor, target, &reading(&task.output, file), Constants::Fill).map_err(|e| e.about("file", &file.location))?;
            let calendar = Calendar::of(opened.metadata.file_metadata());
            if task.output.calendars && !Calendar::noted(&task.output.metadata).takes(&calendar) {
                return Ok(Err("dates and times of the files are after different calendars"));
            }
            if let Err(obstacle) = survey.add(&opened.metadata, resolution, &task.output) {
                return Ok(Err(obstacle));
            }
            footers.push(opened);
        }
        Ok(survey.finish(&task.output).ok_or("there are no files"))
    }

    fn copy(&self, task: &RewriteTask, plan: &Copyable, footers: &mut Footers) -> Result<Rewritten> {
        let mut copier = Copier::new(plan, &task.output, &self.outputs)?;
        self.open_all(task, footers, copy::AHEAD, &mut |(file, _), start| {
            self.check_cancelled()?;
            copier.copy(&start.parquet(self.source(file), file)?)
        })?;
        copier.finish()
    }

    fn check_cancelled(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::unavailable("the rewrite was given up")) } else { Ok(()) }
    }

    fn source(&self, file: &DataFile) -> Source {
        source(&self.store, &self.runtime, file)
    }

    fn ahead<I: Iterator<Item = Wanted>>(&self, wanted: I, budget: u64) -> Ahead<I> {
        Ahead::new(self.store.clone(), self.runtime.clone(), wanted, budget)
    }

    /// Takes the inputs in turn, of which some footers are known already. Of those to come, about `budget` bytes are fetched before their turn.
    fn open_all(&self, task: &RewriteTask, footers: &mut Footers, budget: u64, each: &mut EachInput<'_>) -> Result<()> {
        let starts: Vec<Wanted> = task
            .inputs
            .iter()
            .enumerate()
            .map(|(at, (file, _))| {
                if file.format == FileFormat::Avro {
                    return wanted(file, footer::rest(file.size.0)?);
                }
                let Some(known) = footers.get(at) else { return wanted(file, footer::start(file.size.0)) };
                wanted(file, footer::rest(known.source.size())?)
            })
            .collect();
        let mut starts = self.ahead(starts.into_iter(), budget);
        for (at, input) in task.inputs.iter().enumerate() {
            each(input, Start { opened: footers.take(at), fetched: starts.take() })?;
        }
        Ok(())
    }

    fn encode(&self, task: &RewriteTask, target: &Target, footers: &mut Footers) -> Result<Rewritten> {
        let mut encoder = Encoder::new(target, &task.output, &self.outputs, self.pool.clone(), self.budget)?;
        self.rows(task, target, footers, &mut |columns, rows, progress| encoder.write(columns, rows, progress))?;
        encoder.finish()
    }

    /// Sorts the rows into the partitions of another spec.
    fn route(&self, task: &RewriteTask, target: &Target, routing: &Routing) -> Result<Rewritten> {
        if task.path == RewritePath::Copy {
            return Err(cannot_copy("rows have to be sorted into the partitions of another spec"));
        }
        let mut router = Router::new(target, (&task.output, routing), &self.outputs, self.pool.clone(), self.budget)?;
        loop {
            self.rows(task, target, &mut Footers::default(), &mut |columns, rows, progress| router.write(columns, rows, progress))?;
            if !router.end_pass()? {
                return Ok(router.finish());
            }
        }
    }

    /// Hands every batch of live rows to `each`, with the share of all inputs (0 to 1) that was read by then.
    fn rows(&self, task: &RewriteTask, target: &Target, footers: &mut Footers, each: &mut Each<'_>) -> Result<()> {
        let total: Bytes = task.inputs.iter().map(|(file, _)| file.size).sum();
        let mut widths = RowWidth::default();
        let mut before = Bytes(0);
        self.open_all(task, footers, self.budget.window, &mut |(file, deletes), start| {
            // What a file may leave out follows from its own partition.
            let reading = reading(&task.output, file);
            let mut reader = RowReader::new(self.store.clone(), self.runtime.clone(), target, &reading, self.budget);
            reader.widths = std::mem::take(&mut widths);
            let result = reader.read(file, deletes, start, &mut |columns, rows, share| {
                self.check_cancelled()?;
                each(columns, rows, progress(before, file.size, share, total))
            });
            widths = reader.widths;
            result?;
            before = before.plus(file.size);
            Ok(())
        })
    }
}

fn cannot_copy(obstacle: &str) -> Error {
    let error = Error::unsupported("the row groups cannot be copied as they are").about("because", obstacle);
    error.hint("leave the choice of the path to the tool, or ask for encoding")
}

/// `output`, for reading `file`: files of another spec have other columns that are the same in all their rows.
fn reading<'a>(output: &'a OutputSpec, file: &DataFile) -> Cow<'a, OutputSpec> {
    if output.routing.is_none() && file.partition.spec_id == output.partition.spec_id {
        return Cow::Borrowed(output);
    }
    Cow::Owned(OutputSpec { partition: Arc::clone(&file.partition), ..output.clone() })
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
