//! What a manifest list says of the partitions in a manifest (Iceberg spec, "field_summary").

use super::manifest_list::FieldSummary;
use super::values;
use crate::model::Value;

/// A field's values as they come by.
#[derive(Debug, Default, Clone)]
pub(super) struct Summary {
    null: bool,
    nan: bool,
    lower: Option<Value>,
    upper: Option<Value>,
}

impl Summary {
    /// One value more.
    pub(super) fn absorb(&mut self, value: Option<&Value>) {
        use std::cmp::Ordering::{Greater, Less};
        let Some(value) = value else {
            self.null = true;
            return;
        };
        if value.is_nan() {
            self.nan = true;
            return;
        }
        if self.lower.as_ref().is_none_or(|lower| value.compare(lower) == Some(Less)) {
            self.lower = Some(value.clone());
        }
        if self.upper.as_ref().is_none_or(|upper| value.compare(upper) == Some(Greater)) {
            self.upper = Some(value.clone());
        }
    }

    /// All of them.
    pub(super) fn finish(&self) -> FieldSummary {
        FieldSummary {
            contains_null: self.null,
            contains_nan: Some(self.nan),
            lower: self.lower.as_ref().map(values::to_bytes),
            upper: self.upper.as_ref().map(values::to_bytes),
        }
    }
}
