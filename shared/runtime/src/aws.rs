//! The way to AWS: one HTTP client, the function's own credentials, time-outs and retries.
//!
//! Made by hand instead of by `aws-config`: Lambda always passes region and credentials in the
//! environment, so that no other source needs to be linked or asked, which keeps the binaries
//! small and their start fast. TLS is rustls with ring, the smallest of the choices. It believes
//! AWS's own certificate authorities, which are few and part of the binary: reading the system's
//! hundred and fifty took most of a start.

#[cfg(feature = "signed")]
pub mod signed;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
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
/// The authorities of AWS's certificates.
const AWS_ROOTS: &[u8] = include_bytes!("aws/roots.pem");
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
    let mut builder = SdkConfig::builder()
        .region(Region::new(config.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials(config)))
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

/// The function's own credentials.
fn credentials(config: &AwsConfig) -> Credentials {
    let token = config.session_token.as_ref();
    Credentials::new(
        config.access_key_id.clone(),
        config.secret_access_key.expose_secret(),
        token.map(|token| token.expose_secret().to_owned()),
        None,
        "environment",
    )
}

/// One for all clients, so that they share their connections.
fn http_client(config: &AwsConfig) -> SharedHttpClient {
    let trust = match trust(config) {
        Trust::NoTls => return Builder::new().build_http(),
        Trust::Aws => TrustStore::empty().with_pem_certificate(AWS_ROOTS),
        Trust::System => TrustStore::default(),
    };
    let mut builder = Builder::new().tls_provider(Provider::rustls(CryptoMode::Ring));
    if let Ok(context) = TlsContext::builder().with_trust_store(trust).build() {
        builder = builder.tls_context(context);
    }
    builder.build_https()
}

/// Whose certificates are believed.
#[derive(Debug, PartialEq, Eq)]
enum Trust {
    /// Nobody's: every service is at a plain `http://` place, as on the local stack.
    NoTls,
    /// AWS's own authorities', since every service is AWS's.
    Aws,
    /// Whomever the system trusts: somewhere a proxy or another place is in between, or a
    /// partition with other authorities.
    System,
}

fn trust(config: &AwsConfig) -> Trust {
    let places = || {
        let others = config.service_endpoint_urls.values();
        config.endpoint_url.iter().chain(others)
    };
    if config.endpoint_url.is_some() && places().all(|url| url.starts_with("http://")) {
        return Trust::NoTls;
    }
    let secure = |url: &&String| url.starts_with("https://");
    if places().filter(secure).all(|url| is_aws(url)) && !config.region.starts_with("cn-") {
        Trust::Aws
    } else {
        Trust::System
    }
}

fn is_aws(url: &str) -> bool {
    let host = url.trim_start_matches("https://");
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host.ends_with(".amazonaws.com") || host.ends_with(".api.aws")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Variables};

    fn config(region: &str, places: &[(&str, &str)]) -> AwsConfig {
        let fixed = [
            ("AWS_REGION", region),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
        ];
        let all = fixed.iter().chain(places);
        let all = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        AwsConfig::read(&Variables::from_iter(all)).unwrap()
    }

    #[test]
    fn only_aws_itself_is_trusted_for_awss_places() {
        let aws = (
            "AWS_ENDPOINT_URL_SQS",
            "https://sqs.eu-west-1.amazonaws.com/",
        );
        let proxy = (
            "AWS_ENDPOINT_URL_SQS",
            "https://amazonaws.com.proxy.example",
        );
        let local = ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566");
        let cases: [(&str, &[_], _); 6] = [
            ("eu-west-1", &[], Trust::Aws),
            ("eu-west-1", &[aws], Trust::Aws),
            ("cn-north-1", &[], Trust::System),
            ("eu-west-1", &[proxy], Trust::System),
            ("eu-west-1", &[local], Trust::NoTls),
            ("eu-west-1", &[local, aws], Trust::Aws),
        ];
        for (region, places, expected) in cases {
            assert_eq!(trust(&config(region, places)), expected, "{places:?}");
        }
    }

    #[test]
    fn the_authorities_of_aws_are_readable() {
        let _ = http_client(&config("eu-west-1", &[]));
        let text = std::str::from_utf8(AWS_ROOTS).unwrap();
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 5);
    }

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
