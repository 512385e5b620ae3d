//! An MRR with how it came about, as a table and as JSON.

use std::fmt::Write;

use paygraph_domain::money::{Currency, Exact, Money, whole};
use paygraph_domain::mrr::Value;
use paygraph_domain::mrr::trace::Recorded;
use paygraph_domain::objects::subscription::Subscription;
use serde_json::json;

use super::amount::exact;
use super::words::{Words, note};
use crate::show;

/// How the MRR of a subscription came about.
pub struct Explained {
    title: String,
    mrr: Money,
    arr: Money,
    items: Vec<ItemExplained>,
    sums: Vec<(Currency, Exact)>,
    notes: Vec<String>,
}

struct ItemExplained {
    id: String,
    price: String,
    currency: Option<Currency>,
    steps: Vec<(String, Option<Exact>)>,
    mrr: Exact,
}

/// A heading with its rows: what, and the amount.
type Section = (String, Vec<(String, String)>);

impl Explained {
    /// Puts a valuation into words.
    pub fn new(subscription: &Subscription, value: &Value, told: Recorded) -> Self {
        let worths = subscription.items.iter().zip(&value.items);
        let items = worths.zip(told.items).map(|((item, worth), steps)| {
            let currency = worth.currency.as_ref();
            let words = Words {
                subscription,
                currency,
            };
            let steps = steps.into_iter();
            ItemExplained {
                id: item.id.to_string(),
                price: item.price.id.to_string(),
                currency: currency.cloned(),
                steps: steps.map(|s| (words.step(&s.what), s.amount)).collect(),
                mrr: worth.mrr.clone(),
            }
        });
        Self {
            title: format!("{}  {}", subscription.id, subscription.status.as_str()),
            mrr: value.mrr.clone(),
            arr: value.arr.clone(),
            items: items.collect(),
            sums: told.sums,
            notes: told.notes.into_iter().map(note).collect(),
        }
    }

    /// For programs. An item's amounts are minor units, exact: `"2900"`, `"25000/3"`.
    pub fn to_json(&self) -> serde_json::Value {
        let step = |(what, amount): &(String, Option<Exact>)| json!({ "what": what, "amount": amount.as_ref().map(ToString::to_string) });
        let item = |item: &ItemExplained| {
            let steps: Vec<_> = item.steps.iter().map(step).collect();
            json!({ "id": item.id, "price": item.price, "steps": steps,
                "mrr": item.mrr.to_string() })
        };
        let rounding = self.sums.iter().map(|(currency, sum)| {
            let (mrr, arr) = (self.mrr.get(currency), self.arr.get(currency));
            let code = currency.as_str();
            format!("{code}: {sum} a month, rounded once, half up, is {mrr}; 12 × {sum} is {arr}")
        });
        let notes: Vec<_> = rounding.chain(self.notes.iter().cloned()).collect();
        let items: Vec<_> = self.items.iter().map(item).collect();
        json!({ "mrr": self.mrr, "arr": self.arr, "items": items, "notes": notes })
    }

    /// For people: a table, in the major unit.
    pub fn to_text(&self) -> String {
        let items = self.items.iter().map(ItemExplained::section);
        let totals = self.sums.iter().map(|sum| self.total(sum));
        let sections: Vec<_> = items.chain(totals).collect();
        let rows = || sections.iter().flat_map(|(_, rows)| rows);
        let width = |text: &String| text.chars().count();
        let left = rows().map(|(what, _)| width(what)).max().unwrap_or(0);
        let right = rows().map(|(_, amount)| width(amount)).max().unwrap_or(0);
        let mut out = format!("{}\n", self.title);
        for (heading, rows) in &sections {
            let _ = writeln!(out, "\n{heading}");
            for (what, amount) in rows {
                let row = format!("  {what:left$}   {amount:>right$}");
                let _ = writeln!(out, "{}", row.trim_end());
            }
        }
        let (mrr, arr) = (json!(self.mrr), json!(self.arr));
        let (mrr, arr) = (show::money(&mrr), show::money(&arr));
        let _ = writeln!(out, "\nMRR {mrr}   ARR {arr}");
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }

    fn total(&self, (currency, sum): &(Currency, Exact)) -> Section {
        let amount = |minor: i64| exact(&whole(minor), Some(currency));
        let rows = [
            ("all items a month, exactly", exact(sum, Some(currency))),
            ("MRR: rounded once, half up", amount(self.mrr.get(currency))),
            (
                "ARR: 12 × the exact month, rounded",
                amount(self.arr.get(currency)),
            ),
        ];
        let rows = rows.map(|(what, amount)| (what.to_owned(), amount));
        (format!("total  {}", currency.as_str()), rows.into())
    }
}

impl ItemExplained {
    fn section(&self) -> Section {
        let exact = |amount: &Exact| exact(amount, self.currency.as_ref());
        let steps = self.steps.iter();
        let mut rows: Vec<_> = steps
            .map(|(what, amount)| (what.clone(), amount.as_ref().map(exact).unwrap_or_default()))
            .collect();
        rows.push(("= a month".to_owned(), exact(&self.mrr)));
        (format!("{}  {}", self.id, self.price), rows)
    }
}
