//! Conditions over a contact, in CEL: of segments, and of whatever else is data.
//!
//! What a condition may name is [`FIELDS`]. A condition that cannot be computed, since a date is
//! missing or a trait is no number, does not hold. <https://cel.dev>

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};
use cel::{Context, Env, IdedExpr, Program, Value};
use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::time::Timestamp;

/// What a condition may name, with the fields of each; the keys of `traits` are open.
pub const FIELDS: &[(&str, &[&str])] = &[
    ("now", &[]),
    ("customer", &["id", "name", "email", "company", "deleted"]),
    (
        "billing",
        &[
            "plan",
            "plan_name",
            "tier",
            "tier_rank",
            "mrr",
            "arr",
            "billing_status",
            "trial_end_date",
            "subscription_start_date",
            "renewal_date",
            "next_invoice_date",
            "cancel_at",
            "lifetime_value",
            "payment_method",
            "access",
        ],
    ),
    (
        "signals",
        &[
            "failed_payment",
            "downgrade",
            "cancellation_requested",
            "dunning",
            "past_due",
            "card_expiring",
            "dispute",
        ],
    ),
    ("health_score", &[]),
    ("traits", &[]),
];

/// A condition, or an expression that gives instants.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Condition {
    source: String,
    program: Arc<Program>,
    names: Arc<Names>,
}

/// A text that is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("in `{condition}`: {problem}")]
pub struct InvalidCondition {
    condition: String,
    problem: String,
}

impl Condition {
    /// Reads a condition, and checks every name in it.
    ///
    /// # Errors
    /// [`InvalidCondition`] when it is not CEL, or names what there is not.
    pub fn parse(source: &str) -> Result<Self, InvalidCondition> {
        Self::read(source, Vec::new())
    }

    /// Reads a condition that may also name an event's data, as in `event.change`.
    ///
    /// # Errors
    /// [`InvalidCondition`], likewise.
    pub fn of_event(source: &str) -> Result<Self, InvalidCondition> {
        Self::read(source, vec!["event".to_owned()])
    }

    /// Reads a condition; `bound` are names that it may use beside those of [`FIELDS`].
    fn read(source: &str, mut bound: Vec<String>) -> Result<Self, InvalidCondition> {
        let invalid = |problem: String| InvalidCondition {
            condition: source.to_owned(),
            problem,
        };
        let program = Program::compile(source).map_err(|error| invalid(error.to_string()))?;
        let mut names = Names::default();
        check(&program.expression().expr, &mut bound, &mut names).map_err(invalid)?;
        Ok(Self {
            source: source.to_owned(),
            program: Arc::new(program),
            names: Arc::new(names),
        })
    }

    /// What it names.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Whether it asks what time it is.
    #[must_use]
    pub fn asks_the_time(&self) -> bool {
        self.program.references().has_variable("now")
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, facts: &Facts) -> bool {
        matches!(self.program.execute(&facts.0), Ok(Value::Bool(true)))
    }

