//! A10: an alert storm. Each second has one message, and a minute of one kind at most 20 and a digest.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use paygraph_alert::handler::Target;
use paygraph_alert::message::{Digest, Message};
use paygraph_alert::tell::{Tell, TellError, Told};
use paygraph_domain::contact::Profile;
use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::Clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Heard, World, at, deliver_to};

/// A place that takes one message a second, and keeps what it hears with the time.
#[derive(Default)]
struct Channel {
    heard: Mutex<Vec<(Instant, String)>>,
    answers: Mutex<Vec<TellError>>,
    is_silent: AtomicBool,
    is_unknown: AtomicBool,
}

impl Channel {
    async fn hear(&self, text: String) -> Result<Told, TellError> {
        if self.is_silent.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        if let Some(refusal) = self.answers.lock().unwrap().pop() {
            return Err(refusal);
        }
        self.heard.lock().unwrap().push((Instant::now(), text));
        Ok(Told::Yes)
    }

    /// The messages since the last look: those of one alert, and the digests.
    fn taken(&self) -> (Vec<String>, Vec<String>) {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap()).into_iter();
        let texts = heard.map(|(_, text)| text);
        texts.partition(|text| !text.contains(" more alert"))
    }
}

impl Tell for &Channel {
    async fn tell(&self, message: &Message<'_>, _: Instant) -> Result<Told, TellError> {
        self.hear(message.lines().join(" / ")).await
    }

    async fn is_limited(&self, _: &TenantId) -> Result<bool, TellError> {
        match self.is_unknown.load(Ordering::Relaxed) {
            true => Err(TellError::Again("the secret cannot be read".to_owned())),
            false => Ok(true),
        }
    }

    async fn tell_digest(&self, digest: &Digest<'_>, _: Instant) -> Result<Told, TellError> {
        self.hear(digest.lines().join(" / ")).await
    }
}

/// A clock that goes as tokio's does, from an instant on.
#[derive(Clone, Copy)]
struct RunningClock {
    started: Instant,
    from: Timestamp,
}

impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        let passed = self.started.elapsed().as_secs();
        self.from.plus(passed.try_into().unwrap())
    }
}

type Function<'a> =
    Target<paygraph_engine::memory::MemoryStore, RunningClock, &'a Channel, &'a Heard>;

/// A world with a function that runs, from the beginning of a minute on.
struct Storm {
    world: World,
    channel: Channel,
    clock: RunningClock,
}

impl Storm {
    fn new() -> Self {
        // The next whole minute.
        let from = at(40);
        assert_eq!(from.unix() % 60, 0);
        Self {
            world: World::without_slack(),
            channel: Channel::default(),
            clock: RunningClock {
                started: Instant::now(),
                from,
            },
        }
    }

    fn function(&self) -> Function<'_> {
        let store = self.world.store.clone();
        Target::new(store, self.clock, &self.channel, &self.world.sns)
    }

    /// Many customers run into their limits. Gives one message of the bus for each.
    async fn breaks(&self, customers: usize) -> Vec<Value> {
        let mut bus = Vec::new();
        for number in 0..customers {
            // Somebody was in touch, so this is no task beside.
            let contacted = at(0).to_string();
            let traits = json!({ "usage_percent": 85, "last_contacted_at": contacted });
            let given = Profile {
                traits: serde_json::from_value(traits).unwrap(),
                ..Profile::default()
            };
            let told = self.world.put(40, &format!("c{number}"), given).await;
            let near = |body: &Value| body["detail"]["data"]["segment"] == "usage_limit_near";
            bus.extend(told.into_iter().filter(near));
        }
        assert_eq!(bus.len(), customers);
        bus
    }

    /// Delivers messages in batches of ten to one function, one batch after the other. Gives those
    /// that come again.
    async fn deliver(&self, bus: &[Value]) -> Vec<Value> {
        let (function, mut again) = (self.function(), Vec::new());
        for batch in bus.chunks(10) {
            let places = deliver_to(&function, batch, 60).await;
            again.extend(places.into_iter().map(|place| batch[place].clone()));
        }
        again
    }
}

/// The queue's visibility time-out.
async fn redelivery() {
    tokio::time::sleep(Duration::from_secs(180)).await;
}

#[tokio::test(start_paused = true)]
async fn a10_more_than_twenty_alerts_of_a_kind_are_one_digest() {
    let storm = Storm::new();
    let bus = storm.breaks(57).await;
    let waiting = storm.deliver(&bus).await;
    assert_eq!(waiting.len(), 37);
    let (single, digests) = storm.channel.taken();
    assert_eq!((single.len(), digests.len()), (20, 0));
    assert_eq!(storm.world.alerts().len(), 57, "each is kept at once");
    // Within the minute the digest waits.
    assert_eq!(storm.deliver(&waiting[..10]).await.len(), 10);
    redelivery().await;
    // One of them sends the digest, and the others find it sent.
    assert_eq!(storm.deliver(&waiting).await, [Value::Null; 0]);
    let (single, digests) = storm.channel.taken();
    assert_eq!((single.len(), digests.len()), (0, 1));
    assert!(
        digests[0].starts_with("37 more alerts of the kind usage_limit / "),
        "{digests:?}"
    );
    // Whatever comes again changes nothing.
    redelivery().await;
    assert_eq!(storm.deliver(&bus).await, [Value::Null; 0]);
    assert_eq!(storm.channel.taken(), (vec![], vec![]));
    assert_eq!(
        storm.world.sns.0.lock().unwrap().len(),
        57,
        "SNS has no limit"
    );
}

