use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::contact::{Contact, Profile};
use crate::id::CustomerId;
use crate::segments::Segments;
use crate::settings::Settings;
use crate::time::Timestamp;

const START: i64 = 1_790_000_000;

fn at(days: i64) -> Timestamp {
    Timestamp::from_unix(START + days * DAY).unwrap()
}

fn settings(yaml: &str) -> Settings {
    let mut settings = Settings::example().unwrap();
    settings.sequences = Sequences::parse(yaml).unwrap();
    settings.with_all_sequences()
}

/// A contact with this trait `owes`, which stands for a reason.
fn contact(owes: bool, settings: &Settings) -> Contact {
    let mut contact = Contact::new(CustomerId::parse("acme").unwrap());
    let profile = Profile {
        name: Some("Acme\nInc.".to_owned()),
        traits: [
            ("owes".to_owned(), json!(owes)),
            ("seats".to_owned(), json!(5)),
        ]
        .into(),
        ..Profile::default()
    };
    contact.merge_profile(profile, settings, at(0));
    contact
}

const WEEK: &str = r#"
dunning:
  description: Owes
  trigger: { event: invoice.payment_failed, when: "event.attempt_count >= 1 && traits.owes" }
  exit_when: "!traits.owes"
  reentry: after_end
  steps:
    - { name: first, delay: 0, channel: in_app, text: "Hello {{ customer.name or \"you\" }}" }
    - { name: big, delay: 1d, when: "traits.seats > 10", channel: task, text: call }
    - { name: second, delay: 3d, channel: email, subject: "{{ traits.plan or \"Plan\" }}", text: two }
    - { name: last, delay: 7d, channel: slack, text: "{{ billing.tier }}" }
"#;

fn failed(id: &str, at: Timestamp, data: &Value) -> Option<Enrolment> {
    heard("invoice.payment_failed", id, at, data, None, true)
}

fn heard(
    name: &str,
    id: &str,
    at: Timestamp,
    data: &Value,
    held: Option<&Enrolment>,
    owes: bool,
) -> Option<Enrolment> {
    let settings = settings(WEEK);
    let contact = contact(owes, &settings);
    let seen = Seen::at(&contact, &settings, at);
    let event = Happened { id, name, at, data };
    settings
        .sequences
        .get("dunning")
        .unwrap()
        .hear("dunning", &event, held, &seen)
}

fn moved(held: &Enrolment, now: Timestamp, owes: bool) -> Option<Advance> {
    let settings = settings(WEEK);
    let contact = contact(owes, &settings);
    let seen = Seen::at(&contact, &settings, now);
    advance(settings.sequences.get("dunning"), held, Some(&seen), now)
}

fn enrolled() -> Enrolment {
    failed("evt_1#0", at(0), &json!({ "attempt_count": 1 })).unwrap()
}

/// Advances as often as there is something to do, and gives what was sent.
fn run(held: &mut Enrolment, now: Timestamp, owes: bool) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(moved) = moved(held, now, owes) {
        assert_eq!(moved.enrolment.version, held.version + 1);
        sent.extend(moved.due.map(|due| due.name));
        *held = moved.enrolment;
    }
    sent
}

#[test]
fn the_steps_come_at_their_times_and_once() {
    let mut held = enrolled();
    assert_eq!(held.due(), Some(at(0)));
    assert_eq!(run(&mut held, at(0), true), ["first"]);
    assert_eq!(held.due(), Some(at(1)));
    assert_eq!(run(&mut held, at(0), true), [""; 0]);
    // Five seats are not many: the step is left out.
    assert_eq!(run(&mut held, at(1), true), [""; 0]);
    assert_eq!(held.due(), Some(at(3)));
    assert_eq!(run(&mut held, at(3), true), ["second"]);
    assert_eq!(run(&mut held, at(7), true), ["last"]);
    assert_eq!(held.state, State::Done { at: at(7) });
    let sent: Vec<_> = held.taken.iter().map(|taken| taken.sent).collect();
    assert_eq!(sent, [true, false, true, true]);
}

