"""Rows as canonical text, so that tables read by different engines can be compared as multisets.

Readers differ in representation, not in meaning: one gives a timestamp with a zone, another without; one
keeps bytes where another has text; maps have no order. Canonical text hides these differences and no others:
no number is rounded and no value is dropped.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa


def multiset(table: pa.Table) -> Counter[str]:
    """Every row as one line of canonical JSON, with how often it occurs."""
    kinds = {field.name: field.type for field in table.schema}
    names = sorted(kinds)
    columns = {name: _values(table.column(name)) for name in names}
    lines: Counter[str] = Counter()
    for i in range(table.num_rows):
        row = {name: canonical(columns[name][i], kinds[name]) for name in names}
        lines[json.dumps(row, sort_keys=True, ensure_ascii=False)] += 1
    return lines


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Python values; nanosecond timestamps are taken as microseconds, which is what both formats store here."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz))
    return column.to_pylist()


def canonical(value: Any, kind: pa.DataType) -> Any:
    """A JSON value that is equal for equal values and differs for different ones."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {kind.field(i).name: canonical(value[kind.field(i).name], kind.field(i).type)
                for i in range(kind.num_fields)}
    if pa.types.is_map(kind):
        pairs = [[canonical(k, kind.key_type), canonical(v, kind.item_type)] for k, v in value]
        return {"map": sorted(pairs, key=lambda pair: json.dumps(pair, sort_keys=True))}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind):
        return [canonical(item, kind.value_type) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, bool) or isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value + 0.0)
    if isinstance(value, Decimal):
        return format(value.normalize() if value else Decimal(0), "f")
    if isinstance(value, datetime):
        naive = value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value
        return naive.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": bytes(value).hex()}
    raise TypeError(f"no canonical form for {type(value).__name__}")


def difference(wanted: Counter[str], found: Counter[str], most: int = 3) -> str:
    """What distinguishes two multisets, in a few lines."""
    missing, extra = wanted - found, found - wanted
    if not missing and not extra:
        return ""
    lines = [f"{wanted.total()} rows wanted, {found.total()} found, "
             f"{missing.total()} missing, {extra.total()} too many"]
    lines += [f"  missing: {row}" for row in list(missing)[:most]]
    lines += [f"  too many: {row}" for row in list(extra)[:most]]
    return "\n".join(lines)


def require_equal(wanted: Counter[str], found: Counter[str], label: str) -> None:
    """Fails with the first differing rows."""
    told = difference(wanted, found)
    assert not told, f"{label}: {told}"
