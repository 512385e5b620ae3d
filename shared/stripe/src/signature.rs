//! Stripe's webhook signature: who may speak to us, and when.
//!
//! `Stripe-Signature: t=<unix s>,v1=<hex>[,v1=<hex>…]`, where
//! `v1 = HMAC-SHA256(secret, "{t}." + body)` over the exact bytes that were sent
//! (<https://docs.stripe.com/webhooks#verify-manually>). Several `v1` come while Stripe rolls a
//! secret; several secrets are ours during a rotation. Any pair that fits is enough.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// How far `t` may lie from now, in seconds, to either side.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The most bytes a header may have: Stripe sends about 150, more while it rolls a secret.
const MAX_HEADER_BYTES: usize = 4096;

/// The most `v1` that are looked at.
const MAX_CANDIDATES: usize = 16;

/// Why a request is not Stripe's. The texts are short and safe to show to the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no header.
    #[error("the Stripe-Signature header is missing")]
    Missing,
    /// The header has no text.
    #[error("the Stripe-Signature header is empty")]
    Empty,
    /// The header comes more than once, or names more than one time.
    #[error("the Stripe-Signature header is repeated")]
    Repeated,
    /// The header is not `t=…,v1=…`.
    #[error("the Stripe-Signature header is malformed")]
    Malformed,
    /// The header has no signature of the scheme `v1`.
    #[error("the Stripe-Signature header has no v1 signature")]
    NoSignature,
    /// `t` is more than [`TOLERANCE_SECONDS`] ago.
    #[error("the signature is too old")]
    TooOld,
    /// `t` is more than [`TOLERANCE_SECONDS`] ahead.
    #[error("the signature is from the future")]
    Future,
    /// No secret makes any of the signatures.
    #[error("the signature does not match")]
    Mismatch,
}

/// A parsed header.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureHeader<'a> {
    /// The text of `t`: it is part of what was signed.
    time_text: &'a str,
    time: i64,
    candidates: Vec<[u8; 32]>,
}

impl fmt::Debug for SignatureHeader<'_> {
    /// Without the signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureHeader")
            .field("time", &self.time)
            .field("candidates", &self.candidates.len())
            .finish_non_exhaustive()
    }
}

impl<'a> SignatureHeader<'a> {
    /// Reads the header's value. Other schemes than `t` and `v1` are ignored, as Stripe asks.
    ///
    /// # Errors
    /// [`SignatureError`] when it is empty, repeated, malformed or has no `v1`.
    pub fn parse(header: &'a str) -> Result<Self, SignatureError> {
        if header.trim().is_empty() {
            return Err(SignatureError::Empty);
        }
        if header.len() > MAX_HEADER_BYTES {
            return Err(SignatureError::Malformed);
        }
        let mut time_text = None;
        let mut signed = false;
        let mut candidates = Vec::new();
        for part in header.split(',') {
            // Trimmed, since a gateway that joins repeated headers may put a space after the comma.
            let (scheme, value) = part
                .trim()
                .split_once('=')
                .ok_or(SignatureError::Malformed)?;
            match scheme {
                "t" if time_text.is_some() => return Err(SignatureError::Repeated),
                "t" => time_text = Some(value),
                "v1" => {
                    signed = true;
                    // One that is not 32 bytes in hex cannot match; another one still may.
                    let mut bytes = [0; 32];
                    if candidates.len() < MAX_CANDIDATES
                        && hex::decode_to_slice(value, &mut bytes).is_ok()
                    {
                        candidates.push(bytes);
                    }
                }
                _ => {}
            }
        }
        let time_text = time_text.ok_or(SignatureError::Malformed)?;
        let time = seconds(time_text).ok_or(SignatureError::Malformed)?;
        if !signed {
            return Err(SignatureError::NoSignature);
        }
        Ok(Self {
            time_text,
            time,
            candidates,
        })
    }

    /// Whether the signature was made within [`TOLERANCE_SECONDS`] of `now`, in Unix seconds.
    ///
    /// # Errors
    /// [`SignatureError::TooOld`] or [`SignatureError::Future`].
    pub fn check_time(&self, now: i64) -> Result<(), SignatureError> {
        if self.time < now.saturating_sub(TOLERANCE_SECONDS) {
            Err(SignatureError::TooOld)
        } else if self.time > now.saturating_add(TOLERANCE_SECONDS) {
            Err(SignatureError::Future)
        } else {
            Ok(())
        }
    }

    /// Whether one of the secrets makes one of the signatures over these bytes.
    ///
    /// Every pair is compared, in constant time, whatever the others gave. An empty secret never
    /// matches: anybody could sign with it.
    ///
    /// # Errors
    /// [`SignatureError::Mismatch`].
    pub fn check_body<'s>(
        &self,
        body: &[u8],
        secrets: impl IntoIterator<Item = &'s str>,
    ) -> Result<(), SignatureError> {
        let mut found = Choice::from(0);
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
                continue;
            };
            mac.update(self.time_text.as_bytes());
            mac.update(b".");
            mac.update(body);
            let expected = mac.finalize().into_bytes();
            for candidate in &self.candidates {
                found |= expected.as_slice().ct_eq(candidate);
            }
        }
        if found.into() {
            Ok(())
        } else {
            Err(SignatureError::Mismatch)
        }
    }
}

/// Verifies a delivery: the header, its time against `now` (Unix seconds), and the body's exact
/// bytes against every secret.
///
/// # Errors
/// [`SignatureError`] with the first thing that is wrong.
pub fn verify<'s>(
    header: &str,
    body: &[u8],
    secrets: impl IntoIterator<Item = &'s str>,
    now: i64,
) -> Result<(), SignatureError> {
    let header = SignatureHeader::parse(header)?;
    header.check_time(now)?;
    header.check_body(body, secrets)
}

/// Digits only: `+5`, ` 5` and `-5` are not what Stripe writes.
fn seconds(text: &str) -> Option<i64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