#[test]
fn it_is_left_the_moment_its_reason_is_gone() {
    let held = enrolled();
    let left = moved(&held, at(1), false).unwrap();
    let gone = State::Left {
        at: at(1),
        why: Why::Exit,
    };
    assert_eq!((left.enrolment.state, left.due), (gone, None));
    let by_event = heard(
        "payment_recovered",
        "evt_2#0",
        at(1),
        &json!({}),
        Some(&held),
        false,
    );
    assert_eq!(by_event.unwrap().state, gone);
    // While the reason stands, no event ends it, and none begins it again.
    for name in ["payment_recovered", "invoice.payment_failed"] {
        let data = json!({ "attempt_count": 2 });
        assert_eq!(
            heard(name, "evt_2#0", at(1), &data, Some(&held), true),
            None
        );
    }
}

#[test]
fn it_is_left_when_it_is_switched_off_or_the_contact_is_gone() {
    let held = enrolled();
    let settings = settings(WEEK);
    let contact = contact(true, &settings);
    let seen = Seen::at(&contact, &settings, at(0));
    let off = advance(None, &held, Some(&seen), at(0)).unwrap().enrolment;
    assert_eq!(
        off.state,
        State::Left {
            at: at(0),
            why: Why::Off
        }
    );
    let gone = advance(settings.sequences.get("dunning"), &held, None, at(0));
    let gone = gone.unwrap().enrolment;
    assert_eq!(
        gone.state,
        State::Left {
            at: at(0),
            why: Why::Gone
        }
    );
    assert_eq!(advance(None, &gone, None, at(9)), None);
}

/// N20: nobody is enrolled whose reason is gone by now, whatever the event says.
#[test]
fn n20_only_a_reason_that_still_stands_enrols() {
    let data = json!({ "attempt_count": 1 });
    let name = "invoice.payment_failed";
    assert_eq!(heard(name, "evt_1#0", at(0), &data, None, false), None);
    assert_eq!(
        heard("mrr_changed", "evt_1#0", at(0), &data, None, true),
        None
    );
    assert_eq!(
        failed("evt_1#0", at(0), &json!({ "attempt_count": 0 })),
        None
    );
    assert_eq!(failed("evt_1#0", at(0), &json!({})), None);
}

#[test]
fn it_is_entered_again_by_its_rule_and_by_something_new() {
    let again = |reentry: &str, id: &str, days: i64| {
        let settings = settings(&WEEK.replace("after_end", reentry));
        let contact = contact(true, &settings);
        let held = Enrolment {
            state: State::Left {
                at: at(2),
                why: Why::Exit,
            },
            ..enrolled()
        };
        let seen = Seen::at(&contact, &settings, at(60));
        let data = json!({ "attempt_count": 1 });
        let event = Happened {
            id,
            name: "invoice.payment_failed",
            at: at(days),
            data: &data,
        };
        let sequence = settings.sequences.get("dunning").unwrap();
        let again = sequence.hear("dunning", &event, Some(&held), &seen);
        again.map(|again| (again.n, again.version))
    };
    assert_eq!(again("after_end", "evt_2#0", 2), Some((2, 2)));
    assert_eq!(again("after_end", "evt_2#0", 1), None, "it was about then");
    assert_eq!(
        again("after_end", "evt_1#0", 2),
        None,
        "it was that very event"
    );
    assert_eq!(again("never", "evt_2#0", 50), None);
    assert_eq!(again("{ after_days: 30 }", "evt_2#0", 29), None);
    assert_eq!(again("{ after_days: 30 }", "evt_2#0", 30), Some((2, 2)));
}

