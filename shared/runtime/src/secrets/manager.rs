//! Secrets from AWS Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use secrecy::SecretString;

use super::{SecretSource, SecretsError};

/// The current version of each secret, by `{prefix}/{name}`.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    prefix: String,
}

impl SecretsManager {
    /// Secrets whose names begin with this prefix, as in `paygraph/prod`.
    pub fn new(client: Client, prefix: impl Into<String>) -> Self {
        Self {
            client,
            prefix: prefix.into(),
        }
    }
}

impl SecretSource for SecretsManager {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        let id = format!("{}/{name}", self.prefix);
        match self.client.get_secret_value().secret_id(id).send().await {
            Ok(found) => match found.secret_string {
                Some(text) => Ok(Some(text.into())),
                None => Err(SecretsError("the secret has no text".into())),
            },
            Err(error) if does_not_exist(&error) => Ok(None),
            Err(error) => Err(SecretsError(error.into())),
        }
    }
}

/// A secret that is marked for deletion answers with `InvalidRequestException`: it is gone as well
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).
fn does_not_exist<R>(error: &SdkError<GetSecretValueError, R>) -> bool {
    error.as_service_error().is_some_and(|error| {
        error.is_resource_not_found_exception() || error.is_invalid_request_exception()
    })
}

#[cfg(test)]
#[path = "manager_tests.rs"]
mod tests;
