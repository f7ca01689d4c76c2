//! `date_trunc` and `date_bin` in the microseconds that tables count: DataFusion's own compute in nanoseconds, which begin in 1677 and end in 2262.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::timezone::Tz;
use arrow_array::types::TimestampMicrosecondType;
use arrow_schema::{ArrowError, DataType, FieldRef, IntervalUnit, TimeUnit};
use chrono::{DateTime, Datelike, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use datafusion::common::types::{NativeType, logical_date, logical_string};
use datafusion::common::{ScalarValue, internal_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    Coercion, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, TypeSignatureClass,
    Volatility,
};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Truncate,
    Bin,
}

/// One of the two over microseconds; over everything else DataFusion's, which it stands for.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct InMicroseconds {
    what: What,
    signature: Signature,
    aliases: Vec<String>,
    inner: Arc<ScalarUDF>,
}

impl InMicroseconds {
    /// `date_trunc` in place of `inner`. Texts and dates are taken as timestamps of microseconds.
    pub(super) fn date_trunc(inner: Arc<ScalarUDF>) -> Self {
        let unit = || Coercion::new_exact(TypeSignatureClass::Native(logical_string()));
        let others = vec![TypeSignatureClass::Native(logical_string()), TypeSignatureClass::Native(logical_date())];
        let micros = NativeType::Timestamp(TimeUnit::Microsecond, None);
        let forms = vec![
            TypeSignature::Coercible(vec![unit(), Coercion::new_implicit(TypeSignatureClass::Timestamp, others, micros)]),
            TypeSignature::Coercible(vec![unit(), Coercion::new_exact(TypeSignatureClass::Time)]),
        ];
        Self { what: What::Truncate, signature: Signature::one_of(forms, Volatility::Immutable), aliases: inner.aliases().to_vec(), inner }
    }

    /// `date_bin` in place of `inner`.
    pub(super) fn date_bin(inner: Arc<ScalarUDF>) -> Self {
        Self { what: What::Bin, signature: Signature::user_defined(Volatility::Immutable), aliases: inner.aliases().to_vec(), inner }
    }

    /// How times become others, if the arguments say what this module can do.
    fn rule(&self, args: &[ColumnarValue]) -> Option<Box<dyn Fn(i64) -> Option<i64>>> {
        let DataType::Timestamp(TimeUnit::Microsecond, zone) = args.get(1)?.data_type() else { return None };
        let ColumnarValue::Scalar(first) = args.first()? else { return None };
        if self.what == What::Bin {
            let (stride, origin) = (Stride::of(first)?, args.get(2).map_or(Some(0), origin)?);
            return Some(Box::new(move |time| stride.start(time, origin)));
        }
        let unit = Unit::named(first.try_as_str()??)?;
        let zone: Option<Tz> = match zone.as_deref() {
            None | Some("UTC" | "+00:00") => None,
            Some(zone) => Some(zone.parse().ok()?),
        };
        Some(Box::new(move |time| zone.map_or_else(|| unit.start(time), |zone| unit.start_in(time, zone))))
    }
}

impl ScalarUDFImpl for InMicroseconds {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    /// Of `date_bin`: the origin is counted as the times are.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [interval, time, rest @ ..] = types else { return plan_err!("date_bin takes an interval and a time") };
        let time = match time {
            DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => time.clone(),
            ty if ty.is_string() || ty.is_null() || *ty == DataType::Date32 => DataType::Timestamp(TimeUnit::Microsecond, None),
            other => return plan_err!("date_bin takes a time, not {other}"),
        };
        let interval = match interval {
            DataType::Interval(IntervalUnit::DayTime) => interval.clone(),
            DataType::Interval(_) | DataType::Utf8 | DataType::Null => DataType::Interval(IntervalUnit::MonthDayNano),
            other => return plan_err!("date_bin takes an interval, not {other}"),
        };
        let origin = match &time {
            DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Time32(_) | DataType::Time64(_) => time.clone(),
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
            other => other.clone(),
        };
        match rest {
            [] => Ok(vec![interval, time]),
            [_] => Ok(vec![interval, time, origin]),
            _ => plan_err!("date_bin takes an interval, a time and an origin"),
        }
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(input)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(rule) = self.rule(&args.args) else { return self.inner.invoke_with_args(in_nanoseconds(args)?) };
        let Some(times) = args.args.get(1) else { return internal_err!("a time is an argument") };
        let array = times.to_array(1)?;
        let Some(array) = array.as_primitive_opt::<TimestampMicrosecondType>() else { return internal_err!("a time is no time") };
        let beyond = || ArrowError::ArithmeticOverflow("a time is out of range".into());
        let made = array.try_unary::<_, TimestampMicrosecondType, _>(|time| rule(time).ok_or_else(beyond))?;
        let made = made.with_data_type(array.data_type().clone());
        Ok(match times {
            ColumnarValue::Array(_) => ColumnarValue::Array(Arc::new(made)),
            ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
        })
    }
}

