//! Every parser of the tool, each as a function of bytes that must come back: with a value or an error, never with a panic, in bounded time and
//! memory. Formats are reached as the tool reaches them, through tables in memory.

mod beside;
mod delta;
mod files;
mod iceberg;
mod seeds;
mod tables;
mod texts;
pub(crate) mod words;

/// A target: its name, what it does, and the seeds to begin with (`seeds.rs` says how they are written).
pub(crate) type Target = (&'static str, fn(&[u8]), &'static [&'static str]);

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Target> {
    [delta::TARGETS, iceberg::TARGETS, files::TARGETS, beside::TARGETS, texts::TARGETS].into_iter().flatten()
}

/// The inputs that a target begins with.
pub(crate) fn seeds(target: &Target) -> Vec<Vec<u8>> {
    target.2.iter().map(|seed| seeds::load(seed)).collect()
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}
