//! DynamoDB's expressions, as far as paygraph writes them: conditions, key conditions, updates.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "JSON that is not there reads as null, and an expression that the table does not know fails its test"
)]

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::WireItem;

/// An expression of a request, with the names and values that it uses.
pub struct Expression<'a> {
    tokens: Vec<&'a str>,
    names: &'a Value,
    values: &'a Value,
}

impl<'a> Expression<'a> {
    /// The expression in a field of a request; the one that is always met if there is none.
    pub fn new(request: &'a Value, field: &str) -> Self {
        Self {
            tokens: tokens(request[field].as_str().unwrap_or_default()),
            names: &request["ExpressionAttributeNames"],
            values: &request["ExpressionAttributeValues"],
        }
    }

    /// Whether an item meets the condition.
    pub fn is_met(&self, item: Option<&WireItem>) -> bool {
        let nothing = Map::new();
        if self.tokens.is_empty() {
            return true;
        }
        let mut reader = self.reader(item.unwrap_or(&nothing));
        let met = reader.any();
        assert!(reader.rest.is_empty(), "not understood: {:?}", reader.rest);
        met
    }

    /// The item after the update.
    pub fn update(&self, item: WireItem) -> WireItem {
        let mut after = item.clone();
        let mut reader = self.reader(&item);
        while let Some(clause) = reader.next() {
            loop {
                let name = reader.name();
                match clause {
                    "SET" => {
                        reader.expect("=");
                        let value = reader.assigned();
                        after.insert(name, value);
                    }
                    "ADD" => {
                        let value = reader.operand();
                        after.insert(name.clone(), sum(item.get(&name), value.as_ref()));
                    }
                    "REMOVE" => {
                        after.remove(&name);
                    }
                    other => panic!("the table does not know {other}"),
                }
                if !reader.takes(",") {
                    break;
                }
            }
        }
        after
    }

    fn reader<'e>(&'e self, item: &'e WireItem) -> Reader<'e> {
        Reader {
            rest: &self.tokens,
            expression: self,
            item,
        }
    }

    /// The attribute's name, which may stand behind a `#name`.
    fn name(&self, token: &str) -> String {
        if !token.starts_with('#') {
            return token.to_owned();
        }
        let name = self.names[token].as_str();
        name.unwrap_or_else(|| panic!("{token} has no name"))
            .to_owned()
    }
}

struct Reader<'e> {
    rest: &'e [&'e str],
    expression: &'e Expression<'e>,
    item: &'e WireItem,
}

