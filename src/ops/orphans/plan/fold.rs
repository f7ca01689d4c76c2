//! Other spellings of a path: percent-encoded or not, accents composed or not.

use percent_encoding::percent_decode_str;

/// A name that was encoded more often than this is taken as it then is.
const ENCODINGS: usize = 4;

/// What all spellings of `path` have in common; `None` if it has only this one. Percent-encoding is undone, and every run of characters beyond
/// ASCII becomes one mark, the letter before a combining character included: that is alike in all normal forms of Unicode.
pub(super) fn fold(path: &str) -> Option<String> {
    if path.is_ascii() && !path.contains('%') {
        return None;
    }
    let mut text = path.to_string();
    for _ in 0..ENCODINGS {
        match percent_decode_str(&text).decode_utf8() {
            Ok(decoded) if decoded != text.as_str() => text = decoded.into_owned(),
            _ => break,
        }
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            folded.push(c);
            continue;
        }
        if is_combining(c) && folded.ends_with(|last: char| last.is_ascii_alphanumeric()) {
            folded.pop();
        }
        if !folded.ends_with(MARK) {
            folded.push(MARK);
        }
    }
    (folded != path).then_some(folded)
}

/// Stands for characters beyond ASCII.
const MARK: char = '\u{fffd}';

/// The combining characters that letters of the Latin script are taken apart into (Unicode blocks "Combining Diacritical Marks" and its supplements).
const fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_name_come_to_the_same() {
        let folded = |path: &str| fold(path).unwrap_or_else(|| path.to_string());
        let composed = "t/p=\u{e9}t\u{e9} 50%/f";
        for spelled in ["t/p=e\u{301}te\u{301} 50%/f", "t/p=%C3%A9t%C3%A9%2050%25/f", "t/p=%25C3%25A9t%25C3%25A9 50%2525/f"] {
            assert_eq!(folded(spelled), folded(composed), "{spelled}");
        }
        // Hangul: one syllable, or the three letters it is made of.
        assert_eq!(folded("t/\u{ac01}"), folded("t/\u{1100}\u{1161}\u{11a8}"));
        assert_ne!(folded("t/ete 50%/f"), folded(composed));
    }

    #[test]
    fn a_plain_name_has_one_spelling() {
        assert_eq!(fold("t/part-0.parquet"), None);
        assert_eq!(fold("t/100%"), None);
    }
}
