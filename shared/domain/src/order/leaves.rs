//! A raw JSON object as a set of hashes, so that snapshots can be compared leaf by leaf.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

/// A set of leaf hashes: one number for each `path = value` of a raw JSON object. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Leaves(Arc<[u32]>);

impl Leaves {
    /// Takes hashes in any order, with repeats.
    #[must_use]
    pub fn new(mut hashes: Vec<u32>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes.into())
    }

    /// One number for the whole set.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let bytes: Vec<u8> = self.0.iter().flat_map(|leaf| leaf.to_le_bytes()).collect();
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    pub(super) fn within(&self, other: &Self) -> bool {
        self.0
            .iter()
            .all(|leaf| other.0.binary_search(leaf).is_ok())
    }

    /// Whether every leaf that is in `self` but not in `target` is one of `replaced`.
    pub(super) fn differs_only_by(&self, target: &Self, replaced: &Self) -> bool {
        self.0
            .iter()
            .filter(|leaf| target.0.binary_search(leaf).is_err())
            .all(|leaf| replaced.0.binary_search(leaf).is_ok())
    }
}

impl From<Leaves> for String {
    fn from(leaves: Leaves) -> String {
        let bytes: Vec<u8> = leaves
            .0
            .iter()
            .flat_map(|leaf| leaf.to_le_bytes())
            .collect();
        STANDARD_NO_PAD.encode(bytes)
    }
}

impl TryFrom<String> for Leaves {
    type Error = base64::DecodeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD_NO_PAD.decode(text)?;
        let (chunks, _) = bytes.as_chunks::<4>();
        Ok(Self::new(
            chunks
                .iter()
                .map(|chunk| u32::from_le_bytes(*chunk))
                .collect(),
        ))
    }
}
