//! Money: integers in the currency's minor unit, and exact rationals where a rule divides.
//!
//! Currencies are never converted or added together. No floating point is near any of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive};
use serde::{Deserialize, Serialize, Serializer};

/// An exact amount in minor units, before rounding.
pub type Exact = BigRational;

/// An ISO 4217 code in lower case, as Stripe writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Currency(Arc<str>);

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A text that is no currency code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a currency code")]
pub struct InvalidCurrency(String);

impl Currency {
    /// Takes a code in either case.
    ///
    /// # Errors
    /// [`InvalidCurrency`] unless it is three to eight ASCII letters or digits.
    pub fn parse(code: &str) -> Result<Self, InvalidCurrency> {
        let fits = (3..=8).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
        if fits {
            Ok(Self(code.to_ascii_lowercase().into()))
        } else {
            Err(InvalidCurrency(code.to_owned()))
        }
    }

    /// The code, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many digits the minor unit has: 2 for most, 0 and 3 for those that Stripe lists.
    /// <https://docs.stripe.com/currencies#zero-decimal>
    #[must_use]
    pub fn minor_digits(&self) -> u32 {
        match self.as_str() {
            "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf"
            | "ugx" | "vnd" | "vuv" | "xaf" | "xof" | "xpf" => 0,
            "bhd" | "iqd" | "jod" | "kwd" | "lyd" | "omr" | "tnd" => 3,
            _ => 2,
        }
    }

