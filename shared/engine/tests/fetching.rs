//! D8, L14: what no event can tell is fetched; without anybody to ask it stays marked.
#![expect(clippy::unwrap_used, reason = "a failed test says where")]

use std::sync::Mutex;

use paygraph_domain::account::Catalog;
use paygraph_domain::id::{Cause, TenantId};
use paygraph_domain::settings::Settings;
use paygraph_domain::time::Timestamp;
use paygraph_domain::view::customer;
use paygraph_engine::fetch::{Fetch, Fetched, NoFetch, Wanted};
use paygraph_engine::memory::{MemoryStore, StoppedClock};
use paygraph_engine::ports::StoreError;
use paygraph_engine::process::Engine;
use paygraph_testkit::world::price;
use serde_json::{Value, json};

use crate::common::{soon, tell};

const START: i64 = 1_790_000_000;

/// A Stripe that answers with one object, at one second after the other.
struct Stripe {
    object: Value,
    /// The first and the last second of each answer.
    answers: Vec<(i64, i64)>,
    asked: Mutex<Vec<Wanted>>,
}

impl Fetch for &Stripe {
    async fn fetch(&self, _: &TenantId, wanted: &Wanted) -> Result<Option<Fetched>, StoreError> {
        if matches!(wanted, Wanted::Customer(_)) {
            return Ok(None);
        }
        let mut asked = self.asked.lock().unwrap();
        let (since, until) = *self.answers.get(asked.len()).unwrap();
        asked.push(wanted.clone());
        Ok(Some(Fetched {
            object: self.object.to_string(),
            since: Timestamp::from_unix(since).unwrap(),
            until: Timestamp::from_unix(until).unwrap(),
        }))
    }

