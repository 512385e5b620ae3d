//! `subscription_schedule.*`

use paygraph_domain::fact::Body;
use paygraph_domain::id::StripeId;
use paygraph_domain::objects::schedule::{Phase, Schedule, Status};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::catalog::PriceWire;
use super::{Decoded, Hint};
use crate::event::ObjectError;
use crate::wire::{Expandable, Ref, customer, id, time};

#[derive(Deserialize)]
struct ScheduleWire {
    id: String,
    customer: Option<Ref>,
    status: Option<String>,
    subscription: Option<Ref>,
    phases: Option<Vec<PhaseWire>>,
}

#[derive(Deserialize)]
struct PhaseWire {
    start_date: Option<i64>,
    #[serde(alias = "plans")]
    items: Option<Vec<PhaseItem>>,
}

#[derive(Deserialize)]
struct PhaseItem {
    price: Option<Expandable<PriceWire>>,
    plan: Option<Expandable<PriceWire>>,
}

impl PhaseItem {
    fn price(&self) -> Result<Option<StripeId>, ObjectError> {
        match self.price.as_ref().or(self.plan.as_ref()) {
            Some(Expandable::Id(id)) => Ok(Some(StripeId::parse(id.as_str())?)),
            Some(Expandable::Object(price)) => price.id().map(Some),
            None => Ok(None),
        }
    }
}

pub(super) fn event(raw: &RawValue, _: &Hint<'_>) -> Result<Option<Decoded>, ObjectError> {
    let wire: ScheduleWire = serde_json::from_str(raw.get())?;
    let mut phases = Vec::new();
    for phase in wire.phases.unwrap_or_default() {
        let items = phase.items.unwrap_or_default();
        let prices = items.iter().filter_map(|item| item.price().transpose());
        let prices = prices.collect::<Result<Vec<_>, _>>()?;
        if let Some(start) = time(phase.start_date) {
            phases.push(Phase { start, prices });
        }
    }
    let schedule = Schedule {
        id: StripeId::parse(wire.id)?,
        status: Status::from(wire.status.unwrap_or_default()),
        subscription: id(wire.subscription.as_ref())?,
        phases,
    };
    let customer = customer(wire.customer.as_ref())?;
    Ok(Some(Decoded {
        customer,
        body: Body::Schedule(schedule),
    }))
}
