//! API tokens: random, bound to a tenant, and kept only as a hash.

use paygraph_domain::id::TenantId;
use paygraph_domain::time::Timestamp;
use paygraph_engine::ports::StoreError;
use sha2::{Digest, Sha256};

use crate::item::{get_text, keyed, text};
use crate::key;
use crate::store::{DynamoStore, call_failed, failed};

/// What every token begins with.
const PREFIX: &str = "pgt_";
/// Random bytes of a token.
const RANDOM_BYTES: usize = 16;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read customers.
    Read,
    /// Put customers.
    Write,
}

/// A token that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The tenant that it is for.
    pub tenant: TenantId,
    /// What it may do.
    pub rights: Vec<Right>,
}

/// The hash by which a token is found.
#[must_use]
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// The tenant that a token names, if it has a token's form.
#[must_use]
pub fn tenant_of(token: &str) -> Option<TenantId> {
    let (tenant, random) = token.strip_prefix(PREFIX)?.rsplit_once('_')?;
    (random.len() == RANDOM_BYTES * 2)
        .then(|| TenantId::parse(tenant).ok())
        .flatten()
}

impl DynamoStore {
    /// Makes a token and keeps its hash. The token itself is told only here.
    ///
    /// # Errors
    /// [`StoreError`] when there is no randomness or the table refuses.
    pub async fn create_token(
        &self,
        tenant: &TenantId,
        name: &str,
        rights: &[Right],
        now: Timestamp,
    ) -> Result<String, StoreError> {
        let mut random = [0_u8; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|error| failed("making a token", false, error))?;
        let token = format!("{PREFIX}{tenant}_{}", hex::encode(random));
        let mut item = keyed(key::token(tenant, &hash(&token)), "TOKEN");
        item.insert("tenant".to_owned(), text(tenant.as_str()));
        item.insert("name".to_owned(), text(name));
        item.insert("created_at".to_owned(), text(now.to_string()));
        let rights = rights.iter().map(|right| text(word(*right))).collect();
        item.insert(
            "rights".to_owned(),
            aws_sdk_dynamodb::types::AttributeValue::L(rights),
        );
        let put = self
            .client()
            .put_item()
            .table_name(self.table())
            .set_item(Some(item));
        put.send()
            .await
            .map_err(|error| call_failed("keeping a token", error))?;
        Ok(token)
    }

    /// What a token grants; none when it is not known.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be read.
    pub async fn grant(&self, token: &str) -> Result<Option<Grant>, StoreError> {
        let Some(tenant) = tenant_of(token) else {
            return Ok(None);
        };
        let Some(item) = self.get(key::token(&tenant, &hash(token)), "TOKEN").await? else {
            return Ok(None);
        };
        if get_text(&item, "tenant") != Some(tenant.as_str()) {
            return Ok(None);
        }
        let words = item.get("rights").and_then(|rights| rights.as_l().ok());
        let known = |word: &str| {
            [Right::Read, Right::Write]
                .into_iter()
                .find(|r| self::word(*r) == word)
        };
        let rights = words
            .into_iter()
            .flatten()
            .filter_map(|w| w.as_s().ok())
            .filter_map(|w| known(w));
        Ok(Some(Grant {
            tenant,
            rights: rights.collect(),
        }))
    }
}

fn word(right: Right) -> &'static str {
    match right {
        Right::Read => "read",
        Right::Write => "write",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_tenant() {
        let token = format!("pgt_acme_eu_{}", "0".repeat(32));
        assert_eq!(tenant_of(&token), Some(TenantId::parse("acme_eu").unwrap()));
        for bad in [
            "",
            "pgt_",
            "pgt_acme_",
            "acme_00",
            "pgt_acme_123",
            "pgt_a#b_0123",
        ] {
            assert_eq!(tenant_of(bad), None, "{bad}");
        }
    }
}
