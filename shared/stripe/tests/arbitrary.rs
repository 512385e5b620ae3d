//! Whatever comes in is read or refused: arbitrary bytes, arbitrary JSON, and real events with
//! something wrong in them. Nothing panics, and what was read once is read the same again.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

#[path = "arbitrary/json.rs"]
mod json;

use std::path::Path;
use std::sync::LazyLock;

use json::Json;
use paygraph_domain::account::{Account, Catalog};
use paygraph_domain::apply::{apply, apply_catalog};
use paygraph_domain::fact::Fact;
use paygraph_domain::rollup::{Context, rollup};
use paygraph_domain::settings::Settings;
use paygraph_domain::totals::Totals;
use paygraph_stripe::decode::{about, decode};
use paygraph_stripe::envelope::{Envelope, MAX_DEPTH};
use paygraph_stripe::event::StripeEvent;
use paygraph_stripe::ingest::{IngestContent, IngestMessage};
use paygraph_stripe::signature::{SignatureError, SignatureHeader, verify};
use paygraph_testkit::signer::sign;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const SECRET: &str = "whsec_test";

/// The project's own events, in every shape.
static EVENTS: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/stripe");
    let mut events = Vec::new();
    for folder in [folder.join("2020-03-02"), folder] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let text = std::fs::read_to_string(path).unwrap();
                events.push(Json::from(
                    serde_json::from_str::<serde_json::Value>(&text).unwrap(),
                ));
            }
        }
    }
    events
});

/// The types of those events.
static TYPES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let events = EVENTS.iter().map(ToString::to_string);
    events
        .map(|text| StripeEvent::parse(&text).unwrap().event_type.into_owned())
        .collect()
});

/// What reading a text gives, as text: the fact, or why there is none.
fn read(text: &str) -> Result<(String, Option<Fact>), String> {
    let event = StripeEvent::parse(text).map_err(|error| error.to_string())?;
    let about = about(&event);
    let fact = decode(&event)
        .map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))?;
    Ok((format!("{event:?} {about:?}"), fact))
}

/// Reads twice, and lets the fact take effect on an empty account, also twice.
fn is_steady(text: &str) -> Result<(), TestCaseError> {
    let (first, second) = (read(text), read(text));
    prop_assert_eq!(&first, &second);
    if let Ok((_, Some(fact))) = first {
        takes_effect_once(&fact)?;
    }
    Ok(())
}

fn takes_effect_once(fact: &Fact) -> Result<(), TestCaseError> {
    let settings = Settings::example().unwrap();
    let context = Context {
        settings: &settings,
        catalog: &Catalog::default(),
        now: fact.at,
    };
    let (mut account, mut totals) = (Account::default(), Totals::default());
    let _ = apply(&mut account, &mut totals, fact, context);
    let (once, sums) = (account.clone(), totals.clone());
    let _ = apply(&mut account, &mut totals, fact, context);
    prop_assert_eq!(&once, &account);
    prop_assert_eq!(&sums, &totals);
    let _ = rollup(&account, totals, context);
    let entry = apply_catalog(None, fact);
    prop_assert!(entry.is_none() || apply_catalog(entry, fact).is_none());
    Ok(())
}

