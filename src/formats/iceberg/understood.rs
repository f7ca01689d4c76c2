//! What of the Iceberg specification is understood, kept or refused: the table that `docs/formats/iceberg.md` shows. Reasons of refusals are those
//! that errors give.

use crate::formats::support::{Care, Feature};

/// Why encrypted tables are refused.
pub(super) const ENCRYPTED: &str = "without its keys nothing of the table can be read";
/// Why defaults of nested columns are refused.
pub(super) const NESTED_DEFAULT: &str = "rows older than the column would have to be given values that only their members define";
/// Why tables with a location provider are not rewritten.
pub(super) const PROVIDER: &str = "a class of its own decides where files lie";

const fn applied(name: &'static str, how: &'static str) -> Feature {
    Feature { name, care: Care::Applied, how }
}

/// Every feature we know, in the order of the page.
pub const FEATURES: &[Feature] = &[
    Feature::kept(
        "format versions 1, 2, 3",
        "manifests listed inline (version 1), missing field ids of old specs, gzip by its magic bytes",
    ),
    applied(
        "position deletes",
        "spellings of a data file's path are compared as places; a delete that could mean two files is `Corrupt`, never dropped",
    ),
    applied("deletion vectors (version 3)", "length, magic, checksum and count are checked"),
    applied("equality deletes", "see \"Equality deletes\""),
    Feature::kept("row lineage (version 3)", "`_row_id` and `_last_updated_sequence_number` are written into new files"),
    Feature::kept(
        "partition evolution",
        "files are rewritten under the current spec, as by Iceberg's procedure; `--option output-spec-id=N` names another, `=keep` the one that \
         wrote a file (see below)",
    ),
    Feature::kept(
        "transforms: identity, bucket, truncate, year, month, day, hour, void",
        "within a spec the tuple is taken over; it is computed where rows move to another spec",
    ),
    Feature {
        name: "other transforms, transforms of several columns",
        care: Care::LeftAlone,
        how: "files of such a spec stay as they are (`unknown-spec` in the plan), the others are rewritten; where it is the current spec, they keep \
              theirs",
    },
    Feature::kept(
        "schema evolution: added, renamed, dropped, moved, widened columns",
        "by field id; initial defaults of columns of single values, at the top and within structs",
    ),
    Feature::with("defaults of whole structs, lists and maps", Care::Refused(NESTED_DEFAULT)),
    Feature::kept("name mapping (`schema.name-mapping.default`)", "for files without field ids"),
    Feature::kept("nanosecond timestamps", "in ns, never cut"),
    Feature::kept(
        "`variant` columns",
        "in queries structs of two binaries, `metadata` and `value`; values in typed columns (shredded) are put together with the others; new \
         files hold each variant whole; no bounds are claimed",
    ),
    Feature {
        name: "`unknown` columns",
        care: Care::KeptIf("no struct, list or map holds nothing else"),
        how: "they are null in every row and no data file holds them",
    },
    Feature::kept(
        "`geometry`, `geography`",
        "in queries binary (WKB); new files name coordinate system and edges by Parquet's types; no bounds are claimed",
    ),
    Feature::with("encrypted tables", Care::Refused(ENCRYPTED)),
    Feature::kept(
        "ORC and Avro data files",
        "written again as Parquet; columns by the ids in the file, else by name mapping, else by name; \
         [decision 4](../decisions/0004-orc-and-avro.md)",
    ),
    applied(
        "position deletes in ORC and Avro",
        "manifests do not say which data file one in Avro is for: it goes once a compaction that applied it leaves none of its data files",
    ),
    applied("equality deletes in ORC and Avro", "as those in Parquet; files without field ids are `Corrupt`"),
    Feature::with(
        "ORC: unions, encryption, times without a zone in a column of instants",
        Care::Refused("where such a column is read; which zone was meant would be a guess"),
    ),
    Feature::with("Avro: unions of several types, types that contain themselves", Care::Refused("the former where such a column is read")),
    Feature::kept(
        "time travel",
        "to any snapshot that is still listed, with the columns of its time; by time along the snapshot log, on a branch along its ancestors",
    ),
    Feature::kept(
        "tables about a table",
        "`$history` (the snapshot log, roll-backs included), `$snapshots`, `$files`, `$partitions`, `$refs`, `$manifests`, in queries alone",
    ),
    Feature::kept("branches of snapshots", "`TABLE#NAME` reads a branch; a change moves that branch alone and no other reference"),
    Feature::with("tags of snapshots", Care::ReadOnly("a tag names one snapshot for good")),
    Feature::kept(
        "statistics and partition statistics files",
        "they stay with their snapshots and go with them; none is claimed for a new one",
    ),
    Feature::kept(
        "sort orders",
        "new files of a bin-pack claim the order 0 (unsorted): rows keep their order, but files are joined; `sort_order_id` of untouched files stays",
    ),
    Feature::with("`write.location-provider.impl`", Care::ReadOnly(PROVIDER)),
    Feature {
        name: "metadata that says the table lies elsewhere than it was opened",
        care: Care::KeptIf("a mapping says so too"),
        how: "see \"Copied and moved tables\"",
    },
    Feature::kept("relative locations", "the table lies where it was opened; paths that begin with the location lie below it"),
];