/// After a long outage the steps keep their distance.
#[test]
fn steps_that_are_days_late_move_those_after_them() {
    let mut held = enrolled();
    assert_eq!(run(&mut held, at(0), true), ["first"]);
    assert_eq!(run(&mut held, at(13), true), ["second"]);
    assert_eq!(held.due(), Some(at(17)));
    let mut held = enrolled();
    assert_eq!(run(&mut held, at(0), true), ["first"]);
    let hour = Timestamp::from_unix(at(3).unix() + 3_600).unwrap();
    assert_eq!(run(&mut held, hour, true), ["second"]);
    assert_eq!(held.due(), Some(at(7)));
}

/// A definition may change while somebody is in it: what was taken is not taken again.
#[test]
fn a_changed_definition_goes_on_where_the_enrolment_is() {
    let mut held = enrolled();
    for day in [0, 1, 3] {
        run(&mut held, at(day), true);
    }
    let changed = WEEK
        .replace(
            "- { name: first, delay: 0,",
            "- { name: early, delay: 0, channel: task, text: x }\n    - { name: first, delay: 0,",
        )
        .replace("delay: 7d", "delay: 9d");
    let settings = settings(&changed);
    let contact = contact(true, &settings);
    let seen = Seen::at(&contact, &settings, at(7));
    let sequence = settings.sequences.get("dunning");
    let looked = advance(sequence, &held, Some(&seen), at(7)).unwrap();
    assert_eq!((looked.enrolment.due(), looked.due), (Some(at(9)), None));
}

#[test]
fn a_step_is_told_with_its_text_filled_in() {
    let due = moved(&enrolled(), at(0), true).unwrap().due.unwrap();
    assert_eq!(
        serde_json::to_value(&due).unwrap(),
        json!({ "sequence": "dunning", "enrolment": 1, "step": 1, "name": "first",
            "channel": "in_app", "subject": null, "text": "Hello Acme Inc." })
    );
}

