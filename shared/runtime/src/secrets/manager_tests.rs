use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::types::error::{
    InternalServiceError, InvalidRequestException, ResourceNotFoundException,
};
use aws_smithy_mocks::{Rule, mock, mock_client};
use secrecy::ExposeSecret;

use super::*;

async fn fetch(rule: &Rule) -> Result<Option<String>, SecretsError> {
    let client = mock_client!(aws_sdk_secretsmanager, [rule]);
    let source = SecretsManager::new(client, "paygraph/prod");
    let secret = source.fetch("webhook/platform").await?;
    Ok(secret.map(|secret| secret.expose_secret().to_owned()))
}

#[tokio::test]
async fn a_secret_is_found_by_prefix_and_name() {
    let rule = mock!(Client::get_secret_value)
        .match_requests(|input| input.secret_id() == Some("paygraph/prod/webhook/platform"))
        .then_output(|| GetSecretValueOutput::builder().secret_string("{}").build());
    assert_eq!(fetch(&rule).await.unwrap().as_deref(), Some("{}"));
    assert_eq!(rule.num_calls(), 1);
}

#[tokio::test]
async fn a_secret_that_is_missing_or_marked_for_deletion_does_not_exist() {
    let missing = mock!(Client::get_secret_value).then_error(|| {
        GetSecretValueError::ResourceNotFoundException(ResourceNotFoundException::builder().build())
    });
    assert_eq!(fetch(&missing).await.unwrap(), None);
    let deleted = mock!(Client::get_secret_value).then_error(|| {
        GetSecretValueError::InvalidRequestException(InvalidRequestException::builder().build())
    });
    assert_eq!(fetch(&deleted).await.unwrap(), None);
}

#[tokio::test]
async fn trouble_and_binary_secrets_are_errors() {
    let trouble = mock!(Client::get_secret_value).then_error(|| {
        GetSecretValueError::InternalServiceError(InternalServiceError::builder().build())
    });
    assert!(fetch(&trouble).await.is_err());
    let binary =
        mock!(Client::get_secret_value).then_output(|| GetSecretValueOutput::builder().build());
    assert!(fetch(&binary).await.is_err());
}
