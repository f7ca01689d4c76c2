//! Text in a page: whatever it holds, it stays text.

use std::fmt;

use crate::cli::ui::visible;

/// Longer texts lose their middle: the size of a page is bounded whatever names a table has.
const LONGEST: usize = 160;
/// So much of a longer text's end is kept: names of files and partitions differ there.
const END: usize = 60;
/// The same of whole sentences and lists.
const LONGEST_PASSAGE: usize = 800;
/// Longer commands are no use to anybody who copies them, and are cut off as well.
const LONGEST_COMMAND: usize = 4_096;

/// Text that is written so that no markup comes of it, in elements and in attributes alike.
#[derive(Debug, Clone)]
pub(super) struct Text(String);

/// `text` as it is shown.
pub(super) fn text(text: &str) -> Text {
    Text(visible(&shortened(text, LONGEST)).into_owned())
}

/// A sentence or a list as it is shown.
pub(super) fn passage(text: &str) -> Text {
    Text(visible(&shortened(text, LONGEST_PASSAGE)).into_owned())
}

/// A name somebody chose: it cannot turn round what stands beside it.
pub(super) fn name(name: &str) -> String {
    format!("<bdi>{}</bdi>", text(name))
}

/// A command, which is only shortened where nobody would copy it.
pub(super) fn command(command: &str) -> Text {
    let cut = command.char_indices().nth(LONGEST_COMMAND).map_or(command, |(end, _)| command.get(..end).unwrap_or_default());
    Text(visible(cut).into_owned())
}

/// At most `longest` characters of `text`, its end among them.
fn shortened(text: &str, longest: usize) -> String {
    let length = text.chars().count();
    if length <= longest {
        return text.to_string();
    }
    let start: String = text.chars().take(longest.saturating_sub(END + 1)).collect();
    let end: String = text.chars().skip(length - END).collect();
    format!("{start}…{end}")
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => fmt::Write::write_char(f, other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_markup_comes_of_text() {
        assert_eq!(text("<script>alert('x')&\"").to_string(), "&lt;script&gt;alert(&#39;x&#39;)&amp;&quot;");
        assert_eq!(name("a\u{202e}b\0"), r"<bdi>a\u{202e}b\u{0}</bdi>");
    }

    #[test]
    fn long_texts_lose_their_middle() {
        let long = format!("start{}end", "ü".repeat(10_000));
        let shown = text(&long).to_string();
        assert_eq!(shown.chars().count(), LONGEST);
        assert!(shown.starts_with("startü") && shown.contains('…') && shown.ends_with("üend"));
        assert_eq!(command(&"x".repeat(10_000)).to_string().len(), LONGEST_COMMAND);
    }
}