#[test]
fn variables_are_checked_when_a_text_is_read() {
    for (text, word) in [
        (
            "{{ customer.nam }}",
            "there is no variable `customer.nam`; there are customer.id, ",
        ),
        (
            "{{ customer.name }}",
            "write `{{ customer.name or \"…\" }}`",
        ),
        ("{{ customer.name or there }}", "must be in double quotes"),
        ("{{ traits.seats }}", "`traits.seats` may be missing"),
        ("{{ customer.id", "`{{` has no `}}` after it"),
    ] {
        let problem = Template::parse(text).unwrap_err();
        assert!(
            problem.contains(word.trim_start_matches("write ")),
            "{problem}"
        );
    }
    for known in VARIABLES {
        let text = format!("{{{{ {} or \"–\" }}}}", known.name);
        Template::parse(&text).unwrap();
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let yaml = r#"
Bad Name: 1
a:
  descripton: x
  trigger: { event: payment_faild }
  exit_when: billing.teir == "x"
  reentry: sometimes
  steps:
    - { name: one, delay: 3 days, channel: mail, text: "{{ x }}" }
    - { name: two, delay: 2d, channel: email, text: x }
    - { name: two, delay: 1d, channel: task, subject: "a\nb", text: x }
b:
  description: x
  trigger: { segment: nobody, when: "true" }
  exit_when: event.x == 1
  reentry: never
  steps: []
c: { description: x, trigger: { segment: a, event: b }, exit_when: "true", reentry: never, steps: 1 }
"#;
    let told = problems(yaml, &Segments::example());
    for part in [
        "sequence \"Bad Name\": a name has 1 to 64",
        "sequence \"Bad Name\": give it `description`, `trigger`",
        "sequence \"a\": there is no field `descripton`; the fields are description, trigger",
        "sequence \"a\": add `description`: what people read",
        "sequence \"a\": `exit_when`, in `billing.teir == \"x\"`: `billing` has no `teir`",
        "sequence \"a\": write `reentry` as `never`, `after_end`",
        "sequence \"a\": `trigger`: no event \"payment_faild\" starts a sequence",
        "sequence \"a\": step \"one\": `delay`: \"3 days\" is no delay",
        "sequence \"a\": step \"one\": there is no channel \"mail\"; there are email, in_app",
        "sequence \"a\": step \"one\": `text`: there is no variable `x`",
        "sequence \"a\": step \"two\": add a `subject`",
        "sequence \"a\": step \"two\": write `subject` on one line",
        "sequence \"b\": `trigger`: `when` goes with an `event`",
        "sequence \"b\": `exit_when`, in `event.x == 1`: there is no `event`",
        "sequence \"b\": give it 1 to 20 `steps`",
        "sequence \"c\": `trigger`: name either an `event` or a `segment`",
        "sequence \"c\": write `steps` as a list",
    ] {
        let found = told.iter().any(|problem| problem.starts_with(part));
        assert!(found, "{part} is not in {told:#?}");
    }
    assert_eq!(told.len(), 19, "{told:#?}");
    let order = yaml
        .replace("3 days", "3d")
        .replace("channel: mail, text: \"{{ x }}\"", "channel: task, text: x");
    let told = problems(&order, &Segments::example()).join("\n");
    assert!(
        told.contains("step \"two\" is due before \"one\""),
        "{told}"
    );
}

#[test]
fn a_simulation_takes_the_steps_at_their_times() {
    let settings = settings(WEEK);
    let contact = contact(true, &settings);
    let told = |owes: bool, days: i64| {
        let contact = if owes {
            contact.clone()
        } else {
            super::tests::contact(false, &settings)
        };
        let sequence = settings.sequences.get("dunning").unwrap();
        let told = simulate("dunning", sequence, &contact, &settings, at(0), at(days));
        let told = told.into_iter();
        told.map(|told| (told.at, told.what.to_string()))
            .collect::<Vec<_>>()
    };
    let word = |days: i64, what: &str| (at(days), what.to_owned());
    let first = [
        word(0, "sends first"),
        word(1, "leaves out big"),
        word(3, "sends second"),
    ];
    assert_eq!(told(true, 6), first);
    let all = [&first[..], &[word(7, "sends last"), word(7, "is done")]].concat();
    assert_eq!(told(true, 7), all);
    assert_eq!(told(false, 7), [word(0, "is left: exit_when holds")]);
}

#[test]
fn what_is_read_has_no_problems() {
    let segments = Segments::example();
    for yaml in EXAMPLE {
        assert_eq!(problems(yaml, &segments), [""; 0]);
    }
    assert_eq!(Sequences::example().iter().count(), EXAMPLE.len());
    let unknown = problems(EXAMPLE[2], &Segments::default());
    assert!(unknown[0].contains("there is no segment \"trial_expiring\""));
    assert_eq!(problems("- 1", &segments).len(), 1);
}

#[test]
fn definitions_are_written_as_they_are_read() {
    let example = Sequences::example();
    let json = serde_json::to_value(&example).unwrap();
    assert_eq!(json["trial_expiry"]["steps"][1]["delay"], "1d");
    assert_eq!(json["trial_expiry"]["reentry"], json!({ "after_days": 90 }));
    assert_eq!(serde_json::from_value::<Sequences>(json).unwrap(), example);
    for delay in ["0", "90m", "12h", "3d", "365d"] {
        assert_eq!(Delay::parse(delay).unwrap().to_string(), delay);
    }
    for wrong in [
        "",
        "m",
        "3",
        "-1d",
        "+1d",
        "366d",
        "1w",
        "99999999999999999999d",
    ] {
        assert!(Delay::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_may_start_a_sequence_is_an_event_that_there_is() {
    let catalog = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/catalog/events");
    let files: BTreeSet<String> = std::fs::read_dir(catalog)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    for event in read::EVENTS {
        assert!(files.contains(&format!("{event}.json")), "{event}");
    }
}
