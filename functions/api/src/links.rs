//! Who is who: putting a contact, linking by hand, merging, and what waits for somebody to look.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lambda_http::{Body, Response};
use paygraph_domain::contact::Profile;
use paygraph_domain::id::{Cause, CustomerId, StripeCustomerId, TenantId};
use paygraph_domain::identity::Name;
use paygraph_engine::Deadline;
use paygraph_engine::identity::{Changed, IdentityError, Request};
use paygraph_engine::ports::{Clock, Publisher, Store as _};
use paygraph_engine::process::Engine;
use paygraph_engine::publish::publish;
use paygraph_engine::user::Users as _;
use paygraph_runtime::telemetry::Chain;
use paygraph_store::DynamoStore;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::answer::{ApiError, ok};
use crate::customer::{Ask, Part};

/// How long a change may take.
const TIME: Duration = Duration::from_secs(10);
/// The most characters of a name or address.
const MAX_TEXT: usize = 500;
/// The most traits of a contact.
const MAX_TRAITS: usize = 50;
/// The most users or workspaces of one request.
const MAX_NAMES: usize = 50;

/// Somebody who may change who is who.
pub struct Change<'a, C, P> {
    /// Load, apply, commit.
    pub engine: &'a Engine<DynamoStore, C>,
    /// The bus.
    pub publisher: &'a P,
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// The request's id.
    pub request_id: &'a str,
}

impl<C: Clock, P: Publisher> Change<'_, C, P> {
    /// `PUT /api/customers/{id}`: merges the given fields into the contact, or makes it.
    pub async fn put(&self, id: &str, body: &[u8]) -> Result<Response<Body>, ApiError> {
        let id = customer_id(id)?;
        let given = Given::read(body)?;
        let (cause, deadline) = (self.cause()?, Deadline::after(TIME));
        let request = self.request(&cause, deadline);
        self.done(self.engine.put_profile(&request, &id, &given).await)
            .await
    }

    /// `POST /api/stripe/links`: links a Stripe customer to a contact, for good.
    pub async fn link(&self, body: &[u8]) -> Result<Response<Body>, ApiError> {
        let Link {
            stripe_customer_id: customer,
            customer_id,
        } = read(body)?;
        let (cause, deadline) = (self.cause()?, Deadline::after(TIME));
        let request = self.request(&cause, deadline);
        let linked = self.engine.link(&request, &customer, Some(&customer_id));
        self.done(linked.await).await
    }

    /// `DELETE /api/stripe/links/{cus}`: gives a Stripe customer a contact of its own back.
    pub async fn unlink(&self, customer: &str) -> Result<Response<Body>, ApiError> {
        let customer = StripeCustomerId::parse(customer)
            .map_err(|error| ApiError::Invalid(error.to_string()))?;
        let (cause, deadline) = (self.cause()?, Deadline::after(TIME));
        let request = self.request(&cause, deadline);
        self.done(self.engine.link(&request, &customer, None).await)
            .await
    }

    /// `POST /api/customers/{id}/merge`: merges a contact into another.
    pub async fn merge(&self, id: &str, body: &[u8]) -> Result<Response<Body>, ApiError> {
        let id = customer_id(id)?;
        let Merge { into } = read(body)?;
        let (cause, deadline) = (self.cause()?, Deadline::after(TIME));
        let request = self.request(&cause, deadline);
        self.done(self.engine.merge(&request, &id, &into).await)
            .await
    }

    fn cause(&self) -> Result<Cause, ApiError> {
        Cause::parse(format!("api:{}", self.request_id))
            .map_err(|error| ApiError::Invalid(error.to_string()))
    }

    fn request<'r>(&'r self, cause: &'r Cause, deadline: Deadline) -> Request<'r> {
        Request {
            tenant: self.tenant,
            cause,
            deadline,
        }
    }

    /// Publishes what a change tells, and shows the contact.
    async fn done(
        &self,
        changed: Result<Changed, IdentityError>,
    ) -> Result<Response<Body>, ApiError> {
        let changed = changed?;
        let mut entries = changed.earlier;
        entries.extend(changed.entry);
        if let Err(error) = publish(&self.engine.store, self.publisher, &entries).await {
            // It is committed, and waits for the minute's sweep.
            tracing::warn!(code = "not_noted", error = %Chain(&error), "A publication could not be noted");
        }
        Ask {
            store: &self.engine.store,
            tenant: self.tenant,
            id: changed.contact.id.as_str(),
            now: self.engine.clock.now(),
        }
        .record()
        .await
    }
}