fn wrap(kind: &str, object: &str, previous: Option<&str>) -> String {
    let previous = previous.map_or_else(String::new, |previous| {
        format!(r#","previous_attributes":{previous}"#)
    });
    format!(
        r#"{{"id":"evt_1","type":"{kind}","created":1795000000,"data":{{"object":{object}{previous}}}}}"#
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// P1: no header that was not made with the secret is accepted.
    #[test]
    fn p1_arbitrary_headers_are_refused(header in json::header(), body: Vec<u8>, now: i64) {
        let parsed = SignatureHeader::parse(&header);
        prop_assert_eq!(&parsed, &SignatureHeader::parse(&header));
        let _ = parsed.map(|parsed| parsed.check_time(now));
        prop_assert!(verify(&header, &body, [SECRET, ""], now).is_err());
    }

    /// P1, P3: one changed byte of a signed body or of its header is noticed.
    #[test]
    fn p1_a_changed_byte_is_noticed(body in "\\PC{1,60}", at: Index, byte: u8, t in 0_i64..4_000_000_000) {
        let header = sign(body.as_bytes(), SECRET, t);
        prop_assert_eq!(verify(&header, body.as_bytes(), [SECRET], t), Ok(()));
        let mut changed = body.clone().into_bytes();
        let place = at.index(changed.len());
        if let Some(place) = changed.get_mut(place).filter(|now| **now != byte) {
            *place = byte;
            prop_assert_eq!(verify(&header, &changed, [SECRET], t), Err(SignatureError::Mismatch));
        }
        let mut changed = header.clone().into_bytes();
        let place = at.index(changed.len());
        if let Some(place) = changed.get_mut(place).filter(|now| !now.eq_ignore_ascii_case(&byte)) {
            *place = byte;
            if let Ok(changed) = String::from_utf8(changed) {
                prop_assert!(verify(&changed, body.as_bytes(), [SECRET], t).is_err(), "{}", changed);
            }
        }
    }

    /// P6: bytes that are no event are refused with a reason.
    #[test]
    fn p6_arbitrary_bytes_are_refused(bytes: Vec<u8>, text in "\\PC*") {
        prop_assert!(Envelope::parse(&bytes).is_err());
        prop_assert!(Envelope::parse(text.as_bytes()).is_err());
        prop_assert!(read(&text).is_err());
        prop_assert!(IngestMessage::parse(&text).is_err());
    }

    /// P8: arbitrary JSON instead of an event, or of a message.
    #[test]
    fn p8_arbitrary_json_is_read_or_refused(text in json::any()) {
        is_steady(&text)?;
        let envelope = |text: &str| format!("{:?}", Envelope::parse(text.as_bytes()));
        prop_assert_eq!(envelope(&text), envelope(&text));
        let message = |text: &str| format!("{:?}", IngestMessage::parse(text));
        prop_assert_eq!(message(&text), message(&text));
    }

    /// P8: arbitrary JSON instead of an object of any type, and of what it replaced.
    #[test]
    fn p8_arbitrary_objects_are_read_or_refused(
        kind in select(TYPES.clone()), object in json::any(), previous in proptest::option::of(json::any()),
    ) {
        is_steady(&wrap(&kind, &object, previous.as_deref()))?;
    }

    /// P4, P5, P8: real events that lack something, have it twice, or have something else there.
    #[test]
    fn p8_mutated_events_are_read_or_refused(
        event in select(EVENTS.clone()), mutations in proptest::collection::vec(json::mutation(), 1..5),
    ) {
        let mut event = event;
        for mutation in &mutations {
            event.mutate(mutation);
        }
        let text = event.to_string();
        is_steady(&text)?;
        if let Ok(envelope) = Envelope::parse(text.as_bytes()) {
            travels(&envelope)?;
        }
    }

    /// P8: nesting is refused before anything reads into it.
    #[test]
    fn p8_deep_nesting_is_refused(kind in select(TYPES.clone()), depth in 0_usize..3_000, closed: bool) {
        let object = format!("{}1{}", "[".repeat(depth), "]".repeat(if closed { depth } else { 0 }));
        let text = wrap(&kind, &format!(r#"{{"id":"x","metadata":{object}}}"#), None);
        is_steady(&text)?;
        // Two levels are the event's own, and one is the object's.
        let fits = depth + 3 <= MAX_DEPTH && (closed || depth == 0);
        prop_assert_eq!(Envelope::parse(text.as_bytes()).is_ok(), fits);
    }
}

/// What the webhook accepts, the worker gets unchanged.
fn travels(envelope: &Envelope<'_>) -> Result<(), TestCaseError> {
    let message = IngestMessage {
        tenant: None,
        account: envelope.account.clone(),
        received_at: envelope.created,
        content: IngestContent::Event(envelope.raw),
    };
    let body = message.to_body().unwrap();
    let there = IngestMessage::parse(&body).unwrap();
    let IngestContent::Event(raw) = there.content else {
        return Err(TestCaseError::fail("a pointer came out"));
    };
    prop_assert_eq!(raw.get(), envelope.raw.get());
    prop_assert_eq!(&there.account, &envelope.account);
    Ok(())
}