    async fn event(&self, _: &TenantId, _: &Cause) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

fn engine<F: Fetch>(fetch: F) -> Engine<MemoryStore, StoppedClock, F> {
    Engine {
        store: MemoryStore::new(Settings::example().unwrap()),
        clock: StoppedClock(Timestamp::from_unix(START).unwrap()),
        livemode: false,
        fetch,
    }
}

fn subscription(quantity: u64) -> Value {
    json!({
        "id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd", "created": START,
        "items": { "has_more": false, "data": [{ "id": "si_1", "price": price(1), "quantity": quantity }] },
    })
}

async fn feed<F: Fetch>(
    engine: &Engine<MemoryStore, StoppedClock, F>,
    n: usize,
    t: i64,
    object: &Value,
) {
    let id = format!("evt_{n}");
    let told = (id.as_str(), "customer.subscription.updated", t);
    tell(engine, soon(), told, object).await;
}

/// The quantity that counts, and whether a fetch is still needed.
fn quantity<F: Fetch>(engine: &Engine<MemoryStore, StoppedClock, F>) -> (u64, bool) {
    let (_, account, _) = engine.store.accounts().remove(0);
    let state = account.subscriptions.into_values().next().unwrap();
    let items = &state.value.subscription.get().items;
    let contact = engine.store.contacts().remove(0);
    let marked = contact
        .accounts
        .values()
        .any(|rollup| !rollup.needs_refetch.is_empty());
    (items.iter().filter_map(|item| item.quantity).sum(), marked)
}

/// D8: two updates of one second that do not say what they replaced: Stripe is asked, once.
#[tokio::test]
async fn d8_what_events_cannot_tell_is_fetched() {
    for truth in [3, 5] {
        let stripe = Stripe {
            object: subscription(truth),
            answers: vec![(START + 60, START + 62)],
            asked: Mutex::default(),
        };
        let engine = engine(&stripe);
        feed(&engine, 1, START + 10, &subscription(3)).await;
        feed(&engine, 2, START + 10, &subscription(5)).await;
        assert_eq!(quantity(&engine), (truth, false));
        assert_eq!(stripe.asked.lock().unwrap().len(), 1);
        // What is older than the answer is stale; what is newer counts.
        feed(&engine, 3, START + 30, &subscription(7)).await;
        assert_eq!(quantity(&engine), (truth, false));
        feed(&engine, 4, START + 90, &subscription(9)).await;
        assert_eq!(quantity(&engine), (9, false));
    }
}

/// D8: an event from within the seconds of an answer, with other content: nobody can tell, so
/// Stripe is asked until the answer is later than the event.
#[tokio::test(start_paused = true)]
async fn d8_an_event_within_an_answer_means_asking_again() {
    let stripe = Stripe {
        object: subscription(5),
        answers: vec![
            (START + 9, START + 11),
            (START + 10, START + 12),
            (START + 11, START + 13),
        ],
        asked: Mutex::default(),
    };
    let engine = engine(&stripe);
    feed(&engine, 1, START + 10, &subscription(3)).await;
    feed(&engine, 2, START + 10, &subscription(4)).await;
    assert_eq!(quantity(&engine), (5, false));
    assert_eq!(stripe.asked.lock().unwrap().len(), 3);
}

/// D8: the answer agrees with one of the events of its second: that settles it.
#[tokio::test]
async fn d8_an_answer_that_agrees_with_an_event_settles_it() {
    let stripe = Stripe {
        object: subscription(3),
        answers: vec![(START + 9, START + 11)],
        asked: Mutex::default(),
    };
    let engine = engine(&stripe);
    feed(&engine, 1, START + 10, &subscription(3)).await;
    feed(&engine, 2, START + 10, &subscription(5)).await;
    assert_eq!(quantity(&engine), (3, false));
    assert_eq!(stripe.asked.lock().unwrap().len(), 1);
}

/// D8: an invoice, a customer and a card that no event can tell are named too, until an event does.
#[tokio::test]
async fn d8_what_is_undecided_is_named_whatever_it_is() {
    let undecided = |engine: &Engine<MemoryStore, StoppedClock>| {
        let contact = engine.store.contacts().remove(0);
        let settings = Settings::example().unwrap();
        let now = Timestamp::from_unix(START).unwrap();
        let shown = customer(&contact, &settings, &Catalog::default(), now);
        shown.undecided.into_iter().collect::<Vec<_>>()
    };
    let engine = engine(NoFetch);
    for (kind, id, field) in [
        ("customer.updated", "cus_1", "email"),
        ("invoice.updated", "in_1", "due_date"),
        ("payment_method.updated", "pm_1", "type"),
    ] {
        let object = |n: i64| {
            let value = if field == "due_date" {
                json!(n)
            } else {
                json!(format!("{n}@example.com"))
            };
            let mut object = json!({
                "id": id, "customer": "cus_1", "currency": "usd", "created": START, "type": "card",
                "status": "open", "metadata": {}, "lines": { "data": [] },
            });
            let fields = object.as_object_mut().unwrap();
            fields.insert(field.to_owned(), value);
            object
        };
        for (n, t) in [(1, START + 10), (2, START + 10)] {
            let event = format!("{id}{n}");
            tell(&engine, soon(), (&event, kind, t), &object(n)).await;
        }
        assert_eq!(undecided(&engine), [id], "{kind}");
        let told = (&*format!("{id}3"), kind, START + 20);
        tell(&engine, soon(), told, &object(3)).await;
        assert_eq!(undecided(&engine), [""; 0], "{kind}");
    }
}

/// L14: a list that Stripe cut is completed before the MRR is told.
#[tokio::test]
async fn l14_cut_lists_are_completed() {
    let mut cut = subscription(1);
    cut["items"]["has_more"] = json!(true);
    let mut whole = subscription(1);
    let more = json!({ "id": "si_2", "price": price(0), "quantity": 2 });
    whole["items"]["data"].as_array_mut().unwrap().push(more);
    let stripe = Stripe {
        object: whole,
        answers: vec![(START + 20, START + 21)],
        asked: Mutex::default(),
    };
    let asking = engine(&stripe);
    feed(&asking, 1, START, &cut).await;
    assert_eq!(quantity(&asking), (3, false));
    // With nobody to ask, what is known counts, and the subscription is marked.
    let alone = engine(NoFetch);
    feed(&alone, 1, START, &cut).await;
    assert_eq!(quantity(&alone), (1, true));
}
