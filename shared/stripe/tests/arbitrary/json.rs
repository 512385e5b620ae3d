//! JSON as Stripe would never write it. Texts, not values: a key may come twice, and a number may
//! be larger than any type.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

/// Values that are wrong almost anywhere.
const LEAVES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "0.5",
    "-0.0",
    "1e400",
    "1e-400",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "253402300800",
    "1795000000",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    "\"\"",
    "\"usd\"",
    "\"USD\"",
    "\"active\"",
    "\"canceled\"",
    "\"paid\"",
    "\"sub_1\"",
    "\"cus_1\"",
    "\"a#b\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\uffff\"",
    "\"1e999\"",
    "\"12.345678901234\"",
    "\"-5\"",
    "\"99999999999999999999999999\"",
    "\"month\"",
    "\"forever\"",
    "\"graduated\"",
];

/// Names of fields that somebody reads.
const NAMES: &[&str] = &[
    "id",
    "object",
    "type",
    "created",
    "data",
    "customer",
    "status",
    "currency",
    "items",
    "price",
    "plan",
    "recurring",
    "interval",
    "interval_count",
    "quantity",
    "unit_amount",
    "unit_amount_decimal",
    "tiers",
    "tiers_mode",
    "up_to",
    "flat_amount",
    "transform_quantity",
    "divide_by",
    "round",
    "discount",
    "discounts",
    "coupon",
    "source",
    "percent_off",
    "amount_off",
    "duration",
    "trial_start",
    "trial_end",
    "current_period_start",
    "current_period_end",
    "cancel_at",
    "pause_collection",
    "amount",
    "amount_due",
    "amount_paid",
    "amount_refunded",
    "attempt_count",
    "lines",
    "period",
    "pricing",
    "price_details",
    "parent",
    "metadata",
    "deleted",
    "card",
    "exp_month",
    "exp_year",
    "charge",
    "payment_intent",
    "phases",
    "start_date",
    "has_more",
    "previous_attributes",
    "version",
    "event",
    "pointer",
    "tenant",
    "received_at",
    "livemode",
    "default_tax_rates",
    "percentage",
    "inclusive",
    "billing_scheme",
    "product",
    "status_transitions",
];

/// Any JSON, with the fields that somebody reads.
pub fn any() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => select(LEAVES).prop_map(str::to_owned),
        1 => any_number(),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        let field = (select(NAMES), inner.clone());
        prop_oneof![
            1 => proptest::collection::vec(inner, 0..5).prop_map(|list| format!("[{}]", list.join(","))),
            4 => proptest::collection::vec(field, 0..9).prop_map(|fields| {
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn any_number() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::prelude::any::<i64>().prop_map(|number| number.to_string()),
        proptest::prelude::any::<u64>().prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{0,30}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
    ]
}

/// A signature header, or what somebody takes for one.
pub fn header() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "t=-?[0-9]{0,22}",
        "v[01]=[0-9a-f]{0,70}",
        "v1=[0-9a-fA-F]{64}",
        "\\PC{0,8}",
        Just("t".to_owned()),
        Just("=".to_owned()),
    ];
    prop_oneof![
        4 => proptest::collection::vec(part, 0..6).prop_map(|parts| parts.join(",")),
        1 => "\\PC*",
    ]
}

/// Something that goes wrong with JSON.
#[derive(Debug, Clone)]
pub struct Mutation {
    place: Index,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Delete,
    Replace(String),
    /// The same key once more, before the one that is there.
    Repeat(String),
    Nest(usize),
}

/// Any mutation.
pub fn mutation() -> impl Strategy<Value = Mutation> {
    let value = || prop_oneof![3 => select(LEAVES).prop_map(str::to_owned), 1 => any()];
    let kind = prop_oneof![
        3 => Just(Kind::Delete),
        5 => value().prop_map(Kind::Replace),
        1 => value().prop_map(Kind::Repeat),
        1 => (1_usize..200).prop_map(Kind::Nest),
    ];
    (proptest::prelude::any::<Index>(), kind).prop_map(|(place, kind)| Mutation { place, kind })
}

/// JSON that may have a key twice.
#[derive(Debug, Clone)]
pub enum Json {
    /// A value as it is written.
    Leaf(String),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Value::Object(fields) => {
                let fields = fields.into_iter();
                Self::Object(
                    fields
                        .map(|(name, value)| (name, Self::from(value)))
                        .collect(),
                )
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Self::Leaf(value.to_string())
            }
        }
    }
}

impl Json {
    /// Does something wrong to one of the fields.
    pub fn mutate(&mut self, mutation: &Mutation) {
        let count = self.fields();
        if count > 0 {
            let mut place = mutation.place.index(count);
            self.mutate_at(&mut place, &mutation.kind);
        }
    }

    fn fields(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::List(list) => list.iter().map(Self::fields).sum(),
            Self::Object(fields) => fields.iter().map(|(_, value)| 1 + value.fields()).sum(),
        }
    }

    /// Counts fields down in order; the one at 0 is it. Tells whether it was found.
    fn mutate_at(&mut self, place: &mut usize, kind: &Kind) -> bool {
        match self {
            Self::Leaf(_) => false,
            Self::List(list) => list.iter_mut().any(|item| item.mutate_at(place, kind)),
            Self::Object(fields) => {
                for index in 0..fields.len() {
                    if *place == 0 {
                        mutate(fields, index, kind);
                        return true;
                    }
                    *place -= 1;
                    let found = fields
                        .get_mut(index)
                        .is_some_and(|(_, value)| value.mutate_at(place, kind));
                    if found {
                        return true;
                    }
                }
                false
            }
        }
    }
}

fn mutate(fields: &mut Vec<(String, Json)>, index: usize, kind: &Kind) {
    let (name, value) = fields.remove(index);
    match kind {
        Kind::Delete => {}
        Kind::Replace(with) => fields.insert(index, (name, Json::Leaf(with.clone()))),
        Kind::Repeat(with) => {
            fields.insert(index, (name.clone(), value));
            fields.insert(index, (name, Json::Leaf(with.clone())));
        }
        Kind::Nest(depth) => {
            let nested = (0..*depth).fold(value, |value, _| Json::List(vec![value]));
            fields.insert(index, (name, nested));
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(text) => f.write_str(text),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, item) in list.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{}:{value}", Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}
