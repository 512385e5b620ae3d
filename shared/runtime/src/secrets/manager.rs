//! Secrets from AWS Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use secrecy::{ExposeSecret as _, SecretString};

use super::{SecretKeeper, SecretSource, SecretsError};

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

    fn id(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }
}

impl SecretSource for SecretsManager {
    async fn fetch(&self, name: &str) -> Result<Option<SecretString>, SecretsError> {
        let fetched = self.client.get_secret_value().secret_id(self.id(name));
        match fetched.send().await {
            Ok(found) => match found.secret_string {
                Some(text) => Ok(Some(text.into())),
                None => Err(SecretsError("the secret has no text".into())),
            },
            Err(error) if does_not_exist(&error) => Ok(None),
            Err(error) => Err(SecretsError(error.into())),
        }
    }
}

impl SecretKeeper for SecretsManager {
    async fn put(&self, name: &str, secret: &SecretString) -> Result<(), SecretsError> {
        let put = self.client.put_secret_value().secret_id(self.id(name));
        let put = put.secret_string(secret.expose_secret()).send().await;
        match put {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutSecretValueError::is_resource_not_found_exception) =>
            {
                if self.create(name, secret).await? {
                    Ok(())
                } else {
                    Err(SecretsError(
                        "somebody else made the secret just now".into(),
                    ))
                }
            }
            Err(error) => Err(SecretsError(error.into())),
        }
    }

    async fn create(&self, name: &str, secret: &SecretString) -> Result<bool, SecretsError> {
        let create = self.client.create_secret().name(self.id(name));
        match create.secret_string(secret.expose_secret()).send().await {
            Ok(_) => Ok(true),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(CreateSecretError::is_resource_exists_exception) =>
            {
                Ok(false)
            }
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
