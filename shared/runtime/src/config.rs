//! The functions' settings: read once at the start, from variables, all problems told together.
//!
//! Each function has its own struct with only what it needs. The readers take the variables as a
//! map, so that a test passes its own; only `main` passes [`environment`].

mod reader;

use std::collections::BTreeMap;

use secrecy::SecretString;

pub use self::reader::{ConfigError, Reader};
use crate::telemetry::LogFilter;

/// The variables of a process, by name.
pub type Variables = BTreeMap<String, String>;

/// The variables of this process. One that is not Unicode is left out, so it counts as missing.
#[must_use]
pub fn environment() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// What a process needs, read from its variables.
pub trait Config: Sized {
    /// Takes each out of the variables, and notes what is missing or wrong.
    fn take(reader: &mut Reader<'_>) -> Self;

    /// Reads all that the process needs, and nothing else.
    ///
    /// # Errors
    /// [`ConfigError`] with every variable that is missing or wrong.
    fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(variables);
        let config = Self::take(&mut reader);
        reader.finish(config)
    }
}

/// How to reach AWS: the region and credentials that Lambda gives each function, and for the local
/// stack where AWS is.
#[derive(Debug, Clone)]
pub struct AwsConfig {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ENDPOINT_URL`: another place for every service.
    pub endpoint_url: Option<String>,
    /// `AWS_ENDPOINT_URL_<SERVICE>`, by variable: another place for one service.
    pub service_endpoint_urls: BTreeMap<String, String>,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: SecretString,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<SecretString>,
}

impl AwsConfig {
    /// A configuration with every service at one URL, and credentials that no service checks.
    #[must_use]
    pub fn at_url(url: String) -> Self {
        Self {
            region: "eu-west-1".to_owned(),
            endpoint_url: Some(url),
            service_endpoint_urls: BTreeMap::new(),
            access_key_id: "example".to_owned(),
            secret_access_key: "example".into(),
            session_token: None,
        }
    }
}

impl Config for AwsConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        reader.aws()
    }
}

/// What the function `webhook` needs.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_QUEUE_URL`: the ingest queue.
    pub queue_url: String,
    /// `PAYGRAPH_SECRETS_PREFIX`: what the names of the secrets begin with.
    pub secrets_prefix: String,
    /// `PAYGRAPH_PLATFORM_TENANT`: whose events the platform's own account sends; `default`.
    pub platform_tenant: String,
}

impl Config for WebhookConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        Self {
            aws: reader.aws(),
            log: reader.log(),
            queue_url: reader.url("PAYGRAPH_QUEUE_URL"),
            secrets_prefix: reader.required("PAYGRAPH_SECRETS_PREFIX"),
            platform_tenant: reader.key_part("PAYGRAPH_PLATFORM_TENANT", "default"),
        }
    }
}

/// What the function `worker` needs.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_TABLE`: the table's name.
    pub table: String,
    /// `PAYGRAPH_EVENT_BUS`: the bus's name.
    pub event_bus: String,
    /// `PAYGRAPH_DLQ_URL`: where messages go that cannot be read, with their reason.
    pub dlq_url: String,
    /// `PAYGRAPH_LIVEMODE`: whether this deployment takes Stripe's live events, or the test ones.
    pub livemode: bool,
    /// Where Stripe's API is, and the keys for it.
    pub stripe: StripeConfig,
}

/// How Stripe's API is reached.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// `PAYGRAPH_STRIPE_URL`: another place for it.
    pub url: Option<String>,
    /// `PAYGRAPH_SECRETS_PREFIX`: what the names of the secrets begin with.
    pub secrets_prefix: String,
}

impl Config for WorkerConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        Self {
            aws: reader.aws(),
            log: reader.log(),
            table: reader.required("PAYGRAPH_TABLE"),
            event_bus: reader.required("PAYGRAPH_EVENT_BUS"),
            dlq_url: reader.url("PAYGRAPH_DLQ_URL"),
            livemode: reader.flag("PAYGRAPH_LIVEMODE"),
            stripe: reader.stripe(),
        }
    }
}

/// What the function `tick` needs.
#[derive(Debug, Clone)]
pub struct TickConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_TABLE`: the table's name.
    pub table: String,
    /// `PAYGRAPH_EVENT_BUS`: the bus's name.
    pub event_bus: String,
}

impl Config for TickConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        Self {
            aws: reader.aws(),
            log: reader.log(),
            table: reader.required("PAYGRAPH_TABLE"),
            event_bus: reader.required("PAYGRAPH_EVENT_BUS"),
        }
    }
}

/// What the function `reconcile` needs.
#[derive(Debug, Clone)]
pub struct ReconcileConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_TABLE`: the table's name.
    pub table: String,
    /// `PAYGRAPH_EVENT_BUS`: the bus's name.
    pub event_bus: String,
    /// `PAYGRAPH_JOBS_QUEUE_URL`: the queue from which it hands itself on.
    pub jobs_url: String,
    /// `PAYGRAPH_QUEUE_URL`: the ingest queue, for events that never came.
    pub queue_url: String,
    /// `PAYGRAPH_DLQ_URL`: where messages go that cannot be read, with their reason.
    pub dlq_url: String,
    /// `PAYGRAPH_LIVEMODE`: whether this deployment is about real money.
    pub livemode: bool,
    /// Where Stripe's API is, and the keys for it.
    pub stripe: StripeConfig,
    /// `PAYGRAPH_STRIPE_SHARE`: how much of Stripe's rate limits is used, in percent; 40.
    pub share: u32,
    /// `PAYGRAPH_PLATFORM_TENANT`: whose the platform's own account is; `default`.
    pub platform_tenant: String,
}

