use aws_sdk_secretsmanager::operation::create_secret::CreateSecretOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueOutput;
use aws_sdk_secretsmanager::types::error::{
    InternalServiceError, InvalidRequestException, ResourceExistsException,
    ResourceNotFoundException,
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

fn keeper(rules: &[&Rule]) -> SecretsManager {
    let client = mock_client!(
        aws_sdk_secretsmanager,
        aws_smithy_mocks::RuleMode::MatchAny,
        rules
    );
    SecretsManager::new(client, "paygraph/prod")
}

const NAME: &str = "stripe/acme";
const ID: &str = "paygraph/prod/stripe/acme";

#[tokio::test]
async fn a_secret_is_put_over_the_old_one() {
    let put = mock!(Client::put_secret_value)
        .match_requests(|input| {
            input.secret_id() == Some(ID) && input.secret_string() == Some("new")
        })
        .then_output(|| PutSecretValueOutput::builder().build());
    keeper(&[&put]).put(NAME, &"new".into()).await.unwrap();
    assert_eq!(put.num_calls(), 1);
}

#[tokio::test]
async fn a_first_secret_is_created() {
    let put = mock!(Client::put_secret_value).then_error(|| {
        PutSecretValueError::ResourceNotFoundException(ResourceNotFoundException::builder().build())
    });
    let create = mock!(Client::create_secret)
        .match_requests(|input| input.name() == Some(ID) && input.secret_string() == Some("new"))
        .then_output(|| CreateSecretOutput::builder().build());
    let keeper = keeper(&[&put, &create]);
    keeper.put(NAME, &"new".into()).await.unwrap();
    assert_eq!((put.num_calls(), create.num_calls()), (1, 1));
}

#[tokio::test]
async fn what_is_there_is_not_created_over() {
    let create = mock!(Client::create_secret).then_error(|| {
        CreateSecretError::ResourceExistsException(ResourceExistsException::builder().build())
    });
    let created = keeper(&[&create]).create(NAME, &"new".into()).await;
    assert!(!created.unwrap());
}
