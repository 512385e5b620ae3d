//! The published schemas (`infra/catalog/events`): valid, strict, whole, and kept by all that the
//! engine emits.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test says where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonschema::Validator;
use paygraph_domain::fact::Source;
use paygraph_domain::id::TenantId;
use paygraph_domain::settings::Settings;
use paygraph_engine::Deadline;
use paygraph_engine::envelope::Outgoing;
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::process::Engine;
use paygraph_testkit::world::World;
use serde_json::{Value, json};

/// Every name of the product's events; Stripe's own pass through as `stripe.<type>`.
const NAMES: [&str; 46] = [
    "access_changed",
    "billing_status_changed",
    "cancellation_scheduled",
    "cancellation_unscheduled",
    "card_expiring",
    "checkout_abandoned",
    "checkout_completed",
    "coupon_applied",
    "customer.subscription.trial_will_end",
    "customer_created",
    "customer_deleted",
    "customer_synced",
    "customer_updated",
    "dispute_closed",
    "dispute_opened",
    "drift_detected",
    "drift_healed",
    "health_score_changed",
    "invoice.payment_failed",
    "mrr_changed",
    "payment_method_updated",
    "payment_recovered",
    "payment_retries_exhausted",
    "payment_succeeded",
    "refund_issued",
    "risk_signal_cleared",
    "risk_signal_raised",
    "run_completed",
    "run_progress",
    "segment_entered",
    "segment_left",
    "sequence_step_due",
    "subscription_canceled",
    "subscription_created",
    "subscription_expired",
    "subscription_expiring",
    "subscription_past_due",
    "subscription_paused",
    "subscription_resumed",
    "subscription_updated",
    "trial_converted",
    "trial_started",
    "usage_limit_approached",
    "webhook_endpoint_recovered",
    "webhook_endpoint_unhealthy",
    "stripe",
];

const SOURCES: [Source; 5] = [
    Source::Webhook,
    Source::Reconcile,
    Source::Backfill,
    Source::Tick,
    Source::Api,
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file below a directory with this ending.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path());
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn parsed(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The published schemas by name, the envelope's among them.
fn schemas() -> BTreeMap<String, Value> {
    let files = files(&repository().join("infra/catalog/events"), "json");
    files
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            (name.to_owned(), parsed(path))
        })
        .collect()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .build(schema)
        .unwrap()
}

/// What is wrong with a value, in words.
fn faults(validator: &Validator, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// The schemas, ready to hold events against, and the names of the events that were.
pub struct Judge {
    validators: BTreeMap<String, Validator>,
    seen: BTreeSet<String>,
}

impl Judge {
    pub fn new() -> Self {
        let schemas = schemas();
        let validators = schemas.iter().map(|(name, s)| (name.clone(), validator(s)));
        Self {
            validators: validators.collect(),
            seen: BTreeSet::new(),
        }
    }

    pub fn check(&mut self, event: &Outgoing) {
        let passed_on = event.detail_type.strip_prefix("stripe.");
        let name = passed_on.map_or(event.detail_type.as_str(), |_| "stripe");
        let detail = serde_json::to_value(&event.detail).unwrap();
        let envelope = faults(&self.validators["envelope"], &detail);
        assert!(envelope.is_empty(), "{envelope:#?}\n{detail:#}");
        let Some(validator) = self.validators.get(name) else {
            panic!("{name} has no schema")
        };
        let data = faults(validator, &detail["data"]);
        assert!(data.is_empty(), "{name}: {data:#?}\n{detail:#}");
        if let Some(kind) = passed_on {
            assert_eq!(detail["data"]["type"], kind);
        }
        self.seen.insert(name.to_owned());
    }

    /// Feeds a fresh engine and checks all that it emits. Messages that cannot be read are refused.
    fn live_through<'a>(&mut self, events: impl IntoIterator<Item = &'a str>) {
        let engine = Engine::alone(
            MemoryStore::new(Settings::example().unwrap()).keeping_history(),
            StoppedClock::default(),
        );
        let tenant = TenantId::parse("default").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            for (event, source) in events.into_iter().zip(SOURCES.iter().cycle()) {
                let deadline = Deadline::after(Duration::from_secs(60));
                let done = engine.process(&tenant, event, *source, deadline).await;
                assert!(!done.is_err_and(|error| error.is_retryable()));
            }
        });
        for event in engine.store.outboxes() {
            self.check(&event);
        }
    }
}

fn payloads() -> Vec<Value> {
    let payloads = files(&repository().join("events/stripe"), "json");
    assert!(payloads.len() > 40);
    payloads.iter().map(|path| parsed(path)).collect()
}

/// The names of events that stand as literals in these sources, in the calls that make events.
fn emitted_in(sources: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files(sources, "rs") {
        let text = fs::read_to_string(path).unwrap();
        for call in ["emit(", "own(", "Event::new("] {
            let after = text.split(call).skip(1).map(str::trim_start);
            let literals = after.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
            names.extend(literals.map(ToOwned::to_owned));
        }
    }
    names
}

