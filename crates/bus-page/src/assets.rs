//! Style and script, in the binary. Their names hold a hash of their content, so a browser keeps them for good and
//! never shows a new page with an old style.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};

/// A file that pages load.
struct Asset {
    stem: &'static str,
    ending: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const STYLE: Asset = Asset {
    stem: "page",
    ending: "css",
    media_type: "text/css; charset=utf-8",
    content: include_str!("assets/page.css"),
};
const SCRIPT: Asset = Asset {
    stem: "page",
    ending: "js",
    media_type: "text/javascript; charset=utf-8",
    content: include_str!("assets/page.js"),
};

impl Asset {
    fn name(&self) -> String {
        format!("{}-{:016x}.{}", self.stem, hash(self.content.as_bytes()), self.ending)
    }
}

/// FNV-1a with 64 bits: tells versions apart, guards nothing.
fn hash(bytes: &[u8]) -> u64 {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(START, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The name of the style sheet.
pub(crate) fn style() -> String {
    STYLE.name()
}

/// The name of the script.
pub(crate) fn script() -> String {
    SCRIPT.name()
}

/// The file of this name; 404 if there is none, as after an update.
#[must_use]
pub fn asset(name: &str) -> Response {
    let Some(asset) = [STYLE, SCRIPT].into_iter().find(|asset| asset.name() == name) else {
        return (StatusCode::NOT_FOUND, "no such file; load the page again").into_response();
    };
    let headers = [(CONTENT_TYPE, asset.media_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    (headers, asset.content).into_response()
}

/// Sets the headers that every page needs: nothing is loaded from elsewhere, no other site frames the page, and
/// nothing of it stays in a cache.
pub fn headers(headers: &mut HeaderMap) {
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'; object-src 'none'",
        ),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        // `no-referrer` would make the Origin of our own forms `null`.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_served_under_the_name_of_its_content_only() {
        assert_eq!(asset(&style()).status(), StatusCode::OK);
        assert_eq!(asset(&script()).headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        for name in ["page.css", "page-0000000000000000.css", "", "../page.css"] {
            assert_eq!(asset(name).status(), StatusCode::NOT_FOUND, "{name}");
        }
    }

    #[test]
    fn the_script_stays_short_and_makes_no_markup_of_texts() {
        assert!(SCRIPT.content.lines().count() <= 200);
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.content.contains(forbidden), "{forbidden}");
        }
    }
}
