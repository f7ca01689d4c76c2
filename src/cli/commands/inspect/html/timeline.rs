//! A chart of a table's history: how many versions of which kind were made when, and what branches and tags name.

use super::frame::{BOTTOM, FRAMES, Frame, LEFT, RIGHT, TOP, ceiling, fraction, place, scale};
use super::text::text;
use crate::cli::ui::{count, visible};
use crate::formats::Reference;
use crate::ops::inspect::{Act, Past};
use crate::units::Timestamp;

/// Rows of names below the time line.
const LANES: usize = 6;
/// The height of one.
const LANE: f64 = 19.0;
/// Longer names are cut off on the time line; the table below it has more of them.
const LONGEST: usize = 18;
const DAY_MS: i64 = 86_400_000;

/// The chart, for wide and for narrow windows, and what its colours mean; nothing where no version has a time.
pub(super) fn chart(past: &Past, references: &[Reference]) -> String {
    let times = past.acts.iter().map(|(time, _)| time.0);
    let (Some(first), Some(last)) = (times.clone().min(), times.max()) else { return String::new() };
    let charts: String = FRAMES.iter().map(|frame| drawn(frame, past, references, first, last)).collect();
    format!("{charts}{}", legend(past))
}

fn drawn(frame: &Frame, past: &Past, references: &[Reference], first: i64, last: i64) -> String {
    let mut bins = vec![[0u64; Act::ALL.len()]; frame.bars];
    for (time, act) in &past.acts {
        let kind = Act::ALL.iter().position(|known| known == act).unwrap_or(0);
        if let Some(number) = bins.get_mut(bin(time.0, first, last, frame.bars)).and_then(|bin| bin.get_mut(kind)) {
            *number += 1;
        }
    }
    let end = ceiling(bins.iter().map(|bin| bin.iter().sum()).max().unwrap_or(0));
    let mut inside =
        format!("<defs>{}</defs>{}", Act::ALL.into_iter().map(|act| pattern(frame.class, act)).collect::<String>(), scale(frame, end));
    let width = frame.plot() / place(frame.bars);
    for (at, bin) in bins.iter().enumerate() {
        let mut y = BOTTOM;
        for (act, number) in Act::ALL.iter().zip(bin).filter(|(_, number)| **number > 0) {
            let height = (BOTTOM - TOP) * fraction(*number, end);
            y -= height;
            let spot =
                format!("x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"", LEFT + width * place(at) + 0.5, width - 1.0);
            inside.push_str(&filled(*act, frame.class, &spot, &format!("{}: {}", act.as_str(), count(*number))));
        }
    }
    inside.push_str(&ticks(frame, first, last));
    let (names, rows) = named(frame, past, references, first, last);
    inside.push_str(&names);
    frame.chart(BOTTOM + 30.0 + LANE * place(rows), "How many versions were made when", &inside)
}

/// Which of `count` equal parts of the time from `first` to `last` holds `time`.
fn bin(time: i64, first: i64, last: i64, count: usize) -> usize {
    let (since, whole) = (i128::from(time) - i128::from(first), i128::from(last) - i128::from(first) + 1);
    let at = i128::try_from(count).unwrap_or(1) * since / whole;
    usize::try_from(at).unwrap_or(0).min(count.saturating_sub(1))
}

/// A bar in the colour and the pattern of its kind.
fn filled(act: Act, frame: &str, spot: &str, title: &str) -> String {
    let kind = act.as_str();
    let hatch = if act == Act::Append { String::new() } else { format!("<rect fill=\"url(#{frame}-{kind})\" {spot}/>") };
    format!("<g><title>{title}</title><rect class=\"{kind}\" {spot}/>{hatch}</g>")
}

/// What tells a kind apart besides its colour.
fn pattern(frame: &str, act: Act) -> String {
    let lines = match act {
        Act::Append => return String::new(),
        Act::Overwrite => "<path class=\"hatch\" d=\"M-1 7L7 -1M2 10L10 2\"/>",
        Act::Delete => "<circle class=\"dot\" cx=\"4\" cy=\"4\" r=\"1.5\"/>",
        Act::Rewrite => "<path class=\"hatch\" d=\"M0 4H8\"/>",
        Act::Other => "<path class=\"hatch\" d=\"M4 0V8\"/>",
    };
    format!("<pattern id=\"{frame}-{}\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">{lines}</pattern>", act.as_str())
}

fn legend(past: &Past) -> String {
    let entry = |act: Act| {
        let number = past.acts.iter().filter(|(_, known)| *known == act).count();
        let spot = "x=\"0\" y=\"0\" width=\"24\" height=\"16\"";
        let (kind, swatch) = (act.as_str(), filled(act, "key", spot, act.as_str()));
        let shown = format!(
            "<li><svg viewBox=\"0 0 24 16\" aria-hidden=\"true\"><defs>{}</defs>{swatch}</svg>{kind} ({})</li>",
            pattern("key", act),
            count(number as u64)
        );
        if number == 0 { String::new() } else { shown }
    };
    format!("<ul class=\"legend\">{}</ul>\n", Act::ALL.into_iter().map(entry).collect::<String>())
}

/// Times below the axis, the first and the last among them.
fn ticks(frame: &Frame, first: i64, last: i64) -> String {
    let span = last.saturating_sub(first);
    let count = if span == 0 { 1 } else { frame.ticks };
    let mut drawn = String::new();
    for at in 0..count {
        let part = place(at) / place(count.saturating_sub(1)).max(1.0);
        let (x, anchor) = match at {
            0 => (LEFT, "start"),
            _ if at + 1 == count => (frame.width - RIGHT, "end"),
            _ => (LEFT + frame.plot() * part, "middle"),
        };
        let steps = i128::try_from(at).unwrap_or(0) * i128::from(span) / i128::try_from(count.saturating_sub(1).max(1)).unwrap_or(1);
        let time = i64::try_from(i128::from(first) + steps).unwrap_or(last);
        drawn.push_str(&format!("<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>", BOTTOM + 17.0, clock(time, span)));
    }
    drawn
}

/// A time as precisely as a span asks for.
fn clock(time: i64, span: i64) -> String {
    let text = Timestamp(time).to_string();
    let (from, to) = match span {
        0 => (0, 16),
        1..120_000 => (11, 19),
        120_000..DAY_MS => (11, 16),
        DAY_MS..172_800_000 => (5, 16),
        _ => (0, 10),
    };
    let part = if text.len() == 24 { text.get(from..to).unwrap_or(&text) } else { text.get(..16).unwrap_or(&text) };
    part.replace('T', " ")
}

/// Branches and tags where their versions were made, in rows so that names do not overlap; and how many rows there are.
fn named(frame: &Frame, past: &Past, references: &[Reference], first: i64, last: i64) -> (String, usize) {
    let timed = references.iter().filter_map(|reference| Some((past.times.get(&reference.version)?.0, reference)));
    let mut timed: Vec<(i64, &Reference)> = timed.filter(|(time, _)| (first..=last).contains(time)).collect();
    timed.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.name.cmp(&b.1.name)));
    let mut ends = [f64::MIN; LANES];
    // Lines come first: names are written over them.
    let (mut stems, mut names, mut rows) = (String::new(), String::new(), 0);
    for (time, reference) in timed.into_iter().take(frame.references) {
        let bars = place(frame.bars);
        let x = LEFT + frame.plot() * ((place(bin(time, first, last, frame.bars)) + 0.5) / bars);
        let seen = visible(&reference.name);
        let cut: String = seen.chars().take(LONGEST).collect();
        let label = if cut.len() < seen.len() { format!("{cut}…") } else { cut };
        let width: f64 = 12.0 + label.chars().map(|c| if c.is_ascii() { 7.5 } else { 14.0 }).sum::<f64>();
        let to_the_left = x + width > frame.width - 2.0;
        let (from, to) = if to_the_left { (x - width, x + 8.0) } else { (x - 8.0, x + width) };
        let Some((lane, end)) = ends.iter_mut().enumerate().find(|(_, end)| **end < from) else { continue };
        *end = to;
        rows = rows.max(lane + 1);
        let y = BOTTOM + 34.0 + LANE * place(lane);
        stems.push_str(&format!("<line class=\"stem\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP:.1}\" y2=\"{:.1}\"/>", y - 5.0));
        names.push_str(&sign(reference, x, y));
        let (anchor, beside) = if to_the_left { ("end", x - 9.0) } else { ("start", x + 9.0) };
        names.push_str(&format!(
            "<text class=\"strong\" x=\"{beside:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            y + 4.0,
            text(&label)
        ));
    }
    (stems + &names, rows)
}

