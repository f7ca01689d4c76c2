//! From arguments to what the operation takes.

use super::{Mismatch, OrphansArgs};
use crate::cli::options::key_value;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::ops::orphans::Options;
use crate::ops::orphans::plan::{Equal, OnMismatch};
use crate::units::parse_duration;

/// What the operation takes; relative places lie below `here`, temporary files go below `temp`.
///
/// # Errors
///
/// `Usage` for values that cannot be understood.
pub(super) fn options(args: &OrphansArgs, here: &Location, temp: Location) -> Result<Options> {
    let place = |text: &Option<String>| text.as_deref().map(|text| Location::parse_below(text, here)).transpose();
    Ok(Options {
        older_than_ms: age(&args.older_than)?,
        unsafe_retention: args.unsafe_retention,
        location: place(&args.location)?,
        inventory: place(&args.inventory)?,
        quarantine: place(&args.quarantine)?,
        on_mismatch: match args.prefix_mismatch {
            Mismatch::Error => OnMismatch::Error,
            Mismatch::Ignore => OnMismatch::Ignore,
            Mismatch::Delete => OnMismatch::Delete,
        },
        equal: Equal {
            schemes: pairs("--equal-scheme", &args.equal_scheme)?,
            authorities: pairs("--equal-authority", &args.equal_authority)?,
        },
        shown: args.limit,
        temp,
    })
}

fn age(text: &str) -> Result<i64> {
    let age = parse_duration(text)?;
    i64::try_from(age.as_millis()).map_err(|_| Error::usage("an age is longer than time is counted").about("option", "--older-than"))
}

fn pairs(option: &'static str, texts: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |text: &String| {
        let (one, other) = key_value(option, text)?;
        Ok((one.to_string(), other.to_string()))
    };
    texts.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::error::Kind;
    use crate::ops::orphans::{FLOOR_MS, OLDER_THAN_MS};

    fn built(words: &[&str]) -> Result<Options> {
        let cli = Cli::try_parse_from(["otf", "orphans", "t"].iter().chain(words)).unwrap();
        let Command::Orphans(args) = cli.command else { unreachable!() };
        let place = |text: &str| Location::parse(text).unwrap();
        options(&args, &place("/here"), place("/tmp"))
    }

    fn built_with(words: &[&str]) -> Options {
        built(words).unwrap()
    }

    #[test]
    fn without_options_the_defaults_of_the_contract_hold() {
        let built = built(&[]).unwrap();
        assert_eq!((built.older_than_ms, built.unsafe_retention, built.location), (OLDER_THAN_MS, false, None));
        assert_eq!((built.on_mismatch, built.equal), (OnMismatch::Error, Equal::default()));
    }

    #[test]
    fn flags_reach_the_operation() {
        let words =
            ["--older-than=24h", "--location=t/data", "--prefix-mismatch=ignore", "--equal-scheme=oss=s3", "--equal-authority=a:1=a"];
        let built = built(&words).unwrap();
        assert_eq!((built.older_than_ms, built.on_mismatch), (FLOOR_MS, OnMismatch::Ignore));
        assert_eq!(built.location, Some(Location::parse("/here/t/data").unwrap()));
        assert_eq!(built.equal.schemes, [("oss".to_string(), "s3".to_string())]);
        let set_aside = built_with(&["--quarantine=s3a://b/q", "--restore", "--inventory=i.csv"]);
        assert_eq!(set_aside.quarantine, Some(Location::parse("s3://b/q").unwrap()));
        assert_eq!(set_aside.inventory, Some(Location::parse("/here/i.csv").unwrap()));
        assert_eq!(built.equal.authorities, [("a:1".to_string(), "a".to_string())]);
    }

    #[test]
    fn ages_and_pairs_that_are_none_are_usage_errors() {
        for words in [["--older-than=soon"], ["--equal-scheme=s3a"], ["--equal-authority==b"], ["--older-than=99999999999999999w"]] {
            assert_eq!(built(&words).unwrap_err().kind(), Kind::Usage, "{words:?}");
        }
    }
}
