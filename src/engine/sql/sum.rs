//! `sum` over whole numbers and long decimals: one that does not fit is an error. It is added up in more bits than its type has, so that parts may be
//! larger than the whole.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature};

/// DataFusion's `sum`, over numbers of 64 bits by way of 128, over the longest decimals by way of 256.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CheckedSum {
    inner: Arc<AggregateUDF>,
}

impl CheckedSum {
    /// In place of `inner`.
    pub(super) const fn new(inner: Arc<AggregateUDF>) -> Self {
        Self { inner }
    }
}

/// What sums of `ty` are kept as, where its own bits may not do. Decimals of less than 38 digits are those of summands that many rows cannot fill.
const fn wider(ty: &DataType) -> Option<DataType> {
    match ty {
        DataType::Int64 | DataType::UInt64 => Some(DataType::Decimal128(38, 0)),
        DataType::Decimal128(38, scale) => Some(DataType::Decimal256(76, *scale)),
        _ => None,
    }
}

/// `args` of the sum of wide numbers.
fn widened<'a>(args: &AccumulatorArgs<'a>, wide: &DataType) -> AccumulatorArgs<'a> {
    AccumulatorArgs {
        return_field: Arc::new(Field::new(args.return_field.name(), wide.clone(), true)),
        schema: args.schema,
        ignore_nulls: args.ignore_nulls,
        order_bys: args.order_bys,
        is_reversed: args.is_reversed,
        name: args.name,
        is_distinct: args.is_distinct,
        exprs: args.exprs,
        expr_fields: args.expr_fields,
    }
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let Some(wide) = wider(args.return_field.data_type()) else { return self.inner.state_fields(args) };
        let return_field = Arc::new(Field::new(args.return_field.name(), wide, true));
        self.inner.state_fields(StateFieldsArgs { return_field, ..args })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let ty = args.return_field.data_type().clone();
        let Some(wide) = wider(&ty) else { return self.inner.accumulator(args) };
        Ok(Box::new(Checked { inner: self.inner.accumulator(widened(&args, &wide))?, ty, wide }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let ty = args.return_field.data_type().clone();
        // Of distinct numbers within windows there is one for numbers of 64 bits alone.
        let Some(wide) = wider(&ty).filter(|_| !args.is_distinct) else { return self.inner.create_sliding_accumulator(args) };
        Ok(Box::new(Checked { inner: self.inner.create_sliding_accumulator(widened(&args, &wide))?, ty, wide }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let ty = args.return_field.data_type().clone();
        let Some(wide) = wider(&ty) else { return self.inner.create_groups_accumulator(args) };
        Ok(Box::new(CheckedGroups { inner: self.inner.create_groups_accumulator(widened(&args, &wide))?, ty, wide }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }
}

fn converted(values: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(values, ty, &strict).map_err(|_| ArrowError::ArithmeticOverflow("a sum is out of range".into()))?)
}

fn all_converted(values: &[ArrayRef], ty: &DataType) -> Result<Vec<ArrayRef>> {
    values.iter().map(|values| converted(values, ty)).collect()
}

/// One sum.
#[derive(Debug)]
struct Checked {
    inner: Box<dyn Accumulator>,
    ty: DataType,
    wide: DataType,
}

impl Accumulator for Checked {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&all_converted(values, &self.wide)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&all_converted(values, &self.wide)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = converted(&self.inner.evaluate()?.to_array()?, &self.ty)?;
        ScalarValue::try_from_array(&sum, 0)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}

/// Sums by group.
struct CheckedGroups {
    inner: Box<dyn GroupsAccumulator>,
    ty: DataType,
    wide: DataType,
}

impl GroupsAccumulator for CheckedGroups {
    fn update_batch(&mut self, values: &[ArrayRef], groups: &[usize], filter: Option<&BooleanArray>, total: usize) -> Result<()> {
        self.inner.update_batch(&all_converted(values, &self.wide)?, groups, filter, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        converted(&self.inner.evaluate(emit_to)?, &self.ty)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.inner.merge_batch(values, groups, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&all_converted(values, &self.wide)?, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
