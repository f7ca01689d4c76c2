//! The paper that charts are drawn on. Each is drawn twice, for wide and for narrow windows, so that its text keeps a readable size.

/// How large a chart is and how much fits into it, in the units of its text: a letter is about 7 wide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// The class that shows it in windows of its width, and part of its ids.
    pub(super) class: &'static str,
    /// Its width.
    pub(super) width: f64,
    /// The most bars.
    pub(super) bars: usize,
    /// Labels along the time line.
    pub(super) ticks: usize,
    /// Branches and tags on the time line.
    pub(super) references: usize,
}

/// For wide windows, then for narrow ones.
pub(super) const FRAMES: [Frame; 2] = [
    Frame { class: "wide", width: 880.0, bars: 56, ticks: 5, references: 16 },
    Frame { class: "narrow", width: 320.0, bars: 24, ticks: 3, references: 6 },
];

/// Space for the labels of the upright axis.
pub(super) const LEFT: f64 = 46.0;
/// Space for half a label at the end of the other one.
pub(super) const RIGHT: f64 = 34.0;
/// Where bars end at the top …
pub(super) const TOP: f64 = 20.0;
/// … and stand at the bottom.
pub(super) const BOTTOM: f64 = 190.0;

impl Frame {
    /// How wide bars and gaps are together.
    pub(super) const fn plot(&self) -> f64 {
        self.width - LEFT - RIGHT
    }

    /// A chart of this height around `inside`, which says `what` to those who cannot see it.
    pub(super) fn chart(&self, height: f64, what: &str, inside: &str) -> String {
        format!(
            "<svg class=\"chart {}\" viewBox=\"0 0 {:.0} {height:.0}\" role=\"img\" aria-label=\"{what}\">{inside}</svg>\n",
            self.class, self.width
        )
    }
}

/// `part` of `whole` as a fraction.
#[expect(clippy::cast_precision_loss, reason = "a pixel more or less")]
pub(super) fn fraction(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).clamp(0.0, 1.0) }
}

/// A place among so many, as a number to draw with.
pub(super) fn place(at: usize) -> f64 {
    u32::try_from(at).map_or(f64::MAX, f64::from)
}

/// The least round number that is not below `most`: a scale ends there.
pub(super) fn ceiling(most: u64) -> u64 {
    let mut unit = 1u64;
    loop {
        for tenths in [10, 15, 20, 30, 40, 50, 60, 80] {
            match unit.checked_mul(tenths) {
                // 1.5 is no number of versions.
                Some(end) if end % 10 == 0 && end / 10 >= most => return end / 10,
                Some(_) => {}
                None => return u64::MAX,
            }
        }
        match unit.checked_mul(10) {
            Some(next) => unit = next,
            None => return u64::MAX,
        }
    }
}

/// Lines across the chart at nought, the middle and `end`, with their labels.
pub(super) fn scale(frame: &Frame, end: u64) -> String {
    let mut drawn = String::new();
    let middle = (end > 1 && end.is_multiple_of(2)).then_some(end / 2);
    for value in [Some(0), middle, Some(end)].into_iter().flatten() {
        let y = BOTTOM - (BOTTOM - TOP) * fraction(value, end);
        let class = if value == 0 { "axis" } else { "grid" };
        drawn
            .push_str(&format!("<line class=\"{class}\" x1=\"{LEFT:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>", frame.width - RIGHT));
        drawn.push_str(&format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>", LEFT - 6.0, y + 4.0, round(value)));
    }
    drawn
}

/// A number of at most five letters: `900`, `12 k`, `3 M`. Ends of scales are round, so that nothing is lost.
pub(super) fn round(number: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1_000_000_000_000_000_000, "E"),
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    match UNITS.into_iter().find(|(unit, _)| number >= *unit) {
        Some((unit, letter)) => {
            let tenths = number % unit * 10 / unit;
            if tenths == 0 { format!("{} {letter}", number / unit) } else { format!("{}.{tenths} {letter}", number / unit) }
        }
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!([0, 1, 2, 3, 7, 11, 20, 51, 1_001].map(ceiling), [1, 1, 2, 3, 8, 15, 20, 60, 1_500]);
        assert_eq!(ceiling(u64::MAX), u64::MAX);
        assert_eq!([0, 999, 1_000, 2_500, 20_000_000].map(round), ["0", "999", "1 k", "2.5 k", "20 M"]);
    }

    #[test]
    fn the_middle_of_a_scale_is_told_where_it_is_whole() {
        let labels = |end| scale(&FRAMES[0], end).matches("<text").count();
        assert_eq!([1, 2, 5, 10].map(labels), [2, 3, 2, 3]);
    }
}