    /// The instants it gives: one, a list, or none.
    #[must_use]
    pub fn instants(&self, facts: &Facts) -> Vec<Timestamp> {
        let instant = |value: &Value| {
            let Value::Timestamp(time) = value else {
                return None;
            };
            // The first whole second that is not before it.
            let seconds = time.timestamp() + i64::from(time.timestamp_subsec_nanos() > 0);
            Timestamp::from_unix(seconds).ok()
        };
        match self.program.execute(&facts.0) {
            Ok(Value::List(values)) => values.iter().filter_map(instant).collect(),
            Ok(value) => instant(&value).into_iter().collect(),
            Err(_) => Vec::new(),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Condition {}

impl TryFrom<String> for Condition {
    type Error = InvalidCondition;
    fn try_from(source: String) -> Result<Self, InvalidCondition> {
        Self::parse(&source)
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> String {
        condition.source
    }
}

/// The fields that conditions name: only these are worth computing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names(
    BTreeMap<String, BTreeSet<String>>,
    /// The whole numbers that fields are compared with.
    BTreeSet<(String, String, u64)>,
);

impl Names {
    /// Adds another's.
    pub fn extend(&mut self, other: &Self) {
        for (root, fields) in &other.0 {
            for field in fields {
                self.add(root, field);
            }
        }
        self.1.extend(other.1.iter().cloned());
    }

    /// The whole numbers that a field is compared with.
    pub fn compared<'a>(&'a self, root: &'a str, field: &'a str) -> impl Iterator<Item = u64> + 'a {
        let all = self.1.iter();
        let its = all.filter(move |(held, name, _)| held == root && name == field);
        its.map(|(.., number)| *number)
    }

    /// Notes it when a call compares a field with a whole number.
    fn note_compared(&mut self, operator: &str, arguments: &[IdedExpr]) {
        const COMPARISONS: &[&str] = &[
            operators::LESS,
            operators::LESS_EQUALS,
            operators::GREATER,
            operators::GREATER_EQUALS,
        ];
        let [a, b] = arguments else { return };
        for (field, number) in [(&a.expr, &b.expr), (&b.expr, &a.expr)] {
            if COMPARISONS.contains(&operator)
                && let Expr::Select(select) = field
                && let Expr::Ident(root) = &select.operand.expr
                && let Expr::Literal(LiteralValue::Int(number)) = number
                && let Ok(number) = u64::try_from(*number.inner())
            {
                self.1.insert((root.clone(), select.field.clone(), number));
            }
        }
    }

    /// Adds a field; the empty one is the whole of its root.
    fn add(&mut self, root: &str, field: &str) {
        let fields = self.0.entry(root.to_owned()).or_default();
        fields.insert(field.to_owned());
    }

    fn of(&self, root: &str) -> Asked<'_> {
        match self.0.get(root) {
            Some(fields) if fields.contains("") => Asked::Whole,
            Some(fields) => Asked::Fields(fields),
            None => Asked::Nothing,
        }
    }
}

/// What anybody asks for of a root.
#[derive(Debug, Clone, Copy)]
enum Asked<'a> {
    /// All of it, as one.
    Whole,
    /// These fields.
    Fields(&'a BTreeSet<String>),
    Nothing,
}

/// Checks every name, and notes those of fields; `bound` are those that a macro such as `all` brings along.
fn check(expression: &Expr, bound: &mut Vec<String>, names: &mut Names) -> Result<(), String> {
    let all = |inner: &[IdedExpr], bound: &mut Vec<String>, names: &mut Names| {
        inner
            .iter()
            .try_for_each(|inner| check(&inner.expr, bound, names))
    };
    match expression {
        Expr::Ident(name) => {
            let known = FIELDS.iter().any(|(root, _)| root == name) || bound.contains(name);
            if known {
                // The whole of it.
                names.add(name, "");
                Ok(())
            } else {
                let roots = FIELDS.iter().map(|(root, _)| *root);
                let extra = bound
                    .iter()
                    .map(String::as_str)
                    .filter(|name| *name == "event");
                let roots: Vec<_> = roots.chain(extra).collect();
                Err(format!(
                    "there is no `{name}`; there are {}",
                    roots.join(", ")
                ))
            }
        }
        Expr::Select(select) => {
            field(&select.operand.expr, &select.field)?;
            if let Expr::Ident(root) = &select.operand.expr
                && !bound.contains(root)
                && FIELDS.iter().any(|(name, _)| name == root)
                && !select.test
            {
                names.add(root, &select.field);
                return Ok(());
            }
            check(&select.operand.expr, bound, names)
        }
        Expr::Call(call) => {
            if let Some(target) = &call.target {
                check(&target.expr, bound, names)?;
            }
            match (call.func_name.as_str(), call.args.as_slice()) {
                (operators::IN, [name, of]) | (operators::INDEX, [of, name]) => {
                    if let Expr::Literal(LiteralValue::String(name)) = &name.expr {
                        field(&of.expr, name.inner())?;
                    }
                }
                _ => {}
            }
            names.note_compared(&call.func_name, &call.args);
            all(&call.args, bound, names)
        }
        Expr::List(list) => all(&list.elements, bound, names),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                check(&entry.key.expr, bound, names)?;
                check(&entry.value.expr, bound, names)
            }
            EntryExpr::StructField(field) => check(&field.value.expr, bound, names),
        }),
        Expr::Comprehension(inner) => {
            check(&inner.iter_range.expr, bound, names)?;
            let before = bound.len();
            bound.extend([inner.iter_var.clone(), inner.accu_var.clone()]);
            bound.extend(inner.iter_var2.clone());
            for part in [
                &inner.accu_init,
                &inner.loop_cond,
                &inner.loop_step,
                &inner.result,
            ] {
                check(&part.expr, bound, names)?;
            }
            bound.truncate(before);
            Ok(())
        }
        Expr::Struct(_) => Err("there are no types to make".to_owned()),
        Expr::Literal(_) | Expr::Unspecified => Ok(()),
    }
}

