//! Rows of one rewrite, sorted into the partitions of another spec.
//!
//! So many partitions are written at the same time as memory allows. Where rows fall into more of them, the inputs are read again for the next ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_select::take::take;

use super::admission::Budget;
use super::encode::Encoder;
use super::pool::Pool;
use super::sink::Outputs;
use super::target::Target;
use super::value::{Source, sources};
use crate::engine::Rewritten;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{OutputSpec, Partition, Routing, Value};

/// Rows of one rewrite may fall into so many partitions: each is remembered.
const MOST_PARTITIONS: usize = 100_000;

/// Sorts rows into partitions and writes each one's.
pub(super) struct Router<'a> {
    target: &'a Target,
    output: &'a OutputSpec,
    outputs: &'a Outputs,
    pool: Pool,
    budget: Budget,
    routing: &'a Routing,
    sources: Vec<Source>,
    /// Places in `slots`, by partition values.
    known: HashMap<Vec<u8>, usize>,
    slots: Vec<Slot<'a>>,
    open: usize,
    done: Rewritten,
}

/// One partition.
struct Slot<'a> {
    partition: Arc<Partition>,
    directory: Location,
    stage: Stage<'a>,
}

/// How far a partition is.
enum Stage<'a> {
    /// Its rows are written when the inputs are read again.
    Later,
    /// Its rows are being written.
    Now(Box<Encoder<'a>>),
    /// All its rows have been written.
    Done,
}

impl<'a> Router<'a> {
    /// A router for rows with the columns of `target`.
    ///
    /// # Errors
    ///
    /// `Bug` if `routing` names a column that the target does not have.
    pub(super) fn new(
        target: &'a Target,
        (output, routing): (&'a OutputSpec, &'a Routing),
        outputs: &'a Outputs,
        pool: Pool,
        budget: Budget,
    ) -> Result<Self> {
        let sources = sources(target, &routing.fields)?;
        Ok(Self {
            target,
            output,
            outputs,
            pool,
            budget,
            routing,
            sources,
            known: HashMap::new(),
            slots: Vec::new(),
            open: 0,
            done: Rewritten::default(),
        })
    }

    /// Adds `rows` rows, as [`Encoder::write`].
    ///
    /// # Errors
    ///
    /// As there; `Unsupported` for values that have no place in the spec, `Refused` for too many partitions.
    pub(super) fn write(&mut self, columns: &[ArrayRef], rows: usize, progress: f64) -> Result<()> {
        for (slot, places) in self.sort(columns, rows)? {
            let Some(Slot { stage: Stage::Now(encoder), .. }) = self.slots.get_mut(slot) else { continue };
            if places.len() == rows {
                encoder.write(columns, rows, progress)?;
            } else {
                let (places, indices) = (places.len(), UInt32Array::from(places));
                let taken: Result<Vec<ArrayRef>, _> = columns.iter().map(|column| take(column, &indices, None)).collect();
                let taken = taken.map_err(|_| Error::bug("rows could not be sorted into partitions"))?;
                encoder.write(&taken, places, progress)?;
            }
        }
        self.shrink()
    }

