//! The way to AWS: one HTTP client, the function's own credentials, time-outs and retries.
//!
//! Made by hand instead of by `aws-config`: Lambda always passes region and credentials in the
//! environment, so that no other source needs to be linked or asked, which keeps the binaries
//! small and their start fast. TLS is rustls with ring, the smallest of the choices; its root
//! certificates are read at the first connection.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::sdk_config::SharedHttpClient;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use secrecy::ExposeSecret;

use crate::config::AwsConfig;

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one attempt may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a call may take with its retries: less than any function's own time-out.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);
/// The first attempt and two more.
const MAX_ATTEMPTS: u32 = 3;

/// Where single services are, by the names that the SDKs use: `AWS_ENDPOINT_URL_DYNAMODB`, ….
#[derive(Debug)]
struct ServiceEndpoints(std::collections::BTreeMap<String, String>);

impl LoadServiceConfig for ServiceEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        let service = key.service_id().to_uppercase().replace([' ', '-'], "_");
        self.0.get(&format!("AWS_ENDPOINT_URL_{service}")).cloned()
    }
}

/// What every client of an AWS service is made from: `aws_sdk_sqs::Client::new(&config)`. Nothing
/// is sent yet.
#[must_use]
pub fn sdk_config(config: &AwsConfig) -> SdkConfig {
    let credentials = Credentials::new(
        config.access_key_id.clone(),
        config.secret_access_key.expose_secret(),
        config
            .session_token
            .as_ref()
            .map(|token| token.expose_secret().to_owned()),
        None,
        "environment",
    );
    let mut builder = SdkConfig::builder()
        .region(Region::new(config.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
        .http_client(http_client(config));
    if let Some(url) = &config.endpoint_url {
        builder = builder.endpoint_url(url);
    }
    if !config.service_endpoint_urls.is_empty() {
        builder = builder.service_config(ServiceEndpoints(config.service_endpoint_urls.clone()));
    }
    builder.build()
}

/// One for all clients, so that they share their connections. When every service is at a plain
/// `http://` place, as on the local stack, no certificates are read.
fn http_client(config: &AwsConfig) -> SharedHttpClient {
    let plain = |url: &String| url.starts_with("http://");
    if config.endpoint_url.as_ref().is_some_and(plain)
        && config.service_endpoint_urls.values().all(plain)
    {
        return Builder::new().build_http();
    }
    Builder::new()
        .tls_provider(Provider::rustls(CryptoMode::Ring))
        .build_https()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Variables;

    #[test]
    fn services_are_where_the_variables_say() {
        let variables = Variables::from(
            [
                ("AWS_REGION", "eu-west-1"),
                ("AWS_ACCESS_KEY_ID", "a"),
                ("AWS_SECRET_ACCESS_KEY", "b"),
                ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
                ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let config = sdk_config(&AwsConfig::read(&variables).unwrap());
        assert_eq!(config.endpoint_url(), Some("http://127.0.0.1:4566"));
        assert_eq!(config.region().map(Region::as_ref), Some("eu-west-1"));
        let place = |service: &str| {
            let key = ServiceConfigKey::builder()
                .service_id(service)
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url")
                .build()
                .unwrap();
            config.service_config().unwrap().load_config(key)
        };
        assert_eq!(
            place("Secrets Manager").as_deref(),
            Some("http://127.0.0.1:9")
        );
        assert_eq!(place("SQS"), None);
    }
}
