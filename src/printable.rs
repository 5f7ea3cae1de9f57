//! Text from outside, made fit for a log or a terminal.

use std::fmt::{self, Write};

/// The most characters of a text that are shown.
const MOST: usize = 1_000;

/// A text without control characters, which could begin another line of a log or move the cursor,
/// and not longer than a person reads.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(MOST) {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        if characters.next().is_some() { f.write_char('…') } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_or_fill_a_screen_is_not_shown_as_it_is() {
        assert_eq!(Printable("plain, ünd mehr").to_string(), "plain, ünd mehr");
        assert_eq!(Printable("a\nb\u{1b}[2J\u{85}\0").to_string(), r"a\nb\u{1b}[2J\u{85}\u{0}");
        assert_eq!(Printable(&"x".repeat(MOST)).to_string(), "x".repeat(MOST));
        assert_eq!(Printable(&"x".repeat(MOST + 1)).to_string(), "x".repeat(MOST) + "…");
    }
}