/// `args` as DataFusion's own function takes them: origins count nanoseconds there.
fn in_nanoseconds(mut args: ScalarFunctionArgs) -> Result<ScalarFunctionArgs> {
    if let Some(origin) = args.args.get_mut(2)
        && let DataType::Timestamp(TimeUnit::Microsecond, zone) = origin.data_type()
    {
        *origin = origin.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, zone), None)?;
    }
    Ok(args)
}

/// How far bins are apart.
#[derive(Debug, Clone, Copy)]
enum Stride {
    /// So many microseconds.
    Fixed(i64),
    /// So many months.
    Months(u32),
}

impl Stride {
    /// What `interval` means, unless it is of months and shorter times at once, or of nothing.
    fn of(interval: &ScalarValue) -> Option<Self> {
        let (days, nanos) = match interval {
            ScalarValue::IntervalMonthDayNano(Some(parts)) if parts.months > 0 => {
                return (parts.days == 0 && parts.nanoseconds == 0).then_some(Self::Months(u32::try_from(parts.months).ok()?));
            }
            ScalarValue::IntervalMonthDayNano(Some(parts)) if parts.months == 0 => (parts.days, parts.nanoseconds),
            ScalarValue::IntervalDayTime(Some(parts)) => (parts.days, i64::from(parts.milliseconds).checked_mul(1_000_000)?),
            _ => return None,
        };
        let micros = (nanos % 1_000 == 0).then_some(nanos / 1_000)?;
        let size = i64::from(days).checked_mul(DAY)?.checked_add(micros)?;
        (size > 0).then_some(Self::Fixed(size))
    }

    /// Where the bin begins that `time` lies in, counted from `origin`.
    fn start(self, time: i64, origin: i64) -> Option<i64> {
        let months = match self {
            Self::Fixed(size) => return time.checked_sub(time.checked_sub(origin)?.rem_euclid(size)),
            Self::Months(months) => months,
        };
        let (clock, origin) = (DateTime::from_timestamp_micros(time)?, DateTime::from_timestamp_micros(origin)?);
        let month = |at: &DateTime<chrono::Utc>| i64::from(at.year()) * 12 + i64::from(at.month0());
        let distance = month(&clock) - month(&origin);
        let first = distance - distance.rem_euclid(i64::from(months));
        let bin = |distance: i64| {
            let months = Months::new(u32::try_from(distance.unsigned_abs()).ok()?);
            if distance < 0 { origin.checked_sub_months(months) } else { origin.checked_add_months(months) }
        };
        // The origin may lie later in its month than the time does.
        let found = bin(first).filter(|bin| *bin <= clock).or_else(|| bin(first - i64::from(months)))?;
        Some(found.timestamp_micros())
    }
}

fn origin(argument: &ColumnarValue) -> Option<i64> {
    match argument {
        ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(Some(micros), _)) => Some(*micros),
        _ => None,
    }
}

/// A part of the calendar or of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// So many microseconds, a day at most.
    Fixed(i64),
    Week,
    /// So many months: 1, 3 or 12.
    Months(u32),
}

impl Unit {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "microsecond" => Self::Fixed(1),
            "millisecond" => Self::Fixed(1_000),
            "second" => Self::Fixed(SECOND),
            "minute" => Self::Fixed(60 * SECOND),
            "hour" => Self::Fixed(3_600 * SECOND),
            "day" => Self::Fixed(DAY),
            "week" => Self::Week,
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            _ => return None,
        })
    }

    /// Where the unit begins that `time` lies in, on a clock without zones.
    fn start(self, time: i64) -> Option<i64> {
        match self {
            Self::Fixed(size) => time.checked_sub(time.rem_euclid(size)),
            Self::Week => {
                // The epoch is a Thursday, weeks begin on Mondays.
                let day = time.div_euclid(DAY);
                (day - (day + 3).rem_euclid(7)).checked_mul(DAY)
            }
            Self::Months(months) => {
                let date = DateTime::from_timestamp_micros(time)?.date_naive();
                let first = NaiveDate::from_ymd_opt(date.year(), date.month0() / months * months + 1, 1)?;
                Some(first.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
            }
        }
    }

    /// As [`Self::start`], by the clocks of `zone`.
    fn start_in(self, time: i64, zone: Tz) -> Option<i64> {
        let seconds = |offset: &<Tz as TimeZone>::Offset| i64::from(offset.fix().local_minus_utc());
        let clock = |micros: i64| DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc());
        let offset = seconds(&zone.offset_from_utc_datetime(&clock(time)?));
        let start = self.start(time.checked_add(offset * SECOND)?)?;
        let shown = |wall: NaiveDateTime| zone.offset_from_local_datetime(&wall);
        let wall = clock(start)?;
        let there = match shown(wall) {
            LocalResult::Single(only) => seconds(&only),
            LocalResult::Ambiguous(first, second) => {
                if seconds(&first) == offset {
                    offset
                } else {
                    seconds(&second)
                }
            }
            // Clocks that were put forward never showed it: what they would have shown.
            LocalResult::None => seconds(&shown(wall.checked_sub_signed(TimeDelta::hours(3))?).single()?),
        };
        start.checked_sub(there * SECOND)
    }
}