impl Config for ReconcileConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        const PERCENT: &str = "must be a number from 1 to 100";
        Self {
            aws: reader.aws(),
            log: reader.log(),
            table: reader.required("PAYGRAPH_TABLE"),
            event_bus: reader.required("PAYGRAPH_EVENT_BUS"),
            jobs_url: reader.url("PAYGRAPH_JOBS_QUEUE_URL"),
            queue_url: reader.url("PAYGRAPH_QUEUE_URL"),
            dlq_url: reader.url("PAYGRAPH_DLQ_URL"),
            livemode: reader.flag("PAYGRAPH_LIVEMODE"),
            stripe: reader.stripe(),
            share: reader.number("PAYGRAPH_STRIPE_SHARE", 40, 1..=100, PERCENT),
            platform_tenant: reader.key_part("PAYGRAPH_PLATFORM_TENANT", "default"),
        }
    }
}

/// What the function `api` needs.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_TABLE`: the table's name.
    pub table: String,
    /// `PAYGRAPH_QUEUE_URL`: the ingest queue, whose backlog is shown.
    pub queue_url: String,
    /// `PAYGRAPH_DLQ_URL`: its dead letters, counted beside it.
    pub dlq_url: String,
    /// `PAYGRAPH_EVENT_BUS`: the bus's name.
    pub event_bus: String,
    /// `PAYGRAPH_LIVEMODE`: whether live Stripe accounts are connected, or test ones.
    pub livemode: bool,
    /// Where Stripe's API is, and the keys for it.
    pub stripe: StripeConfig,
    /// `PAYGRAPH_STRIPE_CLIENT_ID`: the platform's, to connect accounts by OAuth.
    pub stripe_client_id: Option<String>,
    /// `PAYGRAPH_PUBLIC_URL`: what our own URLs begin with, if not with the host that is asked.
    pub public_url: Option<String>,
    /// `PAYGRAPH_JOBS_QUEUE_URL`: where imports are asked for.
    pub jobs_queue_url: String,
}

impl Config for ApiConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        Self {
            aws: reader.aws(),
            log: reader.log(),
            table: reader.required("PAYGRAPH_TABLE"),
            queue_url: reader.url("PAYGRAPH_QUEUE_URL"),
            dlq_url: reader.url("PAYGRAPH_DLQ_URL"),
            event_bus: reader.required("PAYGRAPH_EVENT_BUS"),
            livemode: reader.flag("PAYGRAPH_LIVEMODE"),
            stripe: reader.stripe(),
            stripe_client_id: reader.optional("PAYGRAPH_STRIPE_CLIENT_ID"),
            public_url: reader.optional_url("PAYGRAPH_PUBLIC_URL"),
            jobs_queue_url: reader.url("PAYGRAPH_JOBS_QUEUE_URL"),
        }
    }
}

/// What stands for a customer in GreenLight's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GreenlightEntity {
    /// The e-mail address.
    Email,
    /// The customer's id: no personal data.
    CustomerId,
}