/// Every object of a schema names all its fields as required and refuses others.
fn is_strict(schema: &Value) -> bool {
    let here = schema.get("properties").is_none_or(|properties| {
        let names: BTreeSet<_> = properties.as_object().unwrap().keys().collect();
        let required = schema["required"].as_array().unwrap();
        let required: BTreeSet<_> = required.iter().map(|name| name.as_str().unwrap()).collect();
        schema["additionalProperties"] == false && names.into_iter().eq(required)
    });
    here && match schema {
        Value::Object(fields) => fields.values().all(is_strict),
        Value::Array(list) => list.iter().all(is_strict),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[test]
fn every_schema_is_valid_and_strict_and_its_examples_validate() {
    for (name, schema) in schemas() {
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{name}");
        assert!(is_strict(&schema), "{name}");
        let said = schema["description"].as_str().unwrap();
        assert!(said.ends_with('.'), "{name} does not say what it is");
        let validator = validator(&schema);
        let examples = schema["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            assert_eq!(faults(&validator, example), [""; 0], "{name}");
        }
    }
}

/// A schema that lets everything pass would help nobody.
#[test]
fn every_schema_refuses_a_field_too_many_and_one_too_few() {
    for (name, schema) in schemas() {
        let validator = validator(&schema);
        for example in schema["examples"].as_array().unwrap() {
            let fields = example.as_object().unwrap();
            let mut more = fields.clone();
            more.insert("unheard_of".to_owned(), json!(1));
            assert!(!validator.is_valid(&json!(more)), "{name}");
            for field in fields.keys() {
                let mut less = fields.clone();
                less.remove(field);
                assert!(!validator.is_valid(&json!(less)), "{name} without {field}");
            }
        }
    }
}

#[test]
fn every_event_has_a_schema_and_every_schema_an_event() {
    let mut published: BTreeSet<_> = schemas().into_keys().collect();
    assert!(published.remove("envelope"));
    let known: BTreeSet<_> = NAMES.map(ToOwned::to_owned).into();
    assert_eq!(published, known);
    let shared = repository().join("shared");
    let mut emitted = emitted_in(&shared.join("domain/src"));
    emitted.extend(emitted_in(&shared.join("engine/src")));
    for found_for_sure in ["payment_method_updated", "mrr_changed"] {
        assert!(emitted.contains(found_for_sure));
    }
    let without: Vec<_> = emitted.difference(&known).collect();
    assert!(without.is_empty(), "without a schema: {without:?}");
}

#[test]
fn every_event_is_in_the_table_for_consumers() {
    let table = repository().join("infra/catalog/events/README.md");
    let table = fs::read_to_string(table).unwrap();
    for (name, schema) in schemas().iter().filter(|(name, _)| *name != "envelope") {
        let row = table
            .lines()
            .find(|line| line.contains(&format!("]({name}.json) |")));
        let row = row.unwrap_or_else(|| panic!("{name} has no row"));
        let said = schema["description"].as_str().unwrap();
        assert!(row.contains(said), "{name} is told otherwise in the table");
    }
}

/// All that is emitted keeps to its schema: over random histories, over every payload alone, and
/// over every payload after a history and the payloads before it.
#[test]
fn whatever_is_emitted_validates() {
    let mut judge = Judge::new();
    let payloads: Vec<_> = payloads().iter().map(Value::to_string).collect();
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut events = World::new("w", seed, 1_790_000_000).run(2, 30);
        if seed % 2 == 0 {
            random.shuffle(&mut events);
        }
        if seed % 10 == 0 {
            events.extend_from_slice(&payloads);
        }
        judge.live_through(events.iter().map(String::as_str));
    }
    for payload in &payloads {
        judge.live_through([payload.as_str()]);
    }
    let domain = repository().join("shared/domain/src/apply");
    let unseen: Vec<_> = emitted_in(&domain).into_iter().collect();
    let unseen: Vec<_> = unseen.iter().filter(|n| !judge.seen.contains(*n)).collect();
    assert!(
        unseen.is_empty(),
        "never emitted, so never checked: {unseen:?}"
    );
}

/// Likewise when Stripe leaves a field out or says null: every field of every payload, in turn.
#[test]
fn whatever_is_emitted_validates_when_stripe_says_less() {
    let mut judge = Judge::new();
    for payload in payloads() {
        let whole = payload.to_string();
        for place in places(&payload["data"]["object"]) {
            let place = format!("/data/object{place}");
            let mut nothing = payload.clone();
            *nothing.pointer_mut(&place).unwrap() = Value::Null;
            let mut absent = payload.clone();
            let (parent, name) = place.rsplit_once('/').unwrap();
            if let Some(fields) = absent.pointer_mut(parent).unwrap().as_object_mut() {
                fields.remove(name);
            }
            for less in [nothing, absent] {
                let mut less = less;
                less["id"] = json!("evt_less");
                judge.live_through([less.to_string().as_str(), whole.as_str()]);
            }
        }
    }
}

/// The pointers to every value in a value.
fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(n, v)| (n.clone(), v)).collect(),
        Value::Array(list) => (0..).zip(list).map(|(n, v)| (n.to_string(), v)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let deeper = |(name, value): (String, &Value)| {
        let below = places(value).into_iter();
        let below: Vec<_> = below.map(|place| format!("/{name}{place}")).collect();
        std::iter::once(format!("/{name}")).chain(below)
    };
    children.into_iter().flat_map(deeper).collect()
}