    /// An amount in minor units, in the major one: `58.00`, `-0.05`, `1200` yen, `1.250` dinar.
    #[must_use]
    pub fn major(&self, minor: i64) -> String {
        let unit = 10_u64.pow(self.minor_digits());
        let sign = if minor < 0 { "-" } else { "" };
        let (whole, rest) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
        match usize::try_from(self.minor_digits()) {
            Ok(width) if width > 0 => format!("{sign}{whole}.{rest:0width$}"),
            Ok(_) | Err(_) => format!("{sign}{whole}"),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;
    fn try_from(code: String) -> Result<Self, InvalidCurrency> {
        Self::parse(&code)
    }
}

/// Amounts in minor units, one per currency; a currency with 0 is left out, so that `{}` is nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(BTreeMap<Currency, i64>);

impl Money {
    /// One amount.
    #[must_use]
    pub fn of(currency: &Currency, minor: i64) -> Self {
        let mut money = Self::default();
        money.add(currency, minor);
        money
    }

    /// Adds minor units (or takes away, when negative) in one currency.
    pub fn add(&mut self, currency: &Currency, minor: i64) {
        let sum = self.get(currency).saturating_add(minor);
        if sum == 0 {
            self.0.remove(currency);
        } else {
            self.0.insert(currency.clone(), sum);
        }
    }

    /// Adds every currency of `other`.
    pub fn add_all(&mut self, other: &Self) {
        for (currency, minor) in &other.0 {
            self.add(currency, *minor);
        }
    }

    /// Takes every currency of `other` away.
    pub fn subtract_all(&mut self, other: &Self) {
        for (currency, minor) in &other.0 {
            self.add(currency, minor.saturating_neg());
        }
    }

    /// The minor units in a currency.
    #[must_use]
    pub fn get(&self, currency: &Currency) -> i64 {
        self.0.get(currency).copied().unwrap_or(0)
    }

    /// Whether there is no amount in any currency.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every currency with its minor units, by code.
    pub fn iter(&self) -> impl Iterator<Item = (&Currency, i64)> {
        self.0.iter().map(|(currency, minor)| (currency, *minor))
    }
}

/// A decimal number of up to twelve places, as in Stripe's `unit_amount_decimal` and `percent_off`.
///
/// Kept as a count of 10⁻¹²; written as text so that no reader takes it for a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(i128);

const PLACES: usize = 12;
const ONE: i128 = 1_000_000_000_000;

/// A text that is no decimal number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a decimal number")]
pub struct InvalidDecimal(String);

impl Decimal {
    /// A whole number.
    #[must_use]
    pub fn from_integer(n: i64) -> Self {
        Self(i128::from(n).saturating_mul(ONE))
    }

    /// Reads `29`, `-0.5`, `12.345` or `1e-3`; places after the twelfth are cut off.
    ///
    /// # Errors
    /// [`InvalidDecimal`] when the text is none, or too large.
    pub fn parse(text: &str) -> Result<Self, InvalidDecimal> {
        parse_scaled(text)
            .map(Self)
            .ok_or_else(|| InvalidDecimal(text.to_owned()))
    }

    /// The number as an exact rational.
    #[must_use]
    pub fn exact(self) -> Exact {
        if self.0 % ONE == 0 {
            return Exact::from_integer(BigInt::from(self.0 / ONE));
        }
        Exact::new(BigInt::from(self.0), BigInt::from(ONE))
    }

    /// So many times the number, as an exact rational: a fraction is reduced once, if there is one.
    #[must_use]
    pub fn times(self, n: u64) -> Exact {
        match self.0.checked_mul(i128::from(n)) {
            Some(product) => Self(product).exact(),
            None => self.exact() * BigInt::from(n),
        }
    }

    /// Whether the number is 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

fn parse_scaled(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = whole
        .bytes()
        .chain(fraction.bytes())
        .all(|b| b.is_ascii_digit());
    if !all_digits || whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 38 {
        return None;
    }
    let mut value: i128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = i32::try_from(PLACES).ok()? - i32::try_from(fraction.len()).ok()? + exponent;
    let factor = 10_i128.checked_pow(shift.unsigned_abs())?;
    value = if shift < 0 {
        value / factor
    } else {
        value.checked_mul(factor)?
    };
    Some(if negative { -value } else { value })
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let unit = ONE.unsigned_abs();
        write!(f, "{sign}{}", magnitude / unit)?;
        let fraction = format!("{:012}", magnitude % unit);
        match fraction.trim_end_matches('0') {
            "" => Ok(()),
            places => write!(f, ".{places}"),
        }
    }
}

impl TryFrom<String> for Decimal {
    type Error = InvalidDecimal;
    fn try_from(text: String) -> Result<Self, InvalidDecimal> {
        Self::parse(&text)
    }
}

impl From<Decimal> for String {
    fn from(number: Decimal) -> String {
        number.to_string()
    }
}

/// A whole number as an exact rational.
#[must_use]
pub fn whole(n: i64) -> Exact {
    Exact::from_integer(BigInt::from(n))
}

/// `numerator / denominator`; a denominator of 0 counts as 1.
#[must_use]
pub fn ratio(numerator: i64, denominator: i64) -> Exact {
    let denominator = if denominator == 0 {
        BigInt::one()
    } else {
        BigInt::from(denominator)
    };
    Exact::new(BigInt::from(numerator), denominator)
}

/// Rounds half up to the minor unit: 0.5 becomes 1, -0.5 becomes 0.
#[must_use]
pub fn round_half_up(amount: &Exact) -> i64 {
    round_multiple(amount, 1)
}

/// Rounds `times` an amount half up to the minor unit.
#[must_use]
pub fn round_multiple(amount: &Exact, times: i64) -> i64 {
    // Not `amount * times + 1/2`: that would reduce twice a fraction that is thrown away.
    let doubled: BigInt = amount.numer() * times * 2 + amount.denom();
    saturate(&doubled.div_floor(&(amount.denom() * 2)))
}

/// The greatest whole number that is not above `times` an amount.
#[must_use]
pub fn floor_multiple(amount: &Exact, times: i64) -> i64 {
    saturate(&(amount.numer() * times).div_floor(amount.denom()))
}

fn saturate(number: &BigInt) -> i64 {
    let limit = if number.is_negative() {
        i64::MIN
    } else {
        i64::MAX
    };
    number.to_i64().unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_a_map_without_zeros() {
        let usd = Currency::parse("USD").unwrap();
        let mut money = Money::of(&usd, 5800);
        assert_eq!(serde_json::to_string(&money).unwrap(), r#"{"usd":5800}"#);
        money.add(&usd, -5800);
        assert_eq!(serde_json::to_string(&money).unwrap(), "{}");
        money.add(&usd, i64::MAX);
        money.add(&usd, 1);
        assert_eq!(money.get(&usd), i64::MAX);
    }

    #[test]
    fn amounts_are_written_in_the_major_unit_of_their_currency() {
        let major = |code: &str, minor| Currency::parse(code).unwrap().major(minor);
        assert_eq!(major("usd", 5_800), "58.00");
        assert_eq!(major("usd", -5), "-0.05");
        assert_eq!(major("jpy", 1_200), "1200");
        assert_eq!(major("kwd", 1_250), "1.250");
        assert_eq!(major("usd", i64::MIN), "-92233720368547758.08");
    }

    #[test]
    fn decimals_keep_twelve_places() {
        for text in ["0", "29", "0.5", "-12.345", "0.000000000001", "2900.25"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
        }
        let half = Decimal::parse("0.5").unwrap();
        assert_eq!((half.times(3), half.times(4)), (ratio(3, 2), whole(2)));
        let largest = Decimal(i128::MAX);
        assert_eq!(largest.times(2), largest.exact() * BigInt::from(2));
        assert_eq!(Decimal::parse("1e-3").unwrap().to_string(), "0.001");
        assert_eq!(Decimal::parse("20.0").unwrap().to_string(), "20");
        for text in [
            "",
            ".",
            "-",
            "1.2.3",
            "abc",
            "1e999",
            "9".repeat(40).as_str(),
        ] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rounding_is_half_up() {
        for (numerator, denominator, expected) in [
            (1, 2, 1),
            (-1, 2, 0),
            (3, 2, 2),
            (2, 3, 1),
            (1, 3, 0),
            (0, 1, 0),
            (-3, 2, -1),
        ] {
            assert_eq!(round_half_up(&ratio(numerator, denominator)), expected);
        }
        assert_eq!(round_multiple(&ratio(1, 3), 12), 4);
        assert_eq!(round_multiple(&ratio(i64::MAX, 1), 12), i64::MAX);
        assert_eq!(floor_multiple(&ratio(-1, 3), 1), -1);
    }
}
