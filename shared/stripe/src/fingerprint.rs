//! Hashes of raw JSON, by which snapshots of one second are told apart and put in order.
//!
//! Every `path = value` becomes one number. They are stored, so the hash (XXH3) never changes.

use std::fmt;

use paygraph_domain::order::Leaves;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The leaves of a raw object.
///
/// # Errors
/// When the text nests deeper than `serde_json` goes (128).
pub fn leaves(raw: &RawValue) -> Result<Leaves, serde_json::Error> {
    walk(raw, Nulls::Values)
}

/// The leaves of the values that an update replaced.
///
/// Stripe writes null for metadata that was not there before. No object has such a leaf, so it is
/// left out.
///
/// # Errors
/// As [`leaves`].
pub fn replaced(previous: &RawValue) -> Result<Leaves, serde_json::Error> {
    walk(previous, Nulls::AbsentInMetadata)
}

fn walk(raw: &RawValue, nulls: Nulls) -> Result<Leaves, serde_json::Error> {
    let mut hashes = Vec::with_capacity(256);
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    Walk {
        path: 0,
        nulls,
        hashes: &mut hashes,
    }
    .deserialize(&mut deserializer)?;
    Ok(Leaves::new(hashes))
}

/// One number for a whole object, whatever the order of its keys.
#[must_use]
pub fn content(leaves: &Leaves) -> u64 {
    leaves.digest()
}

/// One number for an event's id.
#[must_use]
pub fn event(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// What null means.
#[derive(Clone, Copy, PartialEq)]
enum Nulls {
    /// A value.
    Values,
    /// A value, but inside metadata something that is not there.
    AbsentInMetadata,
    /// Something that is not there.
    Absent,
}

struct Walk<'a> {
    path: u64,
    nulls: Nulls,
    hashes: &'a mut Vec<u32>,
}

impl Walk<'_> {
    fn leaf(self, kind: u8, bytes: &[u8]) {
        let hash = xxh3_64_with_seed(bytes, self.path ^ u64::from(kind));
        let [a, b, c, d, ..] = hash.to_le_bytes();
        self.hashes.push(u32::from_le_bytes([a, b, c, d]));
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        if self.nulls != Nulls::Absent {
            self.leaf(1, &[]);
        }
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.leaf(2, &[u8::from(value)]);
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.leaf(3, &value.to_le_bytes());
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.leaf(3, &value.to_le_bytes());
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.leaf(4, &value.to_le_bytes());
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.leaf(5, value.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0_u64;
        loop {
            let path = xxh3_64_with_seed(&index.to_le_bytes(), self.path);
            if items
                .next_element_seed(Walk {
                    path,
                    nulls: self.nulls,
                    hashes: self.hashes,
                })?
                .is_none()
            {
                break;
            }
            index += 1;
        }
        self.leaf(6, &index.to_le_bytes());
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let metadata = xxh3_64_with_seed(b"metadata", self.path);
        while let Some(path) = fields.next_key_seed(Key(self.path))? {
            let nulls = match self.nulls {
                Nulls::AbsentInMetadata if path == metadata => Nulls::Absent,
                Nulls::Values | Nulls::AbsentInMetadata | Nulls::Absent => self.nulls,
            };
            fields.next_value_seed(Walk {
                path,
                nulls,
                hashes: self.hashes,
            })?;
        }
        Ok(())
    }
}

struct Key(u64);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = u64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<u64, E> {
        Ok(xxh3_64_with_seed(key.as_bytes(), self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Leaves {
        leaves(&RawValue::from_string(json.to_owned()).unwrap()).unwrap()
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_everything_else_does() {
        assert_eq!(of(r#"{"a":1,"b":[1,2]}"#), of(r#"{"b":[1,2],"a":1}"#));
        for other in [
            r#"{"a":1,"b":[2,1]}"#,
            r#"{"a":"1","b":[1,2]}"#,
            r#"{"a":null,"b":[1,2]}"#,
        ] {
            assert_ne!(of(r#"{"a":1,"b":[1,2]}"#), of(other));
        }
    }

    #[test]
    fn what_was_not_there_was_not_replaced() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
        let previous = raw(r#"{"metadata":{"new":null,"old":"x"},"cancel_at":null}"#);
        assert_eq!(
            replaced(&previous).unwrap(),
            of(r#"{"metadata":{"old":"x"},"cancel_at":null}"#)
        );
    }

    #[test]
    fn p8_deep_nesting_is_an_error() {
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        let raw = RawValue::from_string(deep);
        assert!(raw.is_err() || leaves(&raw.unwrap()).is_err());
    }
}