/// Checks that what is named has such a field: `billing.tier`, `"dunning" in signals`.
fn field(of: &Expr, name: &str) -> Result<(), String> {
    if let Expr::Ident(root) = of
        && let Some((_, fields)) = FIELDS.iter().find(|(name, _)| name == root)
        && !fields.is_empty()
        && !fields.contains(&name)
    {
        let fields = fields.join(", ");
        return Err(format!("`{root}` has no `{name}`; it has {fields}"));
    }
    Ok(())
}

/// What conditions are asked about.
pub struct Facts(Context<'static, 'static>);

/// The values under one name.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    root: &'a str,
    asked: Asked<'a>,
    values: Vec<(&'a str, Value)>,
}

impl<'a> Values<'a> {
    pub(crate) fn new(root: &'a str, names: Option<&'a Names>) -> Self {
        Self {
            root,
            asked: names.map_or(Asked::Whole, |names| names.of(root)),
            values: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, name: &'a str, value: impl FnOnce() -> Value) {
        let asked = match self.asked {
            Asked::Whole => true,
            Asked::Fields(fields) => fields.contains(name),
            Asked::Nothing => false,
        };
        if asked {
            self.values.push((name, value()));
        }
    }

    pub(crate) fn text(&mut self, name: &'a str, value: Option<&str>) {
        self.set(name, || value.map_or(Value::Null, Value::from));
    }

    pub(crate) fn time(&mut self, name: &'a str, value: Option<Timestamp>) {
        self.set(name, || value.map_or(Value::Null, instant));
    }

    pub(crate) fn money(&mut self, name: &'a str, money: &Money) {
        self.set(name, || {
            let amounts = money.iter();
            map(amounts.map(|(currency, minor)| (currency.as_str(), minor)))
        });
    }

    pub(crate) fn build(self) -> Value {
        map(self.values.into_iter())
    }
}

fn map<K: Into<cel::objects::Key>, V: Into<Value>>(entries: impl Iterator<Item = (K, V)>) -> Value {
    let entries = entries.map(|(key, value)| (key.into(), value.into()));
    Value::Map(cel::objects::Map {
        map: Arc::new(entries.collect()),
    })
}

fn instant(time: Timestamp) -> Value {
    chrono::DateTime::from_timestamp(time.unix(), 0)
        .map_or(Value::Null, |time| Value::Timestamp(time.fixed_offset()))
}

impl Facts {
    pub(crate) fn new<'a>(
        now: Timestamp,
        health_score: u8,
        parts: impl IntoIterator<Item = Values<'a>>,
    ) -> Self {
        // Built once: it is larger than all that is asked of it.
        static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
        let mut context = Context::with_env(Arc::clone(&LANGUAGE));
        context.add_variable_from_value("now", instant(now));
        context.add_variable_from_value("health_score", i64::from(health_score));
        for values in parts {
            let root = values.root;
            // A qualified name is found faster than a field of a map.
            for (name, value) in &values.values {
                context.add_variable_from_value(format!("{root}.{name}"), value.clone());
            }
            if matches!(values.asked, Asked::Whole) {
                context.add_variable_from_value(root, values.build());
            }
        }
        Self(context)
    }
}

/// A trait's value.
pub(crate) fn given(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Bool(is) => Value::Bool(*is),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => number.as_f64().map_or(Value::Null, Value::Float),
        },
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            Value::Null
        }
    }
}

/// A value of an event's data, with all that is in it.
pub(crate) fn whole(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Object(fields) => {
            let fields = fields.iter();
            map(fields.map(|(name, value)| (name.as_str(), whole(value))))
        }
        serde_json::Value::Array(items) => Value::List(Arc::new(items.iter().map(whole).collect())),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => given(value),
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