    /// Ends reading the inputs once. Says whether they have to be read again.
    ///
    /// # Errors
    ///
    /// As [`Encoder::finish`].
    pub(super) fn end_pass(&mut self) -> Result<bool> {
        let mut later = Vec::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            match std::mem::replace(&mut slot.stage, Stage::Done) {
                Stage::Now(encoder) => self.done.absorb(encoder.finish()?),
                Stage::Later => {
                    slot.stage = Stage::Later;
                    later.push(at);
                }
                Stage::Done => {}
            }
        }
        self.open = 0;
        for at in later.iter().take(self.most()) {
            self.begin(*at)?;
        }
        Ok(!later.is_empty())
    }

    /// What was written.
    pub(super) fn finish(self) -> Rewritten {
        self.done
    }

    /// How many partitions are written at the same time.
    fn most(&self) -> usize {
        usize::try_from(self.budget.files).unwrap_or(usize::MAX)
    }

    /// The rows of each partition.
    fn sort(&mut self, columns: &[ArrayRef], rows: usize) -> Result<BTreeMap<usize, Vec<u32>>> {
        let values: Vec<Vec<Option<Value>>> = self.sources.iter().map(|source| source.values(columns, rows)).collect::<Result<_>>()?;
        let mut sorted: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let mut key = Vec::new();
        for row in 0..rows {
            key.clear();
            let tuple = values.iter().filter_map(|column| column.get(row));
            tuple.for_each(|value| append(&mut key, value.as_ref()));
            let slot = match self.known.get(&key) {
                Some(slot) => *slot,
                None => self.admit(key.clone(), values.iter().map(|column| column.get(row).cloned().flatten()).collect())?,
            };
            let place = u32::try_from(row).map_err(|_| Error::bug("a batch has too many rows"))?;
            sorted.entry(slot).or_default().push(place);
        }
        Ok(sorted)
    }

    fn admit(&mut self, key: Vec<u8>, values: Vec<Option<Value>>) -> Result<usize> {
        if self.slots.len() >= MOST_PARTITIONS {
            return Err(Error::refused("the rows of one group fall into too many partitions of the new spec")
                .about("most", MOST_PARTITIONS)
                .hint("compact fewer files at a time (--max-group-size, --where), or keep the old spec with --option output-spec-id"));
        }
        let (partition, directory) = self.routing.partitions.partition(values)?;
        let at = self.slots.len();
        self.slots.push(Slot { partition, directory, stage: Stage::Later });
        self.known.insert(key, at);
        if self.open < self.most() {
            self.begin(at)?;
        }
        Ok(at)
    }

    fn begin(&mut self, at: usize) -> Result<()> {
        let Some(slot) = self.slots.get_mut(at) else { return Err(Error::bug("a partition is not known")) };
        let outputs = self.outputs.in_folder(slot.directory.clone());
        let encoder = Encoder::new(self.target, self.output, &outputs, self.pool.clone(), self.budget)?;
        slot.stage = Stage::Now(Box::new(encoder.of_partition(Arc::clone(&slot.partition))));
        self.open += 1;
        Ok(())
    }

    /// Ends row groups, the largest first, until what waits in all of them takes no more memory than one row group may.
    fn shrink(&mut self) -> Result<()> {
        loop {
            let waiting = |slot: &Slot<'_>| if let Stage::Now(encoder) = &slot.stage { encoder.memory() } else { 0 };
            let all: u64 = self.slots.iter().map(waiting).fold(0, u64::saturating_add);
            let largest = self.slots.iter_mut().max_by_key(|slot| waiting(slot));
            match largest.map(|slot| &mut slot.stage) {
                Some(Stage::Now(encoder)) if all > self.budget.row_group.saturating_mul(2) && encoder.memory() > 0 => {
                    encoder.end_row_group()?;
                }
                _ => return Ok(()),
            }
        }
    }
}

/// Appends a value to a key, so that different values make different keys.
fn append(key: &mut Vec<u8>, value: Option<&Value>) {
    let mut sized = |bytes: &[u8]| {
        key.extend((bytes.len() as u64).to_le_bytes());
        key.extend(bytes);
    };
    match value {
        None => key.push(0),
        Some(Value::Bool(v)) => key.extend([1, u8::from(*v)]),
        Some(Value::Int(v)) => sized(&v.to_le_bytes()),
        Some(Value::Long(v)) => sized(&v.to_le_bytes()),
        // Every NaN is the same partition.
        Some(Value::Float(v)) => sized(&if v.is_nan() { f32::NAN } else { *v }.to_bits().to_le_bytes()),
        Some(Value::Double(v)) => sized(&if v.is_nan() { f64::NAN } else { *v }.to_bits().to_le_bytes()),
        Some(Value::Decimal(v, _)) => sized(&v.to_le_bytes()),
        Some(Value::String(v)) => sized(v.as_bytes()),
        Some(Value::Bytes(v)) => sized(v),
    }
}
