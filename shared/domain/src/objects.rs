//! Stripe's objects, as far as paygraph reads them. One file each.
//!
//! These are not Stripe's wire shapes: what moved between API versions is already in one place.

pub mod catalog;
pub mod charge;
pub mod checkout;
pub mod customer;
pub mod discount;
pub mod dispute;
pub mod invoice;
pub mod payment_method;
pub mod schedule;
pub mod subscription;

/// Declares an enum over Stripe's words, which keeps a word that it does not know.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that paygraph does not know yet.
            Other(String),
        }

        impl $name {
            /// Stripe's word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.as_str().to_owned()
            }
        }
    };
}
pub(crate) use words;