impl<'e> Reader<'e> {
    fn next(&mut self) -> Option<&'e str> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_next = self.rest.first() == Some(&token);
        if is_next {
            self.next();
        }
        is_next
    }

    fn expect(&mut self, token: &str) {
        assert!(
            self.takes(token),
            "{token} is missing before {:?}",
            self.rest
        );
    }

    fn any(&mut self) -> bool {
        let mut met = self.all();
        while self.takes("OR") {
            met |= self.all();
        }
        met
    }

    fn all(&mut self) -> bool {
        let mut met = self.one();
        while self.takes("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.takes("NOT") {
            return !self.one();
        }
        if self.takes("(") {
            let met = self.any();
            self.expect(")");
            return met;
        }
        if self.takes("attribute_exists") {
            return self.call(1)[0].is_some();
        }
        if self.takes("attribute_not_exists") {
            return self.call(1)[0].is_none();
        }
        if self.takes("contains") {
            let [set, member] = &self.call(2)[..] else {
                return false;
            };
            let of_set = |set: &Option<Value>| set.as_ref()?["SS"].as_array().cloned();
            let member = member.as_ref().map(|member| member["S"].clone());
            return of_set(set)
                .zip(member)
                .is_some_and(|(set, member)| set.contains(&member));
        }
        if self.takes("begins_with") {
            let [value, start] = &self.call(2)[..] else {
                return false;
            };
            let text = |value: &Option<Value>| value.as_ref()?["S"].as_str().map(str::to_owned);
            return text(value)
                .zip(text(start))
                .is_some_and(|(value, start)| value.starts_with(&start));
        }
        self.comparison()
    }

    fn call(&mut self, arguments: usize) -> Vec<Option<Value>> {
        self.expect("(");
        let mut values = vec![self.operand()];
        while self.takes(",") {
            values.push(self.operand());
        }
        self.expect(")");
        assert_eq!(values.len(), arguments, "a function's arguments");
        values
    }

    fn comparison(&mut self) -> bool {
        let left = self.operand();
        let operator = self.next().unwrap_or_default();
        let right = self.operand();
        let order = compare(left.as_ref(), right.as_ref());
        match operator {
            "=" => order == Some(Ordering::Equal),
            "<>" => order != Some(Ordering::Equal),
            "<" => order == Some(Ordering::Less),
            "<=" => order.is_some_and(Ordering::is_le),
            ">" => order == Some(Ordering::Greater),
            ">=" => order.is_some_and(Ordering::is_ge),
            "BETWEEN" => {
                self.expect("AND");
                let most = self.operand();
                order.is_some_and(Ordering::is_ge)
                    && compare(left.as_ref(), most.as_ref()).is_some_and(Ordering::is_le)
            }
            other => panic!("the table does not know {other}"),
        }
    }

    fn name(&mut self) -> String {
        let token = self.next().unwrap_or_default();
        self.expression.name(token)
    }

    /// A value of the request, or an attribute of the item.
    fn operand(&mut self) -> Option<Value> {
        if self.takes("size") {
            let set = self.call(1).pop().flatten()?;
            let size = set["SS"].as_array().map(Vec::len);
            return size.map(|size| json!({ "N": size.to_string() }));
        }
        let token = self.next().unwrap_or_default();
        if token.starts_with(':') {
            let value = &self.expression.values[token];
            assert!(!value.is_null(), "{token} has no value");
            return Some(value.clone());
        }
        self.item.get(&self.expression.name(token)).cloned()
    }

    /// What `SET` gives an attribute.
    fn assigned(&mut self) -> Value {
        let value = if self.takes("if_not_exists") {
            let mut values = self.call(2);
            let fallback = values.pop().flatten();
            values.pop().flatten().or(fallback)
        } else {
            self.operand()
        };
        value.unwrap_or_else(|| panic!("an attribute is set to nothing"))
    }
}

fn number(value: &Value) -> Option<i128> {
    value["N"].as_str()?.parse().ok()
}

fn compare(left: Option<&Value>, right: Option<&Value>) -> Option<Ordering> {
    let (left, right) = (left?, right?);
    let (a, b) = (left["S"].as_str(), right["S"].as_str());
    a.zip(b)
        .map(|(a, b)| a.as_bytes().cmp(b.as_bytes()))
        .or_else(|| Some(number(left)?.cmp(&number(right)?)))
}

/// What `ADD` makes of an attribute: a sum of numbers, or a set with more members.
fn sum(before: Option<&Value>, more: Option<&Value>) -> Value {
    if let Some(more) = more.and_then(|more| more["SS"].as_array()) {
        let before = before.and_then(|before| before["SS"].as_array());
        let mut set = before.cloned().unwrap_or_default();
        let new: Vec<_> = more
            .iter()
            .filter(|member| !set.contains(member))
            .cloned()
            .collect();
        set.extend(new);
        return json!({ "SS": set });
    }
    let sum = before.and_then(number).unwrap_or(0) + more.and_then(number).unwrap_or(0);
    json!({ "N": sum.to_string() })
}

/// Words, signs and brackets of an expression.
fn tokens(text: &str) -> Vec<&str> {
    let is_word = |sign: char| sign.is_alphanumeric() || "_#:".contains(sign);
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|sign| !is_word(sign)).unwrap_or(rest.len())
        } else if ["<>", "<=", ">="].iter().any(|sign| rest.starts_with(sign)) {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}
