//! A coded line, and the signs and amounts in it.

use std::fmt;

use paygraph_domain::money::Currency;
use serde::Serialize;

/// A coded line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Emoji, in the order action, object, qualifier, scale or priority.
    pub codes: String,
    /// What happened, in a word.
    pub action: &'static str,
    /// Whom it is about.
    pub entity: String,
    /// What happened, in a sentence.
    pub message: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            codes,
            action,
            entity,
            message,
        } = self;
        write!(f, "[{codes}] {action}: {entity} — {message}")
    }
}

/// A tier's sign.
#[must_use]
pub fn sign(tier: &str) -> &'static str {
    match tier {
        "free" => "🆓",
        "individual" => "👤",
        "pro" => "💼",
        "team" => "👥",
        "enterprise" => "🏢",
        "founder" => "🌟",
        "founding_pro" => "💎",
        _ => "🎯",
    }
}

/// A tier's code: the tiers of the table, and `unknown` for any other.
#[must_use]
pub fn code(tier: &str) -> &str {
    if sign(tier) == "🎯" {
        "unknown"
    } else {
        tier
    }
}

/// An amount as lines write it, without a fraction that is nought: `58`, `58.50`.
#[must_use]
pub fn brief(currency: &Currency, minor: i64) -> String {
    let major = currency.major(minor);
    match major.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        Some(_) | None => major,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_a_fraction_only_where_there_is_one() {
        let brief = |code: &str, minor| brief(&Currency::parse(code).unwrap(), minor);
        assert_eq!(brief("usd", 5_800), "58");
        assert_eq!(brief("usd", 5_850), "58.50");
        assert_eq!(brief("usd", -5), "-0.05");
        assert_eq!(brief("jpy", 1_200), "1200");
        assert_eq!(brief("kwd", 1_000), "1");
    }
}