/// A circle for a branch, a diamond for a tag.
fn sign(reference: &Reference, x: f64, y: f64) -> String {
    if reference.is_branch {
        format!("<circle class=\"mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>")
    } else {
        format!("<path class=\"mark\" d=\"M{x:.1} {:.1}l5.5 5.5l-5.5 5.5l-5.5 -5.5z\"/>", y - 5.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_falls_into_a_part_and_the_last_into_the_last() {
        assert_eq!([0, 4, 5, 9].map(|time| bin(time, 0, 9, 2)), [0, 0, 1, 1]);
        assert_eq!(bin(7, 7, 7, 5), 0);
        assert_eq!(bin(i64::MAX, i64::MIN, i64::MAX, 56), 55);
    }

    #[test]
    fn times_are_as_precise_as_their_span_asks_for() {
        let time = 1_767_323_045_000;
        assert_eq!(
            [0, 60_000, 7_200_000, DAY_MS, 9 * DAY_MS].map(|span| clock(time, span)),
            ["2026-01-02 03:04", "03:04:05", "03:04", "01-02 03:04", "2026-01-02"]
        );
        assert_eq!(clock(i64::MAX, i64::MAX), "9223372036854775");
    }

    #[test]
    fn each_kind_has_a_pattern_of_its_own() {
        let patterns: std::collections::BTreeSet<String> = Act::ALL.into_iter().map(|act| pattern("key", act)).collect();
        assert_eq!(patterns.len(), Act::ALL.len());
    }
}
