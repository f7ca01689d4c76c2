//! DataFusion's errors as this crate's. Texts of run-time errors may hold values and are left out.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_schema::ArrowError;
use datafusion::error::DataFusionError;

use crate::error::Error;

/// Keeps the first error of our own while it passes through DataFusion, which may share it or turn it into text.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    /// Keeps `error`, and gives DataFusion one to pass on.
    pub(super) fn keep(&self, error: Error) -> DataFusionError {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        DataFusionError::Execution("a table could not be read".into())
    }

    /// What really happened: the kept error, else what `error` says.
    pub(super) fn explain(&self, error: &DataFusionError) -> Error {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| translate(error))
    }
}

/// Functions that other engines have for parts of dates and times.
const PARTS: [&str; 10] = ["year", "quarter", "month", "week", "day", "hour", "minute", "second", "dayofweek", "dayofyear"];

fn translate(error: &DataFusionError) -> Error {
    let wrong =
        |text: &dyn std::fmt::Display| Error::usage(format!("the query makes no sense: {text}")).hint("check names and types of columns");
    match error.find_root() {
        DataFusionError::Plan(text) if PARTS.iter().any(|part| text.starts_with(&format!("Invalid function '{part}'"))) => {
            wrong(&first_line(text)).hint("write date_part('hour', t) or extract(hour FROM t) for parts of dates and times")
        }
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) => wrong(&first_line(text)),
        DataFusionError::SchemaError(inner, _) => wrong(&first_line(&inner.to_string())),
        DataFusionError::SQL(..) => Error::usage("the query is not SQL that can be understood"),
        DataFusionError::NotImplemented(text) => Error::unsupported(format!("the query uses what is not understood: {}", first_line(text))),
        DataFusionError::ResourcesExhausted(_) => Error::usage("the query needs more memory than it may use")
            .hint("give more with --memory, or fewer --threads; a --temp-dir with room lets sorts and groups spill"),
        DataFusionError::ArrowError(inner, _) => of_arrow(inner),
        DataFusionError::Execution(_) => {
            Error::usage("an expression of the query fails for a row").hint("check casts and arguments of functions")
        }
        other if other.to_string().to_lowercase().contains("regex") => Error::usage("a regular expression of the query is not understood")
            .hint("brackets and other signs that stand for themselves need a backslash"),
        _ => Error::bug("the query engine failed"),
    }
}

fn of_arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::DivideByZero => Error::usage("the query divides by zero for a row").hint("use NULLIF for the divisor"),
        ArrowError::ArithmeticOverflow(_) => Error::usage("a number of the query overflows for a row").hint("cast to a wider type"),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => {
            Error::usage("a value cannot be cast to the type the query asks for").hint("use TRY_CAST where values may not fit")
        }
        ArrowError::IoError(..) => Error::unavailable("temporary files cannot be written").hint("give a --temp-dir with room"),
        _ => Error::usage("an expression of the query fails for a row").hint("check casts and arguments of functions"),
    }
}

/// The first line of a message: what follows are hints at DataFusion's own settings and places in its code.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}
