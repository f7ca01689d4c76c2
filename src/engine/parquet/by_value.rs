//! Deletes by value become positions: the compared columns of each data file are read and looked up.
//!
//! The values of a set are held as one map from key to the greatest sequence number that deletes it, so that files of every age share them. As
//! many as fit the memory are held at once; where they are more, the data files are read again for the others.

use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::ArrayRef;
use roaring::RoaringTreemap;
use tokio::runtime::Handle;

use super::admission::Budget;
use super::keys::Keys;
use super::target::Target;
use crate::engine::rows::{RowReader, Start};
use crate::error::{Error, Result};
use crate::model::{DataFile, FieldMatching, OutputSpec, RowDeletes, Schema, ValueDeletes, ValueFile};
use crate::store::Store;
use crate::units::Bytes;

/// What a key takes in memory besides its bytes: its places in the map and on the heap, and room for the map to grow.
const KEY_OVERHEAD: u64 = 112;

/// The least memory for keys: less would only mean more passes.
const LEAST_KEYS: u64 = 1 << 20;

/// Finds rows that are deleted by value.
pub(in crate::engine) struct Locator {
    pub(in crate::engine) store: Store,
    pub(in crate::engine) runtime: Handle,
    pub(in crate::engine) budget: Budget,
    /// Bytes of keys that may be held at once.
    pub(in crate::engine) keys: u64,
    pub(in crate::engine) cancelled: Arc<AtomicBool>,
}

/// A data file with its deletes.
type Pair = (DataFile, RowDeletes);

/// Delete files that compare the same columns and reach the same data files, with those data files.
struct Lookup<'a> {
    columns: &'a Arc<Schema>,
    files: Vec<&'a ValueFile>,
    /// Numbers of data files, and the least sequence number that counts for each.
    data: Vec<(usize, i64)>,
}

/// Bytes of keys that the deletes of `files` may need, and no more than a quarter of `memory`.
pub(in crate::engine) fn key_memory(files: &[Pair], memory: Bytes) -> u64 {
    let mut sets: Vec<*const crate::model::ValueSet> = Vec::new();
    let mut need = 0u64;
    for rule in files.iter().filter_map(|(_, deletes)| by_value(deletes)).flat_map(|deletes| &deletes.rules) {
        if !sets.contains(&Arc::as_ptr(&rule.set)) {
            sets.push(Arc::as_ptr(&rule.set));
            let of = |file: &ValueFile| file.file.rows.unwrap_or(u64::MAX).saturating_mul(KEY_OVERHEAD * 2);
            need = need.saturating_add(rule.set.files.iter().map(of).fold(0, u64::saturating_add));
        }
    }
    need.clamp(LEAST_KEYS, (memory.0 / 4).max(LEAST_KEYS))
}

fn by_value(deletes: &RowDeletes) -> Option<&ValueDeletes> {
    match deletes {
        RowDeletes::Values(values) => Some(values),
        RowDeletes::None | RowDeletes::Positions(_) => None,
    }
}

impl Locator {
    /// The deletes of `files` as positions.
    ///
    /// # Errors
    ///
    /// As [`crate::engine::Rewriter::locate_deletes`].
    pub(in crate::engine) fn run(&self, files: &[Pair]) -> Result<Vec<RowDeletes>> {
        let start = |(_, deletes): &Pair| by_value(deletes).map(|values| RoaringTreemap::clone(&values.positions));
        let mut found: Vec<Option<RoaringTreemap>> = files.iter().map(start).collect();
        for lookup in lookups(files) {
            self.look_up(&lookup, files, &mut found)?;
        }
        let located = |(found, (_, deletes)): (Option<RoaringTreemap>, &Pair)| found.map_or_else(|| deletes.clone(), RowDeletes::at);
        Ok(found.into_iter().zip(files).map(located).collect())
    }

    fn look_up(&self, lookup: &Lookup<'_>, files: &[Pair], found: &mut [Option<RoaringTreemap>]) -> Result<()> {
        let mut next = Place::default();
        while next.file < lookup.files.len() {
            let keys = self.load(lookup, &mut next)?;
            for (at, since) in &lookup.data {
                if let (Some((file, deletes)), Some(Some(found))) = (files.get(*at), found.get_mut(*at))
                    && let Some(values) = by_value(deletes)
                {
                    self.mark((file, &values.matching), lookup.columns, (&keys, *since), found)?;
                }
            }
        }
        Ok(())
    }