/// `GET /api/stripe/unmatched`: Stripe customers that somebody should look at.
pub async fn unmatched(
    store: &DynamoStore,
    tenant: &TenantId,
    part: &Part,
) -> Result<Response<Body>, ApiError> {
    let (limit, cursor) = part.read()?;
    let page = store.reviews(tenant, cursor.as_ref(), limit).await?;
    let shown = page.entries.iter().map(|(customer, review)| {
        json!({
            "stripe_customer_id": customer,
            "reason": match review.by {
                Some(by) => json!({ "several_with_the_same": by }),
                None => json!("no_match"),
            },
            "candidates": review.candidates,
            "since": review.since.to_string(),
        })
    });
    let shown: Vec<_> = shown.collect();
    ok(&json!({ "data": shown, "next_cursor": page.next.map(|cursor| cursor.encode()) }))
}

/// `GET /api/workspaces/{id}`: the contacts that have it.
pub async fn workspace(
    store: &DynamoStore,
    tenant: &TenantId,
    id: String,
) -> Result<Response<Body>, ApiError> {
    let missing = ApiError::NotFound(format!("workspace {id}"));
    let contacts = store.named(tenant, &Name::Workspace(id)).await?;
    if contacts.is_empty() {
        return Err(missing);
    }
    ok(&json!({ "data": listed(&contacts) }))
}

/// `GET /api/users/{id}`: the contacts that the user works in, and what product events told of the
/// user.
pub async fn user(
    store: &DynamoStore,
    tenant: &TenantId,
    id: String,
) -> Result<Response<Body>, ApiError> {
    let known = store.user(tenant, &id).await?;
    let contacts = store.named(tenant, &Name::User(id.clone())).await?;
    if contacts.is_empty() && known.is_none() {
        return Err(ApiError::NotFound(format!("user {id}")));
    }
    let user = known.map(|user| {
        json!({
            "id": user.id,
            "name": user.name,
            "email": user.email,
            "traits": user.traits,
            "workspaces": user.workspaces,
            "last_seen_at": user.last_seen.map(|seen| seen.to_string()),
        })
    });
    ok(&json!({ "data": listed(&contacts), "user": user }))
}

fn listed(contacts: &[CustomerId]) -> Vec<Value> {
    let shown = contacts.iter().map(|id| json!({ "customer_id": id }));
    shown.collect()
}

fn customer_id(text: &str) -> Result<CustomerId, ApiError> {
    CustomerId::parse(text).map_err(|error| ApiError::Invalid(error.to_string()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::Invalid(format!("the body cannot be read: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    stripe_customer_id: StripeCustomerId,
    customer_id: CustomerId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Merge {
    into: CustomerId,
}

/// The body of a put.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    name: Option<String>,
    email: Option<String>,
    company: Option<String>,
    domain: Option<String>,
    #[serde(default)]
    users: BTreeSet<String>,
    #[serde(default)]
    workspaces: BTreeSet<String>,
    #[serde(default)]
    traits: BTreeMap<String, Value>,
}

impl Given {
    fn read(body: &[u8]) -> Result<Profile, ApiError> {
        let given: Self = read(body)?;
        for (field, text) in [
            ("name", &given.name),
            ("email", &given.email),
            ("company", &given.company),
            ("domain", &given.domain),
        ] {
            let too_long = |text: &String| text.chars().count() > MAX_TEXT;
            if text.as_ref().is_some_and(too_long) {
                let problem = format!("{field} has more than {MAX_TEXT} characters");
                return Err(ApiError::Invalid(problem));
            }
        }
        if let Some(email) = &given.email
            && Name::email(email).is_none()
        {
            return Err(ApiError::Invalid("email is no e-mail address".to_owned()));
        }
        for (field, names) in [("users", &given.users), ("workspaces", &given.workspaces)] {
            let fits = names.len() <= MAX_NAMES
                && names
                    .iter()
                    .all(|name| CustomerId::parse(name.as_str()).is_ok());
            if !fits {
                return Err(ApiError::Invalid(format!(
                    "{field} must be at most {MAX_NAMES} ids of at most 255 bytes, without '#'"
                )));
            }
        }
        check_traits(&given.traits)?;
        Ok(Profile {
            name: given.name,
            email: given.email,
            company: given.company,
            domain: given.domain,
            users: given.users,
            workspaces: given.workspaces,
            traits: given.traits,
        })
    }
}

fn check_traits(traits: &BTreeMap<String, Value>) -> Result<(), ApiError> {
    if traits.len() > MAX_TRAITS {
        let problem = format!("there are more than {MAX_TRAITS} traits");
        return Err(ApiError::Invalid(problem));
    }
    for (name, value) in traits {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(ApiError::Invalid(format!(
                "trait {name:?}: a name has 1 to 64 letters, digits and _"
            )));
        }
        let fits = match value {
            Value::String(text) => text.chars().count() <= MAX_TEXT,
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
            Value::Array(_) | Value::Object(_) => false,
        };
        if !fits {
            return Err(ApiError::Invalid(format!(
                "trait {name:?} must be a text of at most {MAX_TEXT} characters, a number, true, \
                 false, or null to remove it"
            )));
        }
    }
    Ok(())
}
