//! Text that people have typed, made safe to show.

/// Puts text on one line: each run of line breaks, control characters and signs that turn the
/// direction of writing becomes one space, and none at the ends.
///
/// Whoever chooses a name could otherwise end a line of a log and write the next one, or show a text
/// in another order than it has (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
#[must_use]
pub fn single_line(text: &str) -> String {
    let parts = text.split(breaks_line).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The first characters of a text, with `…` for the rest.
#[must_use]
pub fn shorten(text: &str, max_chars: usize) -> String {
    if text.chars().nth(max_chars).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(max_chars.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Control characters, the two separators of Unicode, and the signs that turn the direction.
fn breaks_line(c: char) -> bool {
    let turns = matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s8_a_text_stays_on_its_line() {
        for (text, expected) in [
            ("Acme Ltd", "Acme Ltd"),
            (
                "a\r\n[💰✅🎢🌍] invoice_paid: b",
                "a [💰✅🎢🌍] invoice_paid: b",
            ),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("a\u{2028}b\u{85}c", "a b c"),
            ("pay \u{202e}lla\u{202c} now", "pay  lla  now"),
            ("\n\n", ""),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
        ] {
            assert_eq!(single_line(text), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äö…");
        assert_eq!(shorten("a", 0), "…");
    }

    proptest! {
        #[test]
        fn s8_no_text_breaks_a_line(text in any::<String>()) {
            let line = single_line(&text);
            prop_assert!(!line.contains(breaks_line));
            prop_assert_eq!(single_line(&line), line);
        }
    }
}
