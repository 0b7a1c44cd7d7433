//! Text that came from outside, made harmless for terminals and logs. A file name may hold anything, and so may what a command or a
//! broker says.

/// The text with every character escaped that a terminal would obey, or that hides how the rest reads: control characters, line breaks,
/// and marks that turn the direction of writing.
pub fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same for a text of several lines: their breaks stay.
pub fn printable_lines(text: &str) -> String {
    escaped(text, |c| c == '\n')
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if is_active(c) && !stays(c) { harmless.extend(c.escape_default()) } else { harmless.push(c) }
    }
    harmless
}

fn is_active(c: char) -> bool {
    // C0, DEL and C1; then line and paragraph separators, and the marks of the Unicode bidirectional algorithm.
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_text() {
        let told = [
            ("/drop/teil ä 1.png", "/drop/teil ä 1.png"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\rb\nc\td\u{7f}\u{0}", "a\\rb\\nc\\td\\u{7f}\\u{0}"),
            ("gnp.\u{202e}ko", "gnp.\\u{202e}ko"),
            ("\u{2066}x\u{2069}\u{200f}\u{2028}", "\\u{2066}x\\u{2069}\\u{200f}\\u{2028}"),
        ];
        for (text, shown) in told {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(printable_lines("one\n\u{1b}two\r\n"), "one\n\\u{1b}two\\r\n");
    }
}
