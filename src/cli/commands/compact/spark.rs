//! `--option KEY=VALUE` with the keys of Iceberg's Spark procedure `rewrite_data_files`.

use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::cli::options::key_value;
use crate::config::Compact;
use crate::error::{Error, Result};
use crate::model::SpecChoice;

/// The keys that are understood.
const KNOWN: [&str; 16] = [
    "target-file-size-bytes",
    "min-file-size-bytes",
    "max-file-size-bytes",
    "min-input-files",
    "max-file-group-size-bytes",
    "max-concurrent-file-group-rewrites",
    "max-files-to-rewrite",
    "partial-progress.enabled",
    "partial-progress.max-commits",
    "delete-file-threshold",
    "delete-ratio-threshold",
    "rewrite-all",
    "remove-dangling-deletes",
    "use-starting-sequence-number",
    "rewrite-job-order",
    "output-spec-id",
];

/// `partial-progress.max-commits` where it is not given (Iceberg, "rewrite_data_files").
const MAX_COMMITS: usize = 10;

/// Reads the options.
///
/// # Errors
///
/// `Usage` for a key that is unknown (the known ones are listed), given twice or with a value that does not fit; `Unsupported` for what this
/// version cannot do.
pub fn read(options: &[String]) -> Result<Compact> {
    let mut read = Compact::default();
    let mut seen: Vec<&str> = Vec::new();
    let (mut partial, mut max_commits) = (false, None);
    for option in options {
        let (key, value) = key_value("--option", option)?;
        if seen.contains(&key) {
            return Err(Error::usage("an option is given twice").about("option", key));
        }
        seen.push(key);
        match key {
            "target-file-size-bytes" => read.target_file_size = Some(parse(key, value)?),
            "min-file-size-bytes" => read.min_file_size = Some(parse(key, value)?),
            "max-file-size-bytes" => read.max_file_size = Some(parse(key, value)?),
            "min-input-files" => read.min_input_files = Some(parse(key, value)?),
            "max-file-group-size-bytes" => read.max_group_size = Some(parse(key, value)?),
            "max-concurrent-file-group-rewrites" => read.max_concurrent_groups = Some(parse(key, value)?),
            "max-files-to-rewrite" => read.max_files = Some(parse(key, value)?),
            "partial-progress.enabled" => partial = parse(key, value)?,
            "partial-progress.max-commits" => max_commits = Some(parse(key, value)?),
            "delete-file-threshold" => read.delete_file_threshold = Some(parse(key, value)?),
            "delete-ratio-threshold" => read.delete_ratio = Some(parse(key, value)?),
            "rewrite-all" => read.rewrite_all = Some(parse(key, value)?),
            "remove-dangling-deletes" => read.remove_dangling_deletes = Some(parse(key, value)?),
            "output-spec-id" => read.output_spec = Some(spec(key, value)?),
            _ => accepted(key, value)?,
        }
    }
    if partial {
        read.partial_progress = max_commits.or(NonZeroUsize::new(MAX_COMMITS));
    }
    Ok(read)
}

/// Options that change nothing here, and those that this version refuses.
fn accepted(key: &str, value: &str) -> Result<()> {
    let refused = |why: &'static str| Err(Error::unsupported(format!("the option {key} is not in this version: {why}")));
    match key {
        "use-starting-sequence-number" => match parse(key, value)? {
            true => Ok(()),
            false => {
                refused("new files always carry the sequence number of the version they were planned on, so that later deletes still apply")
            }
        },
        // Groups are independent, and their order changes nothing that is committed.
        "rewrite-job-order" if ["none", "bytes-asc", "bytes-desc", "files-asc", "files-desc"].contains(&value) => Ok(()),
        "rewrite-job-order" => Err(unfit(key, "it is none of none, bytes-asc, bytes-desc, files-asc and files-desc")),
        "max-file-group-input-files" | "partial-progress.max-failed-commits" => refused("use the other limits of groups and commits"),
        "compression-factor" | "shuffle-partitions-per-file" | "var-length-contribution" | "max-output-size" => {
            refused("it belongs to sorting, and files are packed by size only")
        }
        _ => Err(Error::usage("an option is unknown").about("option", key).hint(format!("known options: {}", KNOWN.join(", ")))),
    }
}

