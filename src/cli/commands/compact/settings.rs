//! From options, Spark's keys and the configuration to what the operation takes.

use super::{CompactArgs, Strategy, spark};
use crate::config::{Compact, RowPath, Size};
use crate::engine::RewritePath;
use crate::error::{Error, Result};
use crate::formats::OutputWishes;
use crate::model::predicate::Predicate;
use crate::ops::compact::Options;

/// What was asked for, before the table is known. Options win over the configuration.
///
/// # Errors
///
/// `Usage` for options that contradict each other, `Unsupported` for what this version cannot do.
pub(super) fn asked(args: &CompactArgs, configured: &Compact) -> Result<Compact> {
    supported(args)?;
    let asked = over(join(flags(args), spark::read(&args.options)?)?, configured.clone());
    if asked.path == Some(RowPath::Splice) {
        return Err(Error::unsupported("the path splice is not in this version").hint("use --path auto, copy or encode"));
    }
    if asked.delete_ratio.is_some_and(|ratio| !(ratio > 0.0 && ratio <= 1.0)) {
        return Err(Error::usage("the delete ratio is not above 0 and at most 1").hint("0.3 means: files with 30 % of their rows deleted"));
    }
    Ok(asked)
}

fn supported(args: &CompactArgs) -> Result<()> {
    let strategy = match args.strategy.unwrap_or_default() {
        Strategy::Binpack if args.order_by.is_some() || args.columns.is_some() => "ordering",
        Strategy::Binpack => return Ok(()),
        Strategy::Sort => "sort",
        Strategy::Zorder => "zorder",
        Strategy::Hilbert => "hilbert",
    };
    Err(Error::unsupported(format!("the strategy {strategy} is not in this version"))
        .hint("use --strategy binpack, without --order-by and --columns"))
}

fn flags(args: &CompactArgs) -> Compact {
    Compact {
        target_file_size: args.target_file_size,
        min_file_size: args.min_file_size,
        max_file_size: args.max_file_size,
        min_input_files: args.min_input_files,
        max_group_size: args.max_group_size,
        max_concurrent_groups: args.max_concurrent_groups,
        partial_progress: args.partial_progress,
        delete_file_threshold: args.delete_file_threshold,
        delete_ratio: args.delete_ratio,
        rewrite_all: args.rewrite_all.then_some(true),
        remove_dangling_deletes: args.remove_dangling_deletes.then_some(true),
        compression: args.compression,
        // Moved as they are, row groups would keep the compression they have: who names one on the command line wants it.
        path: args.path.or_else(|| args.compression.map(|_| RowPath::Encode)),
        max_files: args.max_files,
        output_spec: None,
    }
}

/// Flags and Spark's keys together.
///
/// # Errors
///
/// `Usage` where both set the same thing to different values: neither is the obvious one.
fn join(flags: Compact, options: Compact) -> Result<Compact> {
    let joined = over(flags.clone(), options.clone());
    if joined == over(options, flags) {
        return Ok(joined);
    }
    Err(Error::usage("an --option says something else than the flag of the same meaning").hint("give one of the two"))
}

/// `first`, and `second` where it says nothing.
fn over(first: Compact, second: Compact) -> Compact {
    Compact {
        target_file_size: first.target_file_size.or(second.target_file_size),
        min_file_size: first.min_file_size.or(second.min_file_size),
        max_file_size: first.max_file_size.or(second.max_file_size),
        min_input_files: first.min_input_files.or(second.min_input_files),
        max_group_size: first.max_group_size.or(second.max_group_size),
        max_concurrent_groups: first.max_concurrent_groups.or(second.max_concurrent_groups),
        partial_progress: first.partial_progress.or(second.partial_progress),
        delete_file_threshold: first.delete_file_threshold.or(second.delete_file_threshold),
        delete_ratio: first.delete_ratio.or(second.delete_ratio),
        rewrite_all: first.rewrite_all.or(second.rewrite_all),
        remove_dangling_deletes: first.remove_dangling_deletes.or(second.remove_dangling_deletes),
        compression: first.compression.or(second.compression),
        path: first.path.or(second.path),
        max_files: first.max_files.or(second.max_files),
        output_spec: first.output_spec.or(second.output_spec),
    }
}

