use super::*;

fn facts(names: Option<&Names>) -> Facts {
    let now = Timestamp::parse("2026-11-01T00:00:00Z").unwrap();
    let mut billing = Values::new("billing", names);
    billing.text("tier", Some("pro"));
    billing.time("trial_end_date", None);
    let mut traits = Values::new("traits", names);
    traits.set("score", || given(&serde_json::json!(80.5)));
    Facts::new(now, 70, [billing, traits])
}

#[test]
fn conditions_hold_or_do_not() {
    for (source, expected) in [
        ("billing.tier == 'pro' && health_score < 80", true),
        ("traits.score >= 80", true),
        ("traits.missing >= 80", false),
        ("traits.missing >= 80 || traits.score > 80", true),
        ("has(traits.score) && !has(traits.missing)", true),
        ("billing.trial_end_date <= now", false),
        ("['a', 'b'].exists(x, x == 'b')", true),
    ] {
        let condition = Condition::parse(source).unwrap();
        for names in [None, Some(condition.names())] {
            assert_eq!(condition.holds(&facts(names)), expected, "{source}");
        }
    }
    let later = Condition::parse("now + duration('72h')").unwrap();
    assert_eq!(
        later.instants(&facts(None))[0].to_string(),
        "2026-11-04T00:00:00Z"
    );
}

#[test]
fn every_kind_of_signal_can_be_named() {
    use crate::standing::Kind;
    let kinds = [
        Kind::FailedPayment,
        Kind::Downgrade,
        Kind::CancellationRequested,
        Kind::Dunning,
        Kind::PastDue,
        Kind::CardExpiring,
        Kind::Dispute,
    ];
    let (_, known) = FIELDS.iter().find(|(name, _)| *name == "signals").unwrap();
    assert_eq!(kinds.map(Kind::as_str), **known);
    for kind in kinds {
        let source = format!("'{0}' in signals || signals.{0}.since < now", kind.as_str());
        assert!(Condition::parse(&source).is_ok(), "{source}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    for (source, word) in [
        ("billing.teir == 'pro'", "`billing` has no `teir`"),
        ("bill.tier == 'pro'", "there is no `bill`"),
        (
            "'faild_payment' in signals",
            "`signals` has no `faild_payment`",
        ),
        ("signals['dunnig'] != null", "`signals` has no `dunnig`"),
        ("has(signals.past_du)", "`signals` has no `past_du`"),
        ("billing.tier ==", "billing.tier =="),
    ] {
        let error = Condition::parse(source).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
