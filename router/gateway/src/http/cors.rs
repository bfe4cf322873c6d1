//! Which web pages may call this gateway from a browser, and which of its headers they may read.
//!
//! Nothing here guards anything: a gateway reads no cookies, so a page can do no more than any other client.
//! It is off until the operator names origins, so that nobody offers an API to browsers without knowing it.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::access::{KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use super::challenge::PAYMENT_REQUIRED;
use super::payment::{IDEMPOTENCY_KEY, PAYMENT_RESPONSE, PAYMENT_SIGNATURE};
use super::settle::{LEGACY_REPLAY, REPLAY};

/// Most origins of a list.
const MAX_ORIGINS: usize = 64;
/// How long a browser may remember what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Every page.
const ANY: &str = "*";

/// Origins of pages that may call: `https://shop.example`, or `*` alone for every page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Cors {
    /// Allowed origins; none by default.
    pub allowed_origins: Vec<String>,
}

/// An origin no browser sends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got} is no origin; write scheme and host, as in https://shop.example, or * alone")]
pub struct BadOrigin {
    /// What was written.
    pub got: String,
}

impl Cors {
    /// The layer, when pages may call at all.
    ///
    /// # Errors
    /// [`BadOrigin`]: a typing error here would look like a browser's fault later.
    pub(crate) fn layer(&self) -> Result<Option<CorsLayer>, BadOrigin> {
        self.check()?;
        let origins: Vec<HeaderValue> = self
            .allowed_origins
            .iter()
            .filter_map(|origin| HeaderValue::from_str(origin).ok())
            .collect();
        let allowed = match self.allowed_origins.as_slice() {
            [] => return Ok(None),
            [any] if any == ANY => AllowOrigin::any(),
            _ => AllowOrigin::list(origins),
        };
        let named = |names: &[&'static str]| -> Vec<HeaderName> {
            names
                .iter()
                .map(|name| HeaderName::from_static(name))
                .collect()
        };
        let sent = named(&[
            PAYMENT_SIGNATURE,
            IDEMPOTENCY_KEY,
            KEY_HEADER,
            TIMESTAMP_HEADER,
            SIGNATURE_HEADER,
        ]);
        let standard = [header::CONTENT_TYPE, header::AUTHORIZATION];
        let read = named(&[PAYMENT_REQUIRED, PAYMENT_RESPONSE]);
        let replays = [REPLAY, LEGACY_REPLAY, header::RETRY_AFTER];
        Ok(Some(
            CorsLayer::new()
                .allow_origin(allowed)
                .allow_methods([Method::GET, Method::POST])
                .allow_headers(sent.into_iter().chain(standard).collect::<Vec<_>>())
                .expose_headers(read.into_iter().chain(replays).collect::<Vec<_>>())
                .max_age(REMEMBERED),
        ))
    }

    /// Whether every entry can be the origin of a page.
    ///
    /// # Errors
    /// [`BadOrigin`] names the first that cannot.
    pub fn check(&self) -> Result<(), BadOrigin> {
        let alone = self.allowed_origins.len() == 1;
        let over = self.allowed_origins.get(MAX_ORIGINS);
        let bad = self
            .allowed_origins
            .iter()
            .find(|origin| !(is_origin(origin) || alone && *origin == ANY))
            .or(over);
        bad.map_or(Ok(()), |got| Err(BadOrigin { got: got.clone() }))
    }
}

/// Scheme, host and port as a browser writes them: lower case, no path, no slash at the end.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty()
            && host.bytes().all(|byte| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origins: &[&str]) -> Result<(), BadOrigin> {
        let allowed_origins = origins.iter().map(ToString::to_string).collect();
        Cors { allowed_origins }.check()
    }

    #[test]
    fn origins_are_what_browsers_send_and_any_stands_alone() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["*"]), Ok(()));
        let pages = ["https://shop.example", "http://127.0.0.1:8080"];
        assert_eq!(check(&pages), Ok(()));
        for bad in [
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://Shop.example",
            "null",
            "",
        ] {
            let got = bad.to_owned();
            assert_eq!(check(&[bad]), Err(BadOrigin { got }), "{bad}");
        }
        assert!(check(&["https://shop.example", "*"]).is_err());
        assert!(check(&["https://shop.example"; MAX_ORIGINS + 1]).is_err());
    }
}
