//! Conditional requests (RFC 9110 §13): who has it already is told so, and sent nothing.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::http::{HeaderMap, HeaderValue, header};

/// The tag of a body whose bytes are all there is to it.
pub fn etag_of(body: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).expect("hexadecimal digits can be sent")
}

/// Whether `If-None-Match` (RFC 9110 §13.1.2) names `etag`, or everything.
pub fn has_already(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(values: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(value));
        }
        has_already(&headers, &HeaderValue::from_static("\"1f-2\""))
    }

    #[test]
    fn a_tag_is_found_in_every_form_of_the_header() {
        for values in
            [&["\"1f-2\""][..], &["W/\"1f-2\""], &["\"a\", \"1f-2\""], &["\"a\"", "\"b\",\"1f-2\""], &["*"]]
        {
            assert!(asks(values), "{values:?}");
        }
        for values in [&[][..], &["\"1f-3\""], &["1f-2"], &["\"a\", \"b\""], &["\"1f-2"]] {
            assert!(!asks(values), "{values:?}");
        }
    }

    #[test]
    fn other_bytes_have_another_tag() {
        assert_eq!(etag_of(b"one"), etag_of(b"one"));
        assert_ne!(etag_of(b"one"), etag_of(b"two"));
    }
}
