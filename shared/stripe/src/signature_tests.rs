use paygraph_testkit::signer::{sign, v1};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "whsec_one";
const BODY: &[u8] = br#"{"id":"evt_1"}"#;
const NOW: i64 = 1_795_236_183;
/// `printf '1795236183.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_one`
const OPENSSL: &str =
    "t=1795236183,v1=a0e029ecd72b3ccb41f478af075b04a7926a79e78c32061237988e2b4866b782";

#[track_caller]
fn check(header: &str, expected: Result<(), SignatureError>) {
    assert_eq!(verify(header, BODY, [SECRET], NOW), expected, "{header}");
}

#[test]
fn a_signature_made_elsewhere_is_accepted() {
    check(OPENSSL, Ok(()));
    check(&sign(BODY, SECRET, NOW), Ok(()));
}

#[test]
fn p1_wrong_secret_is_refused() {
    check(
        &sign(BODY, "whsec_other", NOW),
        Err(SignatureError::Mismatch),
    );
    check(
        &sign(b"{\"id\":\"evt_2\"}", SECRET, NOW),
        Err(SignatureError::Mismatch),
    );
    // The time is part of what is signed.
    check(
        &format!("t={},v1={}", NOW + 1, v1(BODY, SECRET, NOW)),
        Err(SignatureError::Mismatch),
    );
}

#[test]
fn p1_malformed_headers_are_refused() {
    let good = v1(BODY, SECRET, NOW);
    for header in ["", " ", "\t"] {
        check(header, Err(SignatureError::Empty));
    }
    for header in [
        "nonsense",
        ",",
        "t",
        "v1",
        &good,
        &format!("v1={good}"),
        &format!("t=,v1={good}"),
        &format!("t=+{NOW},v1={good}"),
        &format!("t=-1,v1={good}"),
        &format!("t= {NOW},v1={good}"),
        &format!("t={NOW}.5,v1={good}"),
        &format!("t=99999999999999999999,v1={good}"),
        &format!("t={NOW},v1={good},"),
        &format!("t={NOW};v1={good}"),
        &format!("t={NOW},v1={good}{}", ",v0=00".repeat(1000)),
    ] {
        check(header, Err(SignatureError::Malformed));
    }
}

#[test]
fn p1_repeated_header_is_refused() {
    let good = sign(BODY, SECRET, NOW);
    check(&format!("{good},{good}"), Err(SignatureError::Repeated));
    check(&format!("{good}, {good}"), Err(SignatureError::Repeated));
    check(&format!("t=1,{good}"), Err(SignatureError::Repeated));
}

#[test]
fn p1_only_the_scheme_v1_counts() {
    let good = v1(BODY, SECRET, NOW);
    check(
        &format!("t={NOW},v0={good}"),
        Err(SignatureError::NoSignature),
    );
    check(&format!("t={NOW}"), Err(SignatureError::NoSignature));
    check(&format!("t={NOW},v0=00,v1={good},v2=x"), Ok(()));
    check(&format!("v1={good},t={NOW}"), Ok(()));
}

#[test]
fn p1_old_and_future_times_are_refused() {
    for (t, expected) in [
        (NOW - 300, Ok(())),
        (NOW - 301, Err(SignatureError::TooOld)),
        (NOW + 300, Ok(())),
        (NOW + 301, Err(SignatureError::Future)),
        (0, Err(SignatureError::TooOld)),
        (i64::MAX, Err(SignatureError::Future)),
    ] {
        check(&sign(BODY, SECRET, t), expected);
    }
}

#[test]
fn p1_an_empty_secret_never_matches() {
    let header = sign(BODY, "", NOW);
    assert_eq!(
        verify(&header, BODY, [""], NOW),
        Err(SignatureError::Mismatch)
    );
    assert_eq!(
        verify(&header, BODY, [], NOW),
        Err(SignatureError::Mismatch)
    );
}

#[test]
fn p2_two_v1_first_wrong() {
    let good = v1(BODY, SECRET, NOW);
    check(&format!("t={NOW},v1={},v1={good}", "0".repeat(64)), Ok(()));
    check(&format!("t={NOW},v1=not-hex,v1={good}"), Ok(()));
    check(&format!("t={NOW},v1={good},v1="), Ok(()));
    check(
        &format!("t={NOW},v1={},v1=", "0".repeat(64)),
        Err(SignatureError::Mismatch),
    );
}

#[test]
fn n15_old_and_new_secret_are_both_accepted() {
    for secret in ["whsec_old", "whsec_new"] {
        let header = sign(BODY, secret, NOW);
        assert_eq!(
            verify(&header, BODY, ["whsec_old", "whsec_new"], NOW),
            Ok(())
        );
    }
    // While Stripe rolls its secret it signs with both.
    let header = format!(
        "{},v1={}",
        sign(BODY, "whsec_new", NOW),
        v1(BODY, "whsec_old", NOW)
    );
    assert_eq!(verify(&header, BODY, ["whsec_old"], NOW), Ok(()));
}

#[test]
fn signatures_are_not_shown() {
    let header = sign(BODY, SECRET, NOW);
    let shown = format!("{:?}", SignatureHeader::parse(&header).unwrap());
    assert!(!shown.contains(&v1(BODY, SECRET, NOW)), "{shown}");
}

proptest! {
    #[test]
    fn p8_any_header_and_bytes_are_answered(header in ".*", body: Vec<u8>, now: i64) {
        let _ = verify(&header, &body, [SECRET], now);
    }

    #[test]
    fn p8_any_parts_are_answered(
        parts in proptest::collection::vec("(t|v1|v0|x|)=?[0-9a-f+ -]{0,70}", 0..6),
        now: i64,
    ) {
        prop_assert!(verify(&parts.join(","), BODY, [SECRET], now).is_err());
    }

    #[test]
    fn p3_signed_bytes_are_accepted_and_no_others(body: Vec<u8>, t in NOW - 300..=NOW + 300, at: usize) {
        let header = sign(&body, SECRET, t);
        prop_assert_eq!(verify(&header, &body, ["whsec_new", SECRET], NOW), Ok(()));
        let mut other = body.clone();
        other.insert(at % (body.len() + 1), b' ');
        prop_assert_eq!(verify(&header, &other, [SECRET], NOW), Err(SignatureError::Mismatch));
    }
}