/// What the operation takes. Whether sizes contradict each other is the planner's to say: it knows the table's own target.
pub(super) fn options(asked: &Compact, filter: Option<Predicate>) -> Options {
    let size = |size: Option<Size>| size.map(|size| size.0);
    Options {
        filter,
        output: OutputWishes {
            target_file_size: size(asked.target_file_size),
            codec: asked.compression.map(|compression| compression.0),
            spec: asked.output_spec.unwrap_or_default(),
        },
        min_file_size: size(asked.min_file_size),
        max_file_size: size(asked.max_file_size),
        min_input_files: asked.min_input_files.map(Into::into),
        max_group_size: size(asked.max_group_size),
        max_concurrent_groups: asked.max_concurrent_groups.map(Into::into),
        partial_progress: asked.partial_progress.map(Into::into),
        delete_file_threshold: asked.delete_file_threshold.map(Into::into),
        delete_ratio: asked.delete_ratio,
        rewrite_all: asked.rewrite_all.unwrap_or(false),
        remove_dangling_deletes: asked.remove_dangling_deletes.unwrap_or(false),
        path: match asked.path {
            Some(RowPath::Copy) => RewritePath::Copy,
            Some(RowPath::Encode) => RewritePath::Encode,
            Some(RowPath::Auto | RowPath::Splice) | None => RewritePath::Auto,
        },
        max_files: asked.max_files.map(Into::into),
        commit_attempts: None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::error::Kind;
    use crate::model::Codec;
    use crate::ops::compact::plan::Policy;
    use crate::units::Bytes;

    fn args(words: &[&str]) -> CompactArgs {
        let cli = Cli::try_parse_from(["otf", "compact", "t"].iter().chain(words)).unwrap();
        match cli.command {
            Command::Compact(args) => *args,
            _ => unreachable!(),
        }
    }

    fn built(words: &[&str]) -> Result<Options> {
        let options = options(&asked(&args(words), &Compact::default())?, None);
        Policy::resolve(&options.wishes(), Bytes::mib(512))?;
        Ok(options)
    }

    #[test]
    fn flags_reach_the_operation() {
        let built = built(&[
            "--target-file-size=128MiB",
            "--min-file-size=10MB",
            "--max-file-size",
            "200MiB",
            "--min-input-files=2",
            "--max-group-size=1GiB",
            "--max-concurrent-groups=3",
            "--partial-progress",
            "--delete-file-threshold=7",
            "--delete-ratio=0.1",
            "--rewrite-all",
            "--remove-dangling-deletes",
            "--compression=zstd:9",
            "--path=encode",
            "--max-files=1000",
        ])
        .unwrap();
        assert_eq!((built.output.target_file_size, built.output.codec), (Some(Bytes::mib(128)), Some(Codec::Zstd(9))));
        assert_eq!((built.min_file_size, built.max_file_size), (Some(Bytes(10_000_000)), Some(Bytes::mib(200))));
        assert_eq!((built.min_input_files, built.max_group_size), (Some(2), Some(Bytes::mib(1024))));
        assert_eq!((built.max_concurrent_groups, built.partial_progress), (Some(3), Some(10)));
        assert_eq!((built.delete_file_threshold, built.delete_ratio), (Some(7), Some(0.1)));
        assert_eq!((built.rewrite_all, built.remove_dangling_deletes), (true, true));
        assert_eq!((built.path, built.max_files), (RewritePath::Encode, Some(1000)));
    }

    #[test]
    fn without_options_everything_is_left_to_the_table() {
        let built = built(&[]).unwrap();
        assert_eq!((built.output.target_file_size, built.min_file_size, built.partial_progress), (None, None, None));
        assert_eq!((built.rewrite_all, built.path), (false, RewritePath::Auto));
    }

    #[test]
    fn a_compression_that_is_asked_for_is_not_left_out_by_copying() {
        let path = |words: &[&str]| built(words).unwrap().path;
        assert_eq!(path(&["--compression=zstd:9"]), RewritePath::Encode);
        assert_eq!(path(&["--compression=zstd:9", "--path=auto"]), RewritePath::Auto);
        // In the configuration it is what new files get, as the table's property.
        let configured = Compact { compression: "zstd:9".parse().ok(), ..Compact::default() };
        assert_eq!(options(&asked(&args(&[]), &configured).unwrap(), None).path, RewritePath::Auto);
    }

    #[test]
    fn options_win_over_the_configuration() {
        let configured = Compact { target_file_size: Some(Size(Bytes(1))), delete_ratio: Some(0.5), ..Compact::default() };
        let asked = asked(&args(&["--option", "target-file-size-bytes=2", "--partial-progress=4"]), &configured).unwrap();
        assert_eq!((asked.target_file_size, asked.delete_ratio), (Some(Size(Bytes(2))), Some(0.5)));
        assert_eq!(asked.partial_progress.map(usize::from), Some(4));
    }

    #[test]
    fn sizes_that_contradict_each_other_are_usage_errors() {
        for words in [
            &["--min-file-size=513MiB"][..],
            &["--target-file-size=10MB", "--min-file-size=11MB"],
            &["--target-file-size=10MB", "--max-file-size=10MB"],
            &["--max-file-size=1MiB"],
            &["--target-file-size=0"],
            &["--max-group-size=0"],
            &["--delete-ratio=0"],
            &["--delete-ratio=1.1"],
            &["--delete-ratio=nan"],
            &["--rewrite-all", "--option=rewrite-all=false"],
            &["--min-input-files=3", "--option=min-input-files=4"],
        ] {
            assert_eq!(built(words).map(|_| ()).unwrap_err().kind(), Kind::Usage, "{words:?}");
        }
        assert!(built(&["--min-input-files=3", "--option=min-input-files=3"]).is_ok());
    }

    #[test]
    fn what_this_version_cannot_do_is_said_by_name() {
        for (words, name) in [
            (&["--strategy=sort"][..], "sort"),
            (&["--strategy=zorder", "--columns=a,b"], "zorder"),
            (&["--strategy=hilbert"], "hilbert"),
            (&["--order-by=a"], "ordering"),
            (&["--path=splice"], "splice"),
        ] {
            let error = built(words).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported, "{words:?}");
            assert!(error.message().contains(name), "{error}");
        }
    }
}
