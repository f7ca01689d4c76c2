//! Looking into data files without changing anything.

use std::collections::BTreeSet;

use async_trait::async_trait;
use parquet::arrow::parquet_to_arrow_schema;
use tokio::runtime::Handle;

use super::ParquetRewriter;
use super::admission::Budget;
use super::calendar::Calendar;
use super::extremes::Extremes;
use super::footer::{self, Opened};
use super::read::{Input, RowWidth};
use super::resolve::{Column, Constants, Node, Resolution, resolve};
use super::stats::{self, Origin};
use super::target::Target;
use crate::engine::rows::{Each, RowReader, Start, source};
use crate::engine::{Contents, Depth, Examined, Inspector, Rewriter};
use crate::error::{Error, Kind, Result};
use crate::model::{DataFile, Field, FileFormat, FileStats, OutputSpec, Primitive, RowDeletes, Type};
use crate::store::Store;
use crate::units::Bytes;

#[async_trait]
impl Inspector for ParquetRewriter {
    async fn examine(&self, file: &DataFile, output: Option<&OutputSpec>, depth: Depth<'_>) -> Result<Examined> {
        let size = Bytes(self.store.head(&file.location).await?.size);
        // What the table says of the file is compared by others.
        let file = DataFile { size, rows: None, ..file.clone() };
        let output = output.map(|output| OutputSpec { row_ids: None, ..output.clone() });
        let deletes = match self.deletes_to(&file, depth).await {
            Err(error) if is_of_the_file(&error) => return Ok(Examined { size, contents: Err(error) }),
            deletes => deletes?,
        };
        let budget = Budget::new(self.settings.memory, Bytes(0));
        let _permit = if deletes.is_some() { Some(self.admission.admit(budget.need()).await?) } else { None };
        let (store, runtime) = (self.store.clone(), self.settings.runtime.clone());
        let look = move || Look { store, runtime, file, output, deletes, budget }.contents();
        let contents = self.settings.runtime.spawn_blocking(look).await;
        let contents = contents.unwrap_or_else(|panic| Err(Error::bug("looking into a file broke off").because(panic)));
        match contents {
            Err(error) if is_of_the_file(&error) => Ok(Examined { size, contents: Err(error) }),
            Err(error) => Err(error),
            Ok(contents) => Ok(Examined { size, contents: Ok(contents) }),
        }
    }
}

impl ParquetRewriter {
    /// The deletes to apply to `file` as positions, where its rows are to be read.
    async fn deletes_to(&self, file: &DataFile, depth: Depth<'_>) -> Result<Option<RowDeletes>> {
        let Depth::Rows(deletes) = depth else { return Ok(None) };
        Ok(self.locate_deletes(&[(file.clone(), deletes.clone())]).await?.pop())
    }
}

/// Whether the error is about what lies in a file, and no obstacle on the way to it.
fn is_of_the_file(error: &Error) -> bool {
    matches!(error.kind(), Kind::Corrupt | Kind::Unsupported)
}

/// The blocking half of one look.
struct Look {
    store: Store,
    runtime: Handle,
    file: DataFile,
    output: Option<OutputSpec>,
    deletes: Option<RowDeletes>,
    budget: Budget,
}

impl Look {
    fn contents(&self) -> Result<Contents> {
        if self.file.format != FileFormat::Parquet {
            return self.foreign();
        }
        if self.file.size == Bytes(0) {
            return Err(Error::corrupt("the file is empty").about("file", &self.file.location));
        }
        let opened = footer::peek(source(&self.store, &self.runtime, &self.file), &self.file, None)?;
        let mut contents = Contents { rows: opened.rows, ..Contents::default() };
        let Some(output) = &self.output else { return Ok(contents) };
        // Nothing is written: rows are taken as they are.
        let (calendars, output) = (output.calendars, &OutputSpec { calendars: false, ..output.clone() });
        let descriptor = opened.metadata.file_metadata().schema_descr();
        // Columns that this build cannot read say nothing about the table.
        let readable = parquet_to_arrow_schema(descriptor, None).map_err(|e| Error::unsupported("columns of unknown types").because(e));
        let target = match readable.and_then(|_| Target::new(output)) {
            Ok(target) => target,
            Err(error) => {
                contents.not_compared = Some(error);
                return Ok(contents);
            }
        };
        let resolution = match resolve(descriptor, &target, output, Constants::Fill) {
            Ok(resolution) => resolution,
            Err(error) => {
                contents.mismatch = Some(error);
                return Ok(contents);
            }
        };
        let stored = stored(&target.fields, &resolution.columns);
        match &self.deletes {
            None => contents.stats = from_footer(&opened, &resolution, &stored),
            Some(deletes) => contents.stats = self.live_stats(&opened, (&target, output), &stored, deletes)?,
        }
        if calendars {
            Calendar::of(opened.metadata.file_metadata()).loosen(&mut contents.stats);
        }
        Ok(contents)
    }

