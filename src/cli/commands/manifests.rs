//! `otf manifests TABLE`: lists of files are written anew.

use super::upkeep::{Verb, line, open, plural, show};
use crate::cli::options::TableArgs;
use crate::cli::session::Session;
use crate::config::Size;
use crate::error::Result;
use crate::model::{LeaveList, ListContent, ListPlan, ListWhy, ListWishes};
use crate::ops::manifests::run;
use crate::wiring::system::operation_id;

/// Write a table's lists of files anew: Iceberg manifests, a checkpoint of a Delta log
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Without --yes the plan is shown and nothing is written. Iceberg: small manifests are joined, large ones split, and files of a \
    partition brought together; no data file is touched. Delta: the newest version gets a checkpoint, or with --log-compaction \
    the commits since the last one are summed up."
)]
pub struct ManifestsArgs {
    /// The table.
    #[command(flatten)]
    pub table: TableArgs,
    /// About how large manifests should be [default: the table's commit.manifest.target-size-bytes, else 8MiB]
    #[arg(long, value_name = "SIZE")]
    pub target_size: Option<Size>,
    /// Only manifests of this partition spec [default: every spec]
    #[arg(long, value_name = "ID")]
    pub spec_id: Option<i32>,
    /// Partition fields in whose order files are listed [default: the order of the spec]
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub sort_by: Vec<String>,
    /// Every manifest, whatever its size and order
    #[arg(long)]
    pub rewrite_all: bool,
    /// Sum up the commits since the last checkpoint in one file, and write no checkpoint (Delta)
    #[arg(long, conflicts_with_all = ["target_size", "spec_id", "sort_by", "rewrite_all"])]
    pub log_compaction: bool,
}

/// Shows which lists would be written anew, and does it where `--yes` agreed to it.
///
/// # Errors
///
/// As the operation.
pub async fn run(args: &ManifestsArgs, session: &Session) -> Result<u8> {
    let wishes = ListWishes {
        target: args.target_size.map(|size| size.0),
        spec: args.spec_id,
        order: args.sort_by.iter().map(|name| name.trim().to_string()).collect(),
        all: args.rewrite_all,
        sums: args.log_compaction,
    };
    let agreed = session.agreed();
    let store = session.store()?;
    let opened = open(&args.table, session, &store, agreed).await?;
    let workshop = session.workshop(store)?;
    let parts = workshop.parts();
    let (table, operation) = (opened.table.as_ref(), operation_id());
    let verb = Verb { name: "manifests", table, operation: &operation, start: parts.clock.now() };
    let finished = run::run(table, &operation, &wishes, agreed, parts).await?;
    let document = verb.document(finished, parts);
    let mut told = text(&document.plan);
    if let Some(report) = document.report.as_ref().filter(|report| report.lists_added > 0) {
        let (old, new) = (plural(report.lists_removed, "list"), plural(report.lists_added, "list"));
        line(&mut told, &format!("{old} ({}) became {new} ({})", report.bytes_removed, report.bytes_added));
    }
    show(&document, &told, document.plan.groups.is_empty(), session)
}

fn text(plan: &ListPlan) -> String {
    let mut text = String::new();
    for group in &plan.groups {
        let content = match group.content {
            ListContent::Data => "of data files",
            ListContent::Deletes => "of delete files",
            ListContent::Log => "of the log",
        };
        let spec = group.spec.map_or_else(String::new, |spec| format!(", spec {spec}"));
        let files = group.files.map_or_else(String::new, |files| format!(", {}", plural(files, "file")));
        let lists = plural(group.lists, "list");
        line(&mut text, &format!("rewrite {lists} {content}{spec}: {}{files}; {}", group.bytes, why(group.why)));
    }
    let rewritten: u64 = plan.groups.iter().map(|group| group.lists).sum();
    let left: u64 = plan.left.iter().map(|left| left.lists).sum();
    let kept = plan.lists.saturating_sub(rewritten).saturating_sub(left);
    if kept > 0 {
        line(&mut text, &format!("keep {}", plural(kept, "list")));
    }
    for left in &plan.left {
        let why = match left.why {
            LeaveList::UnknownSpec => "of a partition spec that is not understood",
            LeaveList::OtherSpec => "of another partition spec than --spec-id",
        };
        line(&mut text, &format!("leave {}: {why}", plural(left.lists, "list")));
    }
    text
}

const fn why(why: ListWhy) -> &'static str {
    match why {
        ListWhy::Asked => "everything was asked for",
        ListWhy::Large => "larger than a list should be",
        ListWhy::Unordered => "files of the same partitions are spread over them",
        ListWhy::Small => "many small ones",
        ListWhy::Dead => "none of their files is live",
        ListWhy::NoCheckpoint => "readers replay them one by one",
    }
}
