//! A small Stripe: customers live through random billing histories, and every change is an event.
//!
//! Seeded, so that a failing history can be had again. Seconds often repeat, updates name what they
//! replaced, and the objects have the newest shape or, by seed, that of the versions before
//! 2025-03-31. At the end the world tells the truth: what each customer came to, in plain integers
//! and without any of paygraph's code.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON that is not there reads as null, and the world writes only to objects it made"
)]

mod customer;
mod debit;
mod direct;
mod dispute;
mod invoice;
mod life;
mod objects;
mod payment;
mod purchase;
mod shapes;
pub(crate) mod sold;
mod source;
mod subscription;
mod truth;
pub(crate) mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::{Map, Value, json};

use self::life::Life;
pub use self::shapes::Shape;
pub use self::sold::price;
pub use self::truth::{
    Access, InvoiceTruth, Method, Plan, Primary, Standing, SubscriptionTruth, Truth,
};

const DAY: i64 = 86_400;

/// A Stripe of its own.
#[derive(Debug)]
pub struct World {
    random: fastrand::Rng,
    /// Names that keep the ids of this world apart from those of others.
    name: String,
    now: i64,
    count: u32,
    /// Whether the endpoint has an API version before 2025-03-31.
    old: bool,
    shapes: BTreeSet<Shape>,
    events: Vec<Value>,
    lives: Vec<Life>,
    /// Sales to people who are no customers.
    guests: Vec<Life>,
}

/// What a world came to.
#[derive(Debug, Clone)]
pub struct History {
    /// Every event, in the order in which it happened.
    pub events: Vec<String>,
    /// The truth of each customer, in the order in which they came.
    pub truths: Vec<Truth>,
    /// The truth of each sale to somebody who is no customer, under its session's id.
    pub guests: Vec<Truth>,
    /// Every object as it is at the end, whole and in the newest shape, by the word in its `object`.
    pub objects: BTreeMap<&'static str, Vec<Value>>,
    /// When the world ended (Unix seconds).
    pub now: i64,
}

/// The beginning of a world whose length is measured (Unix seconds).
const SOMETIME: i64 = 1_700_000_000;

impl History {
    /// A history that ends at an instant (Unix seconds). `live` makes the same world for every
    /// beginning.
    #[must_use]
    pub fn ending_at(end: i64, live: impl Fn(i64) -> World) -> Self {
        let lasts = live(SOMETIME).now - SOMETIME;
        live(end - lasts).finish()
    }
}

impl World {
    /// A world that begins at an instant (Unix seconds).
    #[must_use]
    pub fn new(name: &str, seed: u64, start: i64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let old = random.u32(0..4) == 0;
        Self {
            random,
            name: name.to_owned(),
            now: start,
            count: 0,
            old,
            shapes: BTreeSet::new(),
            events: Vec::new(),
            lives: Vec::new(),
            guests: Vec::new(),
        }
    }

    /// The same world, in which histories of these kinds happen, too.
    #[must_use]
    pub fn with(mut self, shapes: impl IntoIterator<Item = Shape>) -> Self {
        self.shapes.extend(shapes);
        self
    }

    /// The same world, whose endpoint has the newest API version, whatever the seed says.
    #[must_use]
    pub fn newest(self) -> Self {
        Self { old: false, ..self }
    }

    /// Lets so many customers live through so many steps each, and gives every event in the order
    /// in which it happened.
    #[must_use]
    pub fn run(self, customers: u32, steps: u32) -> Vec<String> {
        self.live(customers, steps).finish().events
    }

    /// Lets so many customers live through so many steps each.
    #[must_use]
    pub fn live(mut self, customers: u32, steps: u32) -> Self {
        for group in 0..customers {
            let mut life = self.arrive(group / 3);
            for _ in 0..steps {
                self.pass_time();
                self.step(&mut life);
            }
            self.lives.push(life);
        }
        self
    }

    /// Lets so many seconds pass in which nothing happens.
    #[must_use]
    pub fn rest(self, seconds: i64) -> Self {
        Self {
            now: self.now + seconds,
            ..self
        }
    }

    /// Ends the world, and gives its events and its truth.
    #[must_use]
    pub fn finish(self) -> History {
        let everybody: Vec<&Life> = self.lives.iter().chain(&self.guests).collect();
        History {
            events: self.events.iter().map(Value::to_string).collect(),
            truths: self.lives.iter().map(|life| life.truth(self.now)).collect(),
            guests: self
                .guests
                .iter()
                .map(|guest| guest.truth(self.now))
                .collect(),
            objects: objects::of(&everybody, &self.shapes),
            now: self.now,
        }
    }

