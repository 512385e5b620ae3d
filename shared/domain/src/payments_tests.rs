use super::*;

fn usd() -> Currency {
    Currency::parse("usd").unwrap()
}

fn charge(asked: i64, captured: i64) -> Contribution {
    Contribution {
        currency: Some(usd()),
        captured,
        out_of_band: 0,
        claims: vec![-asked],
    }
}

fn claim(amounts: &[i64], out_of_band: i64) -> Contribution {
    Contribution {
        currency: Some(usd()),
        captured: 0,
        out_of_band,
        claims: amounts.to_vec(),
    }
}

/// What some objects come to, in several orders and with repeats.
fn sums(objects: &[Contribution]) -> i64 {
    let nothing = Contribution::default();
    let mut order: Vec<_> = objects.iter().collect();
    let mut found = Vec::new();
    for turn in 0..2 * objects.len() {
        // Every rotation, forwards and backwards: of three objects, every order.
        order.rotate_left(1);
        if turn == objects.len() {
            order.reverse();
        }
        let mut payments = Payments::default();
        for object in &order {
            payments.replace(&nothing, object);
            payments.replace(object, object);
        }
        found.push(payments.sum(&Money::default()).get(&usd()));
        // All of it is taken back: nothing is left behind.
        for object in &order {
            payments.replace(object, &nothing);
        }
        assert_eq!(payments, Payments::default());
    }
    found.dedup();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

#[test]
fn r9_each_payment_counts_once() {
    for (what, objects, expected) in [
        ("a charge alone", vec![charge(5_000, 5_000)], 5_000),
        ("an invoice alone", vec![claim(&[5_000], 0)], 5_000),
        (
            "an invoice with its charge",
            vec![claim(&[5_000], 0), charge(5_000, 5_000)],
            5_000,
        ),
        (
            "an invoice and another charge",
            vec![claim(&[2_000], 0), charge(5_000, 5_000)],
            7_000,
        ),
        (
            "two payments of one invoice",
            vec![
                claim(&[4_000, 6_000], 0),
                charge(4_000, 4_000),
                charge(6_000, 6_000),
            ],
            10_000,
        ),
        ("out of band", vec![claim(&[], 3_000)], 3_000),
        (
            "out of band, and a charge of the same amount",
            vec![claim(&[], 3_000), charge(3_000, 3_000)],
            6_000,
        ),
        (
            "partly out of band",
            vec![claim(&[4_000], 6_000), charge(4_000, 4_000)],
            10_000,
        ),
        (
            "an authorization",
            vec![claim(&[4_000], 0), charge(4_000, 0)],
            0,
        ),
        (
            "captured in part",
            vec![claim(&[4_000], 0), charge(4_000, 2_500)],
            2_500,
        ),
        (
            "the same amount twice, one charge is not told",
            vec![claim(&[4_000], 0), claim(&[4_000], 0), charge(4_000, 4_000)],
            8_000,
        ),
    ] {
        assert_eq!(sums(&objects), expected, "{what}");
    }
}

/// A claim is never taken for the charge of another amount, whichever amounts they are.
#[test]
fn r9_amounts_that_share_a_bucket_are_kept_apart() {
    let pairs = (1..=600).flat_map(|one| (1..=600).map(move |other| (one, other)));
    let shared =
        pairs.filter(|(one, other)| one != other && bucket(&usd(), *one) == bucket(&usd(), *other));
    let shared: Vec<_> = shared.collect();
    assert!(shared.len() > 1_000);
    for (one, other) in shared {
        let objects = [claim(&[one], 0), charge(other, other)];
        assert_eq!(sums(&objects), one + other);
    }
}

/// What an older release kept by buckets is paired with what comes.
#[test]
fn r9_buckets_of_an_older_release_are_paired() {
    let nothing = Contribution::default();
    let mut payments = Payments::default();
    payments.add_to_bucket(&usd(), 5_800, 5_800);
    let stored = serde_json::to_string(&payments).unwrap();
    let mut payments: Payments = serde_json::from_str(&stored).unwrap();
    payments.replace(&nothing, &charge(5_800, 5_800));
    assert_eq!(payments.sum(&Money::default()).get(&usd()), 5_800);
    assert!(payments.claims.is_empty());
    payments.replace(&nothing, &claim(&[2_900], 0));
    assert!(payments.claims.is_empty(), "the rest is kept by its amount");
    assert_eq!(payments.sum(&Money::default()).get(&usd()), 8_700);
}

/// However many amounts there are, what is kept has a bound.
#[test]
fn r9_what_is_kept_is_bounded() {
    let mut payments = Payments::default();
    let nothing = Contribution::default();
    let size = |payments: &Payments| serde_json::to_string(payments).unwrap().len();
    for amount in 1..=5_000 {
        payments.replace(&nothing, &claim(&[amount], 0));
        assert!(size(&payments) < 20_000, "{amount}");
    }
    assert!(payments.claims.len() <= 128);
    assert!(size(&payments) < 5_000);
    assert_eq!(
        payments.sum(&Money::default()).get(&usd()),
        5_000 * 5_001 / 2
    );
    for amount in 1..=5_000 {
        payments.replace(&nothing, &charge(amount, amount));
    }
    assert_eq!(payments.claims.len(), 0, "each has its charge");
    assert_eq!(
        payments.sum(&Money::default()).get(&usd()),
        5_000 * 5_001 / 2
    );
}

/// An older release kept one sum: it stands until Stripe tells of the objects again, and counts
/// nothing twice while only some of them were told.
#[test]
fn r9_sums_of_an_older_release_heal() {
    let nothing = Contribution::default();
    let mut untallied = Money::of(&usd(), 5_800 + 2_900);
    let mut payments: Payments = serde_json::from_str("{}").unwrap();
    let sum = |payments: &Payments, untallied: &Money| payments.sum(untallied).get(&usd());
    assert_eq!(sum(&payments, &untallied), 8_700);
    payments.replace(&nothing, &charge(5_800, 5_800));
    assert_eq!(sum(&payments, &untallied), 8_700);
    untallied.add(&usd(), -5_800);
    payments.replace(&nothing, &claim(&[5_800], 0));
    assert_eq!(sum(&payments, &untallied), 8_700);
    untallied.add(&usd(), -2_900);
    payments.replace(&nothing, &claim(&[2_900], 0));
    assert_eq!(sum(&payments, &untallied), 8_700);
    payments.replace(&nothing, &charge(2_900, 2_900));
    assert_eq!(sum(&payments, &untallied), 8_700);
    // A charge that nothing claims: an older release did not count it.
    payments.replace(&nothing, &charge(700, 700));
    assert_eq!(sum(&payments, &untallied), 9_400);
}