#[tokio::test(start_paused = true)]
async fn a10_twenty_alerts_have_their_own_messages() {
    let storm = Storm::new();
    let bus = storm.breaks(20).await;
    assert_eq!(storm.deliver(&bus).await, [Value::Null; 0]);
    assert_eq!(storm.channel.taken().0.len(), 20);
}

/// No second has two messages, however many functions run; and none is wasted.
#[tokio::test(start_paused = true)]
async fn a10_a_channel_hears_one_message_a_second() {
    let storm = Storm::new();
    let bus = storm.breaks(20).await;
    let functions: Vec<_> = (0..4).map(|_| storm.function()).collect();
    let work = functions.iter().zip(bus.chunks(5));
    let work = work.map(|(function, batch)| deliver_to(function, batch, 60));
    assert!(join_all(work).await.iter().all(Vec::is_empty));
    let heard = storm.channel.heard.lock().unwrap();
    let mut at: Vec<_> = heard.iter().map(|(at, _)| *at).collect();
    at.sort();
    let gaps = at.windows(2).map(|two| two[1] - two[0]);
    assert!(
        gaps.into_iter()
            .all(|gap| gap >= Duration::from_millis(999))
    );
    assert!(at[19] - at[0] < Duration::from_secs(21));
}

/// Who is asked to leave the place alone does so, and so does everybody else.
#[tokio::test(start_paused = true)]
async fn a10_a_wait_that_is_asked_for_holds_for_everybody() {
    let storm = Storm::new();
    let bus = storm.breaks(3).await;
    let asked = TellError::Limited(Duration::from_secs(7), "429".to_owned());
    storm.channel.answers.lock().unwrap().push(asked);
    let begun = Instant::now();
    assert_eq!(storm.deliver(&bus).await, [Value::Null; 0]);
    let heard = storm.channel.heard.lock().unwrap();
    assert_eq!(heard.len(), 3);
    assert!(
        heard
            .iter()
            .filter(|(at, _)| *at - begun < Duration::from_secs(7))
            .count()
            <= 2
    );
    assert!(
        heard
            .iter()
            .any(|(at, _)| *at - begun >= Duration::from_secs(7))
    );
}

/// N19: whoever sends the digest dies. The claim runs out, and the next one sends it; no alert is lost.
#[tokio::test(start_paused = true)]
async fn a10_a_digest_outlives_a_kill() {
    let storm = Storm::new();
    let bus = storm.breaks(25).await;
    let waiting = storm.deliver(&bus).await;
    assert_eq!(waiting.len(), 5);
    storm.channel.taken();
    redelivery().await;
    storm.channel.is_silent.store(true, Ordering::Relaxed);
    let killed = Duration::from_secs(5);
    let killed = tokio::time::timeout(killed, storm.deliver(&waiting[..1])).await;
    assert!(killed.is_err(), "it never ended");
    storm.channel.is_silent.store(false, Ordering::Relaxed);
    assert_eq!(
        storm.deliver(&waiting).await.len(),
        5,
        "its claim still holds"
    );
    redelivery().await;
    assert_eq!(storm.deliver(&waiting).await, [Value::Null; 0]);
    let (single, digests) = storm.channel.taken();
    assert_eq!((single.len(), digests.len()), (0, 1));
    assert!(digests[0].starts_with("5 more alerts"), "{digests:?}");
}

/// An alert of the minute that joins the burst after its digest, since its function died before it
/// could, has a message of its own; and keeps to it when it comes again.
#[tokio::test(start_paused = true)]
async fn a10_an_alert_after_the_digest_has_its_own_message() {
    let storm = Storm::new();
    let mut bus = storm.breaks(23).await;
    let late = [bus.pop().unwrap()];
    storm.channel.is_unknown.store(true, Ordering::Relaxed);
    assert_eq!(storm.deliver(&late).await.len(), 1);
    storm.channel.is_unknown.store(false, Ordering::Relaxed);
    let waiting = storm.deliver(&bus).await;
    assert_eq!(waiting.len(), 2);
    redelivery().await;
    assert_eq!(storm.deliver(&waiting).await, [Value::Null; 0]);
    for _ in 0..2 {
        assert_eq!(storm.deliver(&late).await, [Value::Null; 0]);
    }
    let (single, digests) = storm.channel.taken();
    assert_eq!((single.len(), digests.len()), (21, 1));
    assert!(digests[0].starts_with("2 more alerts"), "{digests:?}");
}