    fn step(&mut self, life: &mut Life) {
        if !self.shapes.is_empty() && self.chance(30) && self.step_of_shapes(life) {
            return;
        }
        let step = self.random.u32(0..24);
        if is_set(&life.customer, "deleted") {
            // What was paid can still be given back or disputed.
            if step.is_multiple_of(2) {
                self.refund(life);
            } else {
                self.dispute(life);
            }
            return;
        }
        match step {
            0 => self.change_customer(life),
            1 => self.flip_customer(life),
            2 => self.attach(life),
            3 => self.change_method(life),
            4 | 5 => self.sign_up(life),
            6 => self.checkout(life),
            7 => self.buy_for_life(life),
            8..=10 => self.renew(life),
            11..=13 => self.collect(life),
            14 => self.refund(life),
            15 => self.dispute(life),
            16 if self.chance(15) => self.delete(life),
            _ => self.change_subscription(life),
        }
    }

    /// Something that happens only in worlds with its shape. Says whether it did.
    fn step_of_shapes(&mut self, life: &mut Life) -> bool {
        let shapes = self.shapes.iter().copied();
        let shapes: Vec<Shape> = shapes.filter(|shape| shape.has_steps()).collect();
        let shape = self.random.choice(shapes);
        let deleted = is_set(&life.customer, "deleted");
        match shape {
            Some(Shape::DirectCharges) if !deleted => self.pay_directly(life),
            Some(Shape::ManualCapture) if !deleted => self.capture(life),
            Some(Shape::LegacyCards) if !deleted && life.is_customer() => self.change_source(life),
            Some(Shape::GuestCheckouts) => self.buy_as_guest(life),
            Some(Shape::BankDebits | Shape::SentInvoices | Shape::WriteOffs) => self.collect(life),
            _ => return false,
        }
        true
    }

    fn has(&self, shape: Shape) -> bool {
        self.shapes.contains(&shape)
    }

    /// A number by chance in a world with the shape, else none.
    fn random_of_shape(&mut self, shape: Shape, range: Range<u32>) -> Option<u32> {
        self.has(shape).then(|| self.random.u32(range))
    }

    fn id(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}_{}{:06}", self.name, self.count)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    /// One of several, if there is any.
    fn pick(&mut self, fitting: &[usize]) -> Option<usize> {
        self.random.choice(fitting.iter().copied())
    }

    /// Often nothing, sometimes seconds, now and then days.
    fn pass_time(&mut self) {
        self.now += match self.random.u32(0..10) {
            0..=5 => 0,
            6..=8 => self.random.i64(1..90),
            _ => self.random.i64(3_600..5 * DAY),
        };
    }

    fn tell(&mut self, kind: &str, object: &Value) {
        let object = version::of(object, self.old);
        self.emit(kind, object, None);
    }

    fn emit(&mut self, kind: &str, object: Value, previous: Option<Map<String, Value>>) {
        let version = if self.old {
            "2024-06-20"
        } else {
            "2026-10-28.endive"
        };
        let mut data = json!({ "object": object });
        if let Some(previous) = previous {
            data["previous_attributes"] = Value::Object(previous);
        }
        let id = self.id("evt");
        self.events.push(json!({
            "id": id, "object": "event", "api_version": version, "created": self.now,
            "livemode": false, "pending_webhooks": 1, "type": kind, "data": data,
            "request": { "id": null, "idempotency_key": null },
        }));
    }

    /// Changes fields of an object and tells of it, with the values that were replaced.
    fn update(&mut self, kind: &str, object: &mut Value, fields: Value) {
        let before = version::of(object, self.old);
        set(object, fields);
        let after = version::of(object, self.old);
        let previous = replaced(&before, &after);
        if !previous.is_empty() {
            self.emit(kind, after, Some(previous));
        }
    }
}

/// Puts fields into an object.
fn set(object: &mut Value, fields: Value) {
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
}

/// What Stripe calls `previous_attributes`: of an object the fields that changed, of a list all of
/// it, and null for a field that was not there.
pub(crate) fn replaced(before: &Value, after: &Value) -> Map<String, Value> {
    let mut previous = Map::new();
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return previous;
    };
    for name in before.keys().chain(after.keys()) {
        let was = before.get(name).unwrap_or(&Value::Null);
        let is = after.get(name).unwrap_or(&Value::Null);
        if was == is {
            continue;
        }
        let value = match (was, is) {
            (Value::Object(_), Value::Object(_)) => Value::Object(replaced(was, is)),
            _ => was.clone(),
        };
        previous.insert(name.clone(), value);
    }
    previous
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn number(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or(0)
}

fn is_set(object: &Value, field: &str) -> bool {
    !matches!(object[field], Value::Null | Value::Bool(false))
}

/// The places of the objects that fit.
fn places(objects: &[Value], fits: impl Fn(&Value) -> bool) -> Vec<usize> {
    let fitting = objects
        .iter()
        .enumerate()
        .filter(|(_, object)| fits(object));
    fitting.map(|(place, _)| place).collect()
}
