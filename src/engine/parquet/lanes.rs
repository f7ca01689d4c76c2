//! Column-parallel encoding of one row group.

use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow_array::ArrayRef;
use arrow_schema::FieldRef;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};

use super::failure::encode_error;
use super::nans::count_nans;
use super::pool::Pool;
use super::resolve::leaves;
use crate::error::{Error, Result};

/// Arrays of one column that may wait while others of it are encoded.
const WAITING: usize = 1;

/// The columns of a row group, each encoded in order, side by side with the others.
pub(super) struct Lanes {
    pool: Pool,
    lanes: Vec<Lane>,
    sender: Sender<(usize, Result<Outcome>)>,
    answers: Receiver<(usize, Result<Outcome>)>,
    busy: usize,
}

#[derive(Default)]
struct Lane {
    /// `None` while an encoding thread has it.
    column: Option<Column>,
    waiting: VecDeque<ArrayRef>,
    estimated: usize,
    memory: usize,
}

/// A top-level column with the writers of its leaves.
struct Column {
    field: FieldRef,
    writers: Vec<ArrowColumnWriter>,
    nans: Vec<u64>,
}

enum Outcome {
    Written { column: Column, estimated: usize, memory: usize },
    Closed { chunks: Vec<ArrowColumnChunk>, nans: Vec<u64> },
}

/// What became of one row group: its column chunks, and the NaNs of each.
pub(super) type Closed = (Vec<ArrowColumnChunk>, Vec<u64>);

impl Lanes {
    /// Lanes for `fields`, whose leaves are written by `writers` in order.
    pub(super) fn new(pool: Pool, fields: &[FieldRef], writers: Vec<ArrowColumnWriter>) -> Self {
        let mut writers = writers.into_iter();
        let lane = |field: &FieldRef| {
            let count = leaves(field.data_type());
            let column = Column { field: FieldRef::clone(field), writers: writers.by_ref().take(count).collect(), nans: vec![0; count] };
            Lane { column: Some(column), ..Lane::default() }
        };
        let lanes = fields.iter().map(lane).collect();
        let (sender, answers) = channel();
        Self { pool, lanes, sender, answers, busy: 0 }
    }

    /// Encodes one batch; returns while its columns are still being encoded, but not before there is room for the next.
    pub(super) fn push(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for (at, array) in columns.iter().enumerate() {
            if let Some(lane) = self.lanes.get_mut(at) {
                lane.waiting.push_back(ArrayRef::clone(array));
            }
            self.start(at)?;
        }
        while self.lanes.iter().any(|lane| lane.waiting.len() > WAITING) {
            self.wait()?;
        }
        Ok(())
    }

    /// About how large the row group is, encoded, and how much memory it takes.
    pub(super) fn sizes(&self) -> (u64, u64) {
        self.lanes.iter().fold((0, 0), |(estimated, memory), lane| (estimated + lane.estimated as u64, memory + lane.memory as u64))
    }

    /// Ends the row group.
    pub(super) fn close(mut self) -> Result<Closed> {
        while self.busy > 0 {
            self.wait()?;
        }
        let mut closed: Vec<Option<Closed>> = Vec::with_capacity(self.lanes.len());
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            let Some(column) = lane.column.take() else { return Err(Error::bug("a column was not handed back")) };
            self.pool.run(at, &self.sender, move || column.close())?;
            closed.push(None);
        }
        for _ in 0..closed.len() {
            let (at, outcome) = self.answers.recv().map_err(|_| Error::bug("the encoding threads have ended"))?;
            if let (Some(slot), Outcome::Closed { chunks, nans }) = (closed.get_mut(at), outcome?) {
                *slot = Some((chunks, nans));
            }
        }
        let (mut chunks, mut nans) = Closed::default();
        for (column, counts) in closed.into_iter().flatten() {
            chunks.extend(column);
            nans.extend(counts);
        }
        Ok((chunks, nans))
    }

    /// Gives the lane's waiting arrays to a thread, unless one has the lane already.
    fn start(&mut self, at: usize) -> Result<()> {
        let Some(lane) = self.lanes.get_mut(at) else { return Ok(()) };
        if lane.waiting.is_empty() {
            return Ok(());
        }
        if let Some(column) = lane.column.take() {
            let arrays = mem::take(&mut lane.waiting);
            self.busy += 1;
            self.pool.run(at, &self.sender, move || column.write(arrays))?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        let (at, outcome) = self.answers.recv().map_err(|_| Error::bug("the encoding threads have ended"))?;
        self.busy -= 1;
        if let (Some(lane), Outcome::Written { column, estimated, memory }) = (self.lanes.get_mut(at), outcome?) {
            lane.column = Some(column);
            lane.estimated = estimated;
            lane.memory = memory;
        }
        self.start(at)
    }
}

impl Column {
    fn write(mut self, arrays: VecDeque<ArrayRef>) -> Result<Outcome> {
        for array in arrays {
            count_nans(&array, &mut self.nans);
            let leaves = compute_leaves(&self.field, &array).map_err(encode_error)?;
            for (writer, leaf) in self.writers.iter_mut().zip(&leaves) {
                writer.write(leaf).map_err(encode_error)?;
            }
        }
        let estimated = self.writers.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        let memory = self.writers.iter().map(ArrowColumnWriter::memory_size).sum();
        Ok(Outcome::Written { column: self, estimated, memory })
    }

    fn close(self) -> Result<Outcome> {
        let chunks: Result<Vec<_>, _> = self.writers.into_iter().map(ArrowColumnWriter::close).collect();
        Ok(Outcome::Closed { chunks: chunks.map_err(encode_error)?, nans: self.nans })
    }
}