    /// Reads keys from `next` on, as many as may be held; `next` is then where to go on.
    fn load(&self, lookup: &Lookup<'_>, next: &mut Place) -> Result<HashMap<Box<[u8]>, i64>> {
        let mut keys: HashMap<Box<[u8]>, i64> = HashMap::new();
        let mut held = 0u64;
        while let Some(delete) = lookup.files.get(next.file) {
            let (mut row, mut full) = (0u64, false);
            let mut key = Vec::new();
            self.read_delete_file(delete, &mut |columns, rows| {
                let batch = Keys::new(columns)?;
                for at in 0..rows {
                    row += 1;
                    if full || row <= next.row {
                        continue;
                    }
                    batch.write(at, &mut key);
                    match keys.entry(key.as_slice().into()) {
                        Entry::Occupied(mut known) => *known.get_mut() = (*known.get()).max(delete.sequence),
                        Entry::Vacant(free) => {
                            free.insert(delete.sequence);
                            held += KEY_OVERHEAD + key.len() as u64;
                        }
                    }
                    if held >= self.keys {
                        (full, next.row) = (true, row);
                    }
                }
                Ok(())
            })?;
            if full {
                return Ok(keys);
            }
            *next = Place { file: next.file + 1, row: 0 };
        }
        Ok(keys)
    }

    fn read_delete_file(&self, delete: &ValueFile, each: &mut EachBatch<'_>) -> Result<()> {
        // No partition fills values in, and columns are known by the ids in the file alone: else nothing says what is compared.
        let reading = OutputSpec::for_reading(
            delete.file.location.clone(),
            Arc::default(),
            Schema::clone(&delete.columns),
            FieldMatching::FieldIds { names: Some(Vec::new()) },
        );
        self.read(&delete.file, &reading, true, each)
    }

    /// Adds the rows of `file` that a key deletes to `found`.
    fn mark(
        &self,
        (file, matching): (&DataFile, &FieldMatching),
        columns: &Arc<Schema>,
        (keys, since): (&HashMap<Box<[u8]>, i64>, i64),
        found: &mut RoaringTreemap,
    ) -> Result<()> {
        let reading = OutputSpec::for_reading(file.location.clone(), Arc::clone(&file.partition), Schema::clone(columns), matching.clone());
        let mut key = Vec::new();
        let mut position = 0u64;
        self.read(file, &reading, false, &mut |columns, rows| {
            let batch = Keys::new(columns)?;
            for at in 0..rows {
                batch.write(at, &mut key);
                if keys.get(key.as_slice()).is_some_and(|sequence| *sequence >= since) {
                    found.insert(position);
                }
                position += 1;
            }
            Ok(())
        })
    }

    /// Hands every batch of `file`, every row of it, to `each`.
    fn read(&self, file: &DataFile, reading: &OutputSpec, complete: bool, each: &mut EachBatch<'_>) -> Result<()> {
        let target = Target::new(reading)?;
        let reader = RowReader::new(self.store.clone(), self.runtime.clone(), &target, reading, self.budget);
        RowReader { complete, ..reader }.read(file, &RowDeletes::None, Start::default(), &mut |columns, rows, _| {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(Error::unavailable("reading deletes was given up"));
            }
            each(columns, rows)
        })
    }
}

/// Takes a batch's columns and its rows.
type EachBatch<'a> = dyn FnMut(&[ArrayRef], usize) -> Result<()> + 'a;

/// The first delete not read yet.
#[derive(Default)]
struct Place {
    file: usize,
    row: u64,
}

/// What has to be looked up: each set once for each choice of columns. Delete files that are too old for every data file are left out.
fn lookups(files: &[Pair]) -> Vec<Lookup<'_>> {
    let mut lookups: Vec<Lookup<'_>> = Vec::new();
    let mut of_set: HashMap<*const crate::model::ValueSet, Vec<usize>> = HashMap::new();
    let oldest = |set| {
        let rules = files.iter().filter_map(|(_, deletes)| by_value(deletes)).flat_map(|deletes| &deletes.rules);
        rules.filter(|rule| Arc::as_ptr(&rule.set) == set).map(|rule| rule.since).min()
    };
    for (at, deletes) in files.iter().enumerate().filter_map(|(at, (_, deletes))| Some((at, by_value(deletes)?))) {
        for rule in &deletes.rules {
            let set = Arc::as_ptr(&rule.set);
            let mine = of_set.entry(set).or_insert_with(|| {
                let first = lookups.len();
                let since = oldest(set).unwrap_or(rule.since);
                for file in rule.set.files.iter().filter(|file| file.sequence >= since) {
                    match lookups.iter_mut().skip(first).find(|lookup| *lookup.columns == file.columns) {
                        Some(lookup) => lookup.files.push(file),
                        None => lookups.push(Lookup { columns: &file.columns, files: vec![file], data: Vec::new() }),
                    }
                }
                (first..lookups.len()).collect()
            });
            for lookup in mine.iter() {
                lookups.get_mut(*lookup).into_iter().for_each(|lookup| lookup.data.push((at, rule.since)));
            }
        }
    }
    lookups
}
