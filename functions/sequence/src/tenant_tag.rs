//! The tenant as tags of an e-mail: SES tells them with each bounce and complaint.
//!
//! A tag's value has at most 256 characters, and only ASCII letters, digits, `_` and `-`; SES refuses
//! the whole e-mail otherwise. A tenant's id has at most 255 bytes, and nearly any character.
//! <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html>

use std::collections::BTreeMap;

use paygraph_domain::id::TenantId;
use serde_json::Value;

/// The tag of an id that is a value as it is.
const PLAIN: &str = "tenant";
/// What the tags of any other id begin with, then the number of the part. An id has up to three.
const ENCODED: &str = "tenant_encoded_";
/// The most characters of a value.
const MAX_VALUE: usize = 256;
/// The digits of an escaped byte.
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The tags of a tenant, as names and values.
pub(crate) fn tags(tenant: &TenantId) -> Vec<(String, String)> {
    let id = tenant.as_str();
    if id.bytes().all(|byte| is_plain(byte) || byte == b'_') {
        return vec![(PLAIN.to_owned(), id.to_owned())];
    }
    let mut parts = vec![String::new()];
    for escaped in id.bytes().map(escape) {
        if parts
            .last()
            .is_some_and(|part| part.len() + escaped.len() > MAX_VALUE)
        {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(&escaped);
        }
    }
    let parts = parts.into_iter().enumerate();
    parts
        .map(|(number, part)| (format!("{ENCODED}{number}"), part))
        .collect()
}

/// The tenant of an e-mail's tags, as SES tells them: each with a list of values, of which ours has one.
pub(crate) fn tenant(tags: &BTreeMap<String, Value>) -> Option<TenantId> {
    let value = |name: &str| tags.get(name)?.get(0)?.as_str();
    if let Some(plain) = value(PLAIN) {
        return TenantId::parse(plain).ok();
    }
    let parts = (0..).map_while(|number: usize| value(&format!("{ENCODED}{number}")));
    let bytes = parts.map(unescape).collect::<Option<Vec<_>>>()?.concat();
    TenantId::parse(String::from_utf8(bytes).ok()?).ok()
}

/// Whether a byte stands for itself in an encoded id. `_` begins an escape.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

fn escape(byte: u8) -> String {
    if is_plain(byte) {
        return char::from(byte).to_string();
    }
    let digit = |nibble: u8| {
        HEX.get(usize::from(nibble))
            .copied()
            .map_or('0', char::from)
    };
    ['_', digit(byte >> 4), digit(byte & 15)].iter().collect()
}

fn unescape(part: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            byte => byte,
        });
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    let value = HEX.iter().position(|digit| *digit == byte)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Whether SES takes a tag.
    fn is_taken((name, value): &(String, String)) -> bool {
        [name, value].into_iter().all(|text| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            (1..=256).contains(&text.len()) && text.chars().all(plain)
        })
    }

    fn assert_comes_back(id: &str) {
        let of = TenantId::parse(id).unwrap();
        let tags = tags(&of);
        assert!(tags.iter().all(is_taken) && tags.len() <= 3, "{tags:?}");
        let told = tags.into_iter().map(|(name, value)| (name, json!([value])));
        assert_eq!(tenant(&told.collect()), Some(of));
    }

    /// A3: every character that an id may have, alone and among others.
    #[test]
    fn a3_every_character_of_a_tenant_id_is_taken_and_comes_back() {
        let characters = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        let allowed: Vec<_> = characters
            .filter(|c| *c != '#' && !c.is_control())
            .collect();
        // Outer spaces are not allowed, and 60 characters have at most 240 bytes.
        for some in allowed.chunks(60) {
            assert_comes_back(&format!("a{}b", some.iter().collect::<String>()));
        }
        assert!(allowed.len() > 1_000_000);
        for c in allowed.into_iter().take_while(char::is_ascii) {
            assert_comes_back(&format!("a{c}b"));
        }
    }

    #[test]
    fn a3_the_longest_ids_fit() {
        for id in [
            ".".repeat(255),
            "a".repeat(255),
            format!("{}é", ".".repeat(253)),
        ] {
            assert_comes_back(&id);
        }
    }

    /// An id that SES takes as it is has the one tag that it always had.
    #[test]
    fn a3_a_plain_id_keeps_its_tag() {
        let tag = |id: &str| tags(&TenantId::parse(id).unwrap());
        let tags_of = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(tag("acme_eu-1"), tags_of("tenant", "acme_eu-1"));
        assert_eq!(tag("acme.com"), tags_of("tenant_encoded_0", "acme_2ecom"));
        // What looks like an escape and is none.
        assert_eq!(tag("a_2e"), tags_of("tenant", "a_2e"));
        assert_comes_back("a_2e.b");
    }

    #[test]
    fn a3_tags_that_nobody_wrote_name_no_tenant() {
        let told = |value: &str| [("tenant_encoded_0".to_owned(), json!([value]))].into();
        for value in ["a_2", "a_zz", "a_ff", "a_23"] {
            assert_eq!(tenant(&told(value)), None, "{value}");
        }
        assert_eq!(tenant(&BTreeMap::new()), None);
    }

    proptest! {
        /// A3: no two ids have the same tags, since each comes back.
        #[test]
        fn a3_every_id_comes_back(id in "[ -~¡-￿]{1,80}") {
            prop_assume!(TenantId::parse(id.as_str()).is_ok());
            assert_comes_back(&id);
        }
    }
}
