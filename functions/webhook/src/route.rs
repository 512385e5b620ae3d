//! Which secrets may verify a request follows from its path, and from nothing else.

use paygraph_domain::id::TenantId;

use crate::gateway::Request;
use crate::refusal::Refusal;

const PLATFORM_PATH: &str = "/api/integrations/stripe/webhook";
const MAX_TENANT_BYTES: usize = 64;

/// Whose endpoint was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The platform's: its own account's events and those of connected accounts.
    Platform,
    /// One tenant's.
    Tenant(TenantId),
}

impl Route {
    /// The name of the secret, after the prefix.
    #[must_use]
    pub fn secret_name(&self) -> String {
        match self {
            Self::Platform => "webhook/platform".to_owned(),
            Self::Tenant(tenant) => format!("webhook/tenant/{tenant}"),
        }
    }

    /// The route of a request.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such path, another method is used, or no tenant can have the
    /// name in the path.
    pub fn of(request: &Request) -> Result<Self, Refusal> {
        let tenant = tenant_under(request, PLATFORM_PATH).ok_or(Refusal::NotFound)??;
        Ok(tenant.map_or(Self::Platform, Self::Tenant))
    }
}

/// The tenant that the path of a request names under another; none when it is not under it. The
/// path itself names none.
pub(crate) fn tenant_under(
    request: &Request,
    path: &str,
) -> Option<Result<Option<TenantId>, Refusal>> {
    let rest = request.path().strip_prefix(path)?;
    let tenant = match rest.strip_prefix('/') {
        None if rest.is_empty() => None,
        Some(tenant) if !tenant.is_empty() && !tenant.contains('/') => Some(tenant),
        None | Some(_) => return None,
    };
    if request.method() != "POST" {
        return Some(Err(Refusal::Method));
    }
    let known = |name| tenant_id(name).ok_or(Refusal::UnknownTenant);
    Some(tenant.map(known).transpose())
}

/// What Secrets Manager takes in a name, without the slash.
fn tenant_id(name: &str) -> Option<TenantId> {
    let fits = name.len() <= MAX_TENANT_BYTES
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_+=.@-".contains(&byte));
    if fits {
        TenantId::parse(name).ok()
    } else {
        None
    }
}