    /// Files in ORC and Avro say little of themselves: they are read from start to end or not at all.
    fn foreign(&self) -> Result<Contents> {
        let (Some(deletes), Some(output)) = (&self.deletes, &self.output) else {
            let message = format!("data files in {} are looked into where every row is read", self.file.format.as_str());
            return Err(Error::unsupported(message));
        };
        let target = Target::new(output)?;
        let mut watched = Vec::new();
        primitives(&target.fields, &[], &mut watched);
        let reader = RowReader::new(self.store.clone(), self.runtime.clone(), &target, output, self.budget);
        let read = |each: &mut Each<'_>| reader.read(&self.file, deletes, Start::default(), each);
        let (live, stats) = live_rows(&watched, output, read)?;
        Ok(Contents { rows: live.saturating_add(deletes.len().unwrap_or_default()), stats, ..Contents::default() })
    }

    /// The statistics of live rows.
    fn live_stats(
        &self,
        opened: &Opened,
        (target, output): (&Target, &OutputSpec),
        stored: &[Stored],
        deletes: &RowDeletes,
    ) -> Result<FileStats> {
        let widths = RowWidth::default();
        let input = Input::new((&self.file, opened), target, output, self.budget, &widths)?;
        Ok(live_rows(stored, output, |each| input.read(deletes, each))?.1)
    }
}

/// Counts the rows that `read` hands out, and gathers what they hold in the columns `watched`.
fn live_rows(watched: &[Stored], output: &OutputSpec, read: impl FnOnce(&mut Each<'_>) -> Result<()>) -> Result<(u64, FileStats)> {
    let constants: BTreeSet<i32> = output.partition.constants.iter().map(|(id, _)| *id).collect();
    let watched = watched.iter().filter(|column| !constants.contains(&column.id));
    let mut extremes: Vec<(&Stored, Extremes)> = watched.map(|column| (column, Extremes::default())).collect();
    let mut live = 0u64;
    read(&mut |columns, rows, _| {
        live = live.saturating_add(rows as u64);
        for (column, seen) in &mut extremes {
            seen.add(columns, &column.path);
        }
        Ok(())
    })?;
    let columns = extremes.into_iter().map(|(column, seen)| (column.id, seen.finish(live, column.path.len() == 1)));
    Ok((live, FileStats { columns: columns.collect() }))
}

/// A column of single values that a file stores, outside lists and maps.
#[derive(Debug)]
struct Stored {
    id: i32,
    /// Its position among the target's columns, then among the members of each struct around it.
    path: Vec<usize>,
    /// Whether the file holds it in the form of the table's type.
    as_is: bool,
}

fn stored(fields: &[Field], columns: &[Column]) -> Vec<Stored> {
    let mut found = Vec::new();
    collect(fields, columns, &[], &mut found);
    found
}

fn collect(fields: &[Field], columns: &[Column], above: &[usize], found: &mut Vec<Stored>) {
    for (at, (field, column)) in fields.iter().zip(columns).enumerate() {
        let path: Vec<usize> = above.iter().copied().chain([at]).collect();
        match (&field.ty, column) {
            (Type::Primitive(_), Column::Stored(_, Node::Leaf(conversion))) => {
                found.push(Stored { id: field.id, path, as_is: conversion.changes_nothing() });
            }
            (Type::Struct(members), Column::Stored(_, Node::Struct(columns, _))) => collect(members, columns, &path, found),
            _ => {}
        }
    }
}

/// The ids of columns of single values that a file stores in the form of the table's types, outside lists and maps.
pub(super) fn kept_as_is(fields: &[Field], columns: &[Column]) -> BTreeSet<i32> {
    stored(fields, columns).into_iter().filter(|column| column.as_is).map(|column| column.id).collect()
}

/// Every column of single values outside lists and maps. Variants are none: their parts have forms of their own.
fn primitives(fields: &[Field], above: &[usize], found: &mut Vec<Stored>) {
    for (at, field) in fields.iter().enumerate() {
        let path: Vec<usize> = above.iter().copied().chain([at]).collect();
        match &field.ty {
            Type::Primitive(Primitive::Variant) | Type::List(_) | Type::Map(..) => {}
            Type::Primitive(_) => found.push(Stored { id: field.id, path, as_is: false }),
            Type::Struct(members) => primitives(members, &path, found),
        }
    }
}

/// The statistics of all stored rows that the footer has for columns in the table's own form.
fn from_footer(opened: &Opened, resolution: &Resolution, stored: &[Stored]) -> FileStats {
    let file = opened.metadata.file_metadata();
    let as_is: BTreeSet<i32> = stored.iter().filter(|column| column.as_is).map(|column| column.id).collect();
    let leaves: Vec<_> = resolution.leaves.iter().map(|leaf| leaf.filter(|leaf| as_is.contains(&leaf.id))).collect();
    let mut all = None;
    for group in opened.metadata.row_groups() {
        stats::add_row_group(&mut all, group, &leaves, Origin::Copied(file));
    }
    all.unwrap_or_default()
}