/// The spec of new files: an id, or in words the table's current one or the one that wrote a file.
fn spec(key: &str, value: &str) -> Result<SpecChoice> {
    match value {
        "current" => Ok(SpecChoice::Current),
        "keep" => Ok(SpecChoice::Own),
        id => parse(key, id).map(SpecChoice::Id),
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>>(key: &str, value: &str) -> Result<T> {
    value.parse().map_err(|why: T::Err| unfit(key, why))
}

fn unfit(key: &str, why: impl std::fmt::Display) -> Error {
    Error::usage("the value of an option does not fit").about("option", key).about("why", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Size;
    use crate::error::Kind;
    use crate::units::Bytes;

    fn options(texts: &[&str]) -> Result<Compact> {
        read(&texts.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn every_key_means_what_it_means_in_spark() {
        let read = options(&[
            "target-file-size-bytes=1000",
            "min-file-size-bytes=750",
            "max-file-size-bytes=1800",
            "min-input-files=2",
            "max-file-group-size-bytes=5000",
            "max-concurrent-file-group-rewrites=3",
            "partial-progress.enabled=true",
            "partial-progress.max-commits=4",
            "delete-file-threshold=1",
            "delete-ratio-threshold=0.2",
            "rewrite-all=true",
            "remove-dangling-deletes=true",
            "use-starting-sequence-number=true",
            "rewrite-job-order=bytes-desc",
            "output-spec-id=3",
        ]);
        let size = |bytes| Some(Size(Bytes(bytes)));
        let expected = Compact {
            target_file_size: size(1000),
            min_file_size: size(750),
            max_file_size: size(1800),
            min_input_files: NonZeroUsize::new(2),
            max_group_size: size(5000),
            max_concurrent_groups: NonZeroUsize::new(3),
            partial_progress: NonZeroUsize::new(4),
            delete_file_threshold: NonZeroUsize::new(1),
            delete_ratio: Some(0.2),
            rewrite_all: Some(true),
            remove_dangling_deletes: Some(true),
            output_spec: Some(SpecChoice::Id(3)),
            ..Compact::default()
        };
        assert_eq!(read.unwrap(), expected);
    }

    #[test]
    fn partial_progress_counts_only_when_it_is_enabled() {
        assert_eq!(options(&["partial-progress.max-commits=4"]).unwrap().partial_progress, None);
        assert_eq!(options(&["partial-progress.enabled=true"]).unwrap().partial_progress, NonZeroUsize::new(10));
    }

    #[test]
    fn unknown_keys_list_the_known_ones_and_the_rest_is_refused_by_name() {
        let unknown = options(&["target-size=1"]).unwrap_err();
        assert_eq!(unknown.kind(), Kind::Usage);
        assert!(KNOWN.iter().all(|key| unknown.next_step().contains(key)), "{}", unknown.next_step());
        for (text, kind) in [
            ("use-starting-sequence-number=false", Kind::Unsupported),
            ("output-spec-id=newest", Kind::Usage),
            ("compression-factor=2", Kind::Unsupported),
            ("rewrite-job-order=random", Kind::Usage),
            ("min-input-files=0", Kind::Usage),
            ("rewrite-all=yes", Kind::Usage),
            ("min-input-files", Kind::Usage),
        ] {
            assert_eq!(options(&[text]).unwrap_err().kind(), kind, "{text}");
        }
        assert_eq!(options(&["rewrite-all=true", "rewrite-all=true"]).unwrap_err().kind(), Kind::Usage);
    }
}
