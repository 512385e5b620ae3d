//! Exact amounts as people read them.

use paygraph_domain::money::{Currency, Exact, whole};

use crate::show;

/// The most places after the point before a fraction is written as one.
const PLACES: u32 = 12;

/// An exact amount of minor units in the major unit: `$14.50`, `$0.005`, or, where the number would
/// be endless, `$83.33 1/3` with a fraction of the minor unit.
pub fn exact(amount: &Exact, currency: Option<&Currency>) -> String {
    let digits = currency.map_or(2, Currency::minor_digits);
    let major = |amount: &Exact| decimal_from(&(amount / power(digits)), digits);
    let (sign, amount) = if *amount < whole(0) {
        ("-", -amount)
    } else {
        ("", amount.clone())
    };
    let floor = amount.floor();
    let text = major(&amount).unwrap_or_else(|| {
        let floor_text = major(&floor).unwrap_or_default();
        format!("{floor_text} {}", &amount - &floor)
    });
    let text = format!("{sign}{text}");
    match currency {
        Some(currency) => show::in_currency(currency.as_str(), &text),
        None => text,
    }
}

/// A number with as many places as it has; a fraction where it would be endless.
pub fn decimal(number: &Exact) -> String {
    decimal_from(number, 0).unwrap_or_else(|| number.to_string())
}

/// A number that is not negative with at least so many places, if few enough do.
fn decimal_from(number: &Exact, least: u32) -> Option<String> {
    let places = (least..=PLACES).find(|places| (number * power(*places)).is_integer())?;
    let digits = (number * power(places)).to_integer().to_string();
    if places == 0 {
        return Some(digits);
    }
    let places = usize::try_from(places).ok()?;
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    Some(format!("{whole}.{fraction}"))
}

fn power(places: u32) -> Exact {
    whole(10_i64.pow(places))
}

#[cfg(test)]
mod tests {
    use paygraph_domain::money::ratio;

    use super::*;

    #[test]
    fn amounts_are_exact_and_in_the_major_unit() {
        let usd = Currency::parse("usd").unwrap();
        let jpy = Currency::parse("jpy").unwrap();
        for (amount, currency, expected) in [
            (whole(2900), Some(&usd), "$29.00"),
            (whole(0), Some(&usd), "$0.00"),
            (whole(7), Some(&usd), "$0.07"),
            (ratio(1, 2), Some(&usd), "$0.005"),
            (ratio(25_000, 3), Some(&usd), "$83.33 1/3"),
            (ratio(-1, 3), Some(&usd), "$-0.00 1/3"),
            (whole(1000), Some(&jpy), "1000 jpy"),
            (whole(150), None, "1.50"),
        ] {
            assert_eq!(exact(&amount, currency), expected);
        }
        assert_eq!(decimal(&ratio(116, 100)), "1.16");
        assert_eq!(decimal(&ratio(1, 3)), "1/3");
    }
}
