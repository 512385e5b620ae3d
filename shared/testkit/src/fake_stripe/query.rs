//! What a list is asked for.

use super::refusal::Refusal;

/// The parameters of a request, in the order in which they came.
pub(super) type Pairs = Vec<(String, String)>;

/// What a list is asked for.
#[derive(Debug)]
pub(super) struct Query {
    /// How many objects, 1 to 100.
    pub limit: usize,
    pub from: From,
    pub created: Interval,
    pub filters: Vec<Filter>,
    pub expand: Vec<String>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    /// At the newest object.
    Start,
    /// Beyond this object, on to older ones.
    After(String),
    /// Beyond this object, back to newer ones.
    Before(String),
}

/// Seconds from the first up to, and without, the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    pub from: i64,
    pub to: i64,
}

impl Interval {
    pub(super) const ALL: Self = Self {
        from: i64::MIN,
        to: i64::MAX,
    };

    pub(super) fn holds(self, second: i64) -> bool {
        (self.from..self.to).contains(&second)
    }

    fn narrow(&mut self, bound: &str, second: i64) -> bool {
        let next = second.saturating_add(1);
        match bound {
            "gte" => self.from = self.from.max(second),
            "gt" => self.from = self.from.max(next),
            "lt" => self.to = self.to.min(second),
            "lte" => self.to = self.to.min(next),
            "" => (self.from, self.to) = (second, next),
            _ => return false,
        }
        true
    }
}

/// A parameter that only some objects fit: by one of these values.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub name: String,
    pub values: Vec<String>,
}

impl Query {
    /// The first objects that fit one parameter.
    pub(super) fn first(limit: usize, filter: &str, value: &str) -> Self {
        Self {
            limit,
            from: From::Start,
            created: Interval::ALL,
            filters: vec![Filter {
                name: filter.to_owned(),
                values: vec![value.to_owned()],
            }],
            expand: Vec::new(),
        }
    }

    /// Reads the parameters of a list that knows these filters.
    pub(super) fn parse(pairs: &Pairs, known: &[&str]) -> Result<Self, Refusal> {
        let mut query = Self {
            limit: 10,
            from: From::Start,
            created: Interval::ALL,
            filters: Vec::new(),
            expand: Vec::new(),
        };
        for (name, value) in pairs {
            query.take(name, value, known)?;
        }
        Ok(query)
    }

    fn take(&mut self, name: &str, value: &str, known: &[&str]) -> Result<(), Refusal> {
        let (base, inner) = split(name);
        match (base, inner) {
            ("limit", None) => self.limit = limit(value)?,
            ("starting_after", None) => self.begin(From::After(value.to_owned()))?,
            ("ending_before", None) => self.begin(From::Before(value.to_owned()))?,
            ("expand", Some(_)) => self.expand.push(value.to_owned()),
            ("created", bound) if known.contains(&base) => {
                let second = value.parse().map_err(|_| not_a_number(name))?;
                if !self.created.narrow(bound.unwrap_or_default(), second) {
                    return Err(Refusal::unknown_parameter(name));
                }
            }
            ("payment", Some(inner)) if known.contains(&base) => self.filters.push(Filter {
                name: format!("payment.{inner}"),
                values: vec![value.to_owned()],
            }),
            ("types" | "ids" | "lookup_keys", Some(_)) if known.contains(&base) => {
                self.one_of(base, value)?;
            }
            ("types" | "ids" | "lookup_keys", None) => {
                return Err(Refusal::invalid("", name, "Invalid array"));
            }
            (_, None) if known.contains(&base) => self.filters.push(Filter {
                name: base.to_owned(),
                values: vec![value.to_owned()],
            }),
            _ => return Err(Refusal::unknown_parameter(name)),
        }
        Ok(())
    }

    fn begin(&mut self, from: From) -> Result<(), Refusal> {
        if self.from != From::Start {
            return Err(Refusal::bad(
                "You may only specify one of these parameters: ending_before, starting_after.",
            ));
        }
        self.from = from;
        Ok(())
    }

    /// A value more of a list; Stripe takes twenty types of events.
    fn one_of(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let found = self.filters.iter_mut().find(|filter| filter.name == name);
        let Some(filter) = found else {
            self.filters.push(Filter {
                name: name.to_owned(),
                values: vec![value.to_owned()],
            });
            return Ok(());
        };
        filter.values.push(value.to_owned());
        if name == "types" && filter.values.len() > 20 {
            let message = "You may only specify up to 20 types.";
            return Err(Refusal::invalid("parameter_invalid", name, message));
        }
        Ok(())
    }
}

/// `created[gte]` is `created` and `gte`; `types[]` is `types` and nothing.
fn split(name: &str) -> (&str, Option<&str>) {
    name.strip_suffix(']')
        .and_then(|name| name.split_once('['))
        .map_or((name, None), |(base, inner)| (base, Some(inner)))
}

fn limit(value: &str) -> Result<usize, Refusal> {
    let bound = |message: &str| Refusal::invalid("parameter_invalid_integer", "limit", message);
    match value.parse::<i64>() {
        Err(_) => Err(not_a_number("limit")),
        Ok(number) if number < 1 => Err(bound("This value must be greater than or equal to 1.")),
        Ok(number) => usize::try_from(number)
            .ok()
            .filter(|limit| *limit <= 100)
            .ok_or_else(|| bound("This value must be less than or equal to 100 (`limit`).")),
    }
}

fn not_a_number(name: &str) -> Refusal {
    let message = format!("Invalid integer: {name}");
    Refusal::invalid("parameter_invalid_integer", name, &message)
}
