//! A chart of file sizes: how many files of which size, by powers of two.

use super::frame::{BOTTOM, FRAMES, Frame, LEFT, TOP, ceiling, fraction, place, scale};
use crate::cli::ui::count;
use crate::ops::inspect::SizeClass;
use crate::units::Bytes;

/// The least width of a bar with a label below.
const LABEL: f64 = 62.0;
/// The least width of a bar: classes are joined until bars have it.
const BAR: f64 = 26.0;

/// The chart, for wide and for narrow windows; nothing where there are no files.
pub(super) fn chart(classes: &[SizeClass], target: Bytes) -> String {
    if classes.is_empty() {
        return String::new();
    }
    FRAMES.iter().map(|frame| drawn(frame, classes, target)).collect()
}

fn drawn(frame: &Frame, classes: &[SizeClass], target: Bytes) -> String {
    let classes = joined(frame, classes);
    let width = (frame.plot() / place(classes.len())).min(96.0);
    let most = classes.iter().map(|class| class.files).max().unwrap_or(0);
    let end = ceiling(most);
    let mut inside = scale(frame, end);
    // The first bar whose label does not run into the one before.
    let mut free = 0.0;
    for (at, class) in classes.iter().enumerate() {
        let x = LEFT + width * place(at);
        let height = (BOTTOM - TOP) * fraction(class.files, end);
        if class.files > 0 {
            inside.push_str(&format!(
                "<rect class=\"append\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                x + 1.0,
                BOTTOM - height.max(1.5),
                width - 2.0,
                height.max(1.5),
                said(class)
            ));
            let files = count(class.files);
            if place(files.len()) * 7.0 < width {
                let (middle, above) = (x + width / 2.0, BOTTOM - height - 5.0);
                inside
                    .push_str(&format!("<text class=\"strong\" x=\"{middle:.1}\" y=\"{above:.1}\" text-anchor=\"middle\">{files}</text>"));
            }
        }
        if x >= free {
            inside.push_str(&tick(x, class.from));
            free = x + LABEL;
        }
    }
    let right = LEFT + width * place(classes.len());
    if let Some(below) = classes.last().and_then(|class| class.below).filter(|_| right >= free) {
        inside.push_str(&tick(right, below));
    }
    inside.push_str(&target_line(frame, &classes, width, target));
    frame.chart(BOTTOM + 30.0, "How many files of which size", &inside)
}

/// A size below the axis.
fn tick(x: f64, size: Bytes) -> String {
    format!(
        "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{BOTTOM:.1}\" y2=\"{:.1}\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        BOTTOM + 5.0,
        BOTTOM + 20.0,
        short(size)
    )
}

/// Neighbouring classes as one, until they are so few that bars have a width.
fn joined(frame: &Frame, classes: &[SizeClass]) -> Vec<SizeClass> {
    let mut step = 1;
    while place(classes.len().div_ceil(step)) * BAR > frame.plot() {
        step += 1;
    }
    let join = |run: &[SizeClass]| {
        let (first, last) = (run.first()?, run.last()?);
        let files = run.iter().fold(0u64, |files, class| files.saturating_add(class.files));
        Some(SizeClass { from: first.from, below: last.below, files, bytes: run.iter().map(|class| class.bytes).sum() })
    };
    classes.chunks(step).filter_map(join).collect()
}

/// A line where the target size lies, if it lies among the classes.
fn target_line(frame: &Frame, classes: &[SizeClass], width: f64, target: Bytes) -> String {
    let holds = |class: &SizeClass| class.from <= target && class.below.is_none_or(|below| target < below);
    let Some(at) = classes.iter().position(holds) else { return String::new() };
    let within = classes.get(at).and_then(|class| Some(fraction(target.0 - class.from.0, class.below?.0 - class.from.0)));
    let x = LEFT + width * (place(at) + within.unwrap_or(0.0));
    let label = format!("target {}", short(target));
    let fits = x + place(label.len()) * 7.0 < frame.width;
    let (anchor, beside) = if fits { ("start", x + 5.0) } else { ("end", x - 5.0) };
    format!(
        "<line class=\"target\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"2\" y2=\"{BOTTOM:.1}\"/><text class=\"target-label\" x=\"{beside:.1}\" y=\"11\" text-anchor=\"{anchor}\">{label}</text>"
    )
}

fn said(class: &SizeClass) -> String {
    let range =
        class.below.map_or_else(|| format!("{} and more", short(class.from)), |below| format!("{} to {}", short(class.from), short(below)));
    format!("{}: {} files with {}", range, count(class.files), class.bytes)
}

/// A size without a fraction of nought.
fn short(size: Bytes) -> String {
    size.to_string().replace(".0 ", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(count: usize) -> Vec<SizeClass> {
        let power = |n: usize| u32::try_from(n).ok().and_then(|n| 1u64.checked_shl(n)).map(Bytes);
        (0..count).map(|n| SizeClass { from: power(n).unwrap(), below: power(n + 1), files: 1, bytes: Bytes(1) }).collect()
    }

    #[test]
    fn classes_are_joined_until_bars_have_a_width_and_no_file_is_lost() {
        for frame in &FRAMES {
            let joined = joined(frame, &classes(64));
            assert!(place(joined.len()) * BAR <= frame.plot());
            assert_eq!(joined.iter().map(|class| class.files).sum::<u64>(), 64);
            assert_eq!((joined[0].from, joined[joined.len() - 1].below), (Bytes(1), None));
        }
    }

    #[test]
    fn the_target_is_shown_where_it_lies_among_the_sizes() {
        let shown = |target| chart(&classes(12), target).matches("target-label").count();
        assert_eq!((shown(Bytes(1_024)), shown(Bytes::mib(512))), (2, 0));
        assert_eq!(chart(&[], Bytes::mib(1)), "");
    }
}