/// What the function `greenlight` needs.
#[derive(Debug, Clone)]
pub struct GreenlightConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_TABLE`: the table's name.
    pub table: String,
    /// `PAYGRAPH_DLQ_URL`: where messages go that cannot be read, with their reason.
    pub dlq_url: String,
    /// `PAYGRAPH_INGEST_DLQ_URL`: the ingest queue's dead letters, where webhooks are that failed.
    pub ingest_dlq_url: String,
    /// `PAYGRAPH_SECRETS_PREFIX`: what the names of the secrets begin with; where NATS is is under
    /// `nats`.
    pub secrets_prefix: String,
    /// `PAYGRAPH_PLATFORM_TENANT`: whose the platform's own account is; `default`.
    pub platform_tenant: String,
    /// `PAYGRAPH_GREENLIGHT_ENTITY`: `email` (the default) or `customer_id`.
    pub entity: GreenlightEntity,
}

impl Config for GreenlightConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        const ENTITY: &str = "PAYGRAPH_GREENLIGHT_ENTITY";
        let entity = match reader.with_default(ENTITY, "email").as_str() {
            "email" => GreenlightEntity::Email,
            "customer_id" => GreenlightEntity::CustomerId,
            _ => {
                reader.problem(ENTITY, "must be email or customer_id");
                GreenlightEntity::CustomerId
            }
        };
        Self {
            aws: reader.aws(),
            log: reader.log(),
            table: reader.required("PAYGRAPH_TABLE"),
            dlq_url: reader.url("PAYGRAPH_DLQ_URL"),
            ingest_dlq_url: reader.url("PAYGRAPH_INGEST_DLQ_URL"),
            secrets_prefix: reader.required("PAYGRAPH_SECRETS_PREFIX"),
            platform_tenant: reader.key_part("PAYGRAPH_PLATFORM_TENANT", "default"),
            entity,
        }
    }
}

/// What the function `sequence` needs.
#[derive(Debug, Clone)]
pub struct SequenceConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_TABLE`: the table's name.
    pub table: String,
    /// `PAYGRAPH_EVENT_BUS`: the bus's name.
    pub event_bus: String,
    /// `PAYGRAPH_DLQ_URL`: where messages go that cannot be read, with their reason.
    pub dlq_url: String,
    /// `PAYGRAPH_ENABLE_SEQUENCES`: whether the example's sequences run for tenants without settings
    /// of their own; `false`, so that they are drafts.
    pub enable_examples: bool,
    /// `PAYGRAPH_UNSUBSCRIBE_URL`: what links to unsubscribe begin with; none: no e-mail is sent.
    pub unsubscribe_url: Option<String>,
    /// `PAYGRAPH_EMAIL_CONFIGURATION_SET`: SES's configuration set, which tells of bounces.
    pub email_configuration_set: Option<String>,
}

impl Config for SequenceConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        Self {
            aws: reader.aws(),
            log: reader.log(),
            table: reader.required("PAYGRAPH_TABLE"),
            event_bus: reader.required("PAYGRAPH_EVENT_BUS"),
            dlq_url: reader.url("PAYGRAPH_DLQ_URL"),
            enable_examples: reader.optional_flag("PAYGRAPH_ENABLE_SEQUENCES"),
            unsubscribe_url: reader.optional_url("PAYGRAPH_UNSUBSCRIBE_URL"),
            email_configuration_set: reader.optional("PAYGRAPH_EMAIL_CONFIGURATION_SET"),
        }
    }
}

/// What the function `alert` needs.
#[derive(Debug, Clone)]
pub struct AlertConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_TABLE`: the table's name.
    pub table: String,
    /// `PAYGRAPH_DLQ_URL`: where messages go that cannot be read, with their reason.
    pub dlq_url: String,
    /// `PAYGRAPH_SECRETS_PREFIX`: what the names of the secrets begin with; each tenant's Slack is
    /// under `slack/{tenant}`.
    pub secrets_prefix: String,
    /// `PAYGRAPH_ALERT_TOPIC_ARN`: the SNS topic that alerts are published to; none is no topic.
    pub topic_arn: Option<String>,
}

impl Config for AlertConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        const TOPIC: &str = "PAYGRAPH_ALERT_TOPIC_ARN";
        let topic_arn = reader.optional(TOPIC);
        if topic_arn
            .as_deref()
            .is_some_and(|arn| !arn.starts_with("arn:"))
        {
            reader.problem(TOPIC, "must begin with arn:");
        }
        Self {
            aws: reader.aws(),
            log: reader.log(),
            table: reader.required("PAYGRAPH_TABLE"),
            dlq_url: reader.url("PAYGRAPH_DLQ_URL"),
            secrets_prefix: reader.required("PAYGRAPH_SECRETS_PREFIX"),
            topic_arn,
        }
    }
}

/// What the function `crm` needs.
#[derive(Debug, Clone)]
pub struct CrmConfig {
    /// How to reach AWS.
    pub aws: AwsConfig,
    /// `PAYGRAPH_LOG`: what is logged.
    pub log: LogFilter,
    /// `PAYGRAPH_TABLE`: the table's name.
    pub table: String,
    /// `PAYGRAPH_EVENT_BUS`: the bus's name.
    pub event_bus: String,
    /// `PAYGRAPH_DLQ_URL`: where messages go that cannot be read, with their reason.
    pub dlq_url: String,
    /// `PAYGRAPH_SECRETS_PREFIX`: what the names of the secrets begin with; each tenant's Attio is
    /// under `attio/{tenant}`.
    pub secrets_prefix: String,
    /// `PAYGRAPH_CRM_WRITES`: how often one running function asks a tenant's CRM, a second; 8.
    pub writes_per_second: u32,
}

impl Config for CrmConfig {
    fn take(reader: &mut Reader<'_>) -> Self {
        const WRITES: &str = "must be a number from 1 to 1000";
        Self {
            aws: reader.aws(),
            log: reader.log(),
            table: reader.required("PAYGRAPH_TABLE"),
            event_bus: reader.required("PAYGRAPH_EVENT_BUS"),
            dlq_url: reader.url("PAYGRAPH_DLQ_URL"),
            secrets_prefix: reader.required("PAYGRAPH_SECRETS_PREFIX"),
            writes_per_second: reader.number("PAYGRAPH_CRM_WRITES", 8, 1..=1_000, WRITES),
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
