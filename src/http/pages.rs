//! The demo page and what it loads, as HTTP answers. The files themselves are in `web/`.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderValue},
};

/// The page may load its own script and style, talk to its own server, and nothing else: no inline code, no foreign
/// resource, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The methods that a page takes.
pub(super) const METHODS: &str = "GET, HEAD";

/// The files of the demo.
pub(super) struct Pages([Page; 3]);

/// One file.
pub(super) struct Page {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
    etag: HeaderValue,
}

impl Pages {
    pub(super) fn new() -> Self {
        Self([
            Page::new("/", "text/html; charset=utf-8", include_str!("../web/index.html")),
            Page::new("/page.js", "text/javascript; charset=utf-8", include_str!("../web/page.js")),
            Page::new("/page.css", "text/css; charset=utf-8", include_str!("../web/page.css")),
        ])
    }

    pub(super) fn find(&self, path: &str) -> Option<&Page> {
        self.0.iter().find(|page| page.path == path)
    }
}

impl Page {
    fn new(path: &'static str, content_type: &'static str, content: &'static str) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        let etag = HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { path, content_type, content, etag }
    }

    /// The file, or 304 to a browser that has it.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        if self.is_known(request) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Full::from(self.content);
        }
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        // A new version of the server is a new page: ask each time, the answer is a short 304.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    /// Whether the browser names this very version (RFC 9110, section 13.1.2).
    fn is_known(&self, request: &HeaderMap) -> bool {
        let lines = request.get_all(header::IF_NONE_MATCH).iter();
        let mut tags =
            lines.flat_map(|line| line.as_bytes().split(|&b| b == b',')).map(<[u8]>::trim_ascii);
        tags.any(|tag| {
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == self.etag.as_bytes()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_that_has_the_page_is_told_so() {
        let pages = Pages::new();
        let page = pages.find("/page.js").expect("it is there");
        let etag = page.etag.to_str().expect("ASCII").to_owned();
        let status = |tags: &str| {
            let mut request = HeaderMap::new();
            request.insert(header::IF_NONE_MATCH, HeaderValue::from_str(tags).expect("ASCII"));
            page.answer(&request).status()
        };
        assert_eq!(page.answer(&HeaderMap::new()).status(), StatusCode::OK);
        assert_eq!(status(&etag), StatusCode::NOT_MODIFIED);
        assert_eq!(status(&format!("\"x\", W/{etag}")), StatusCode::NOT_MODIFIED);
        assert_eq!(status("*"), StatusCode::NOT_MODIFIED);
        assert_eq!(status("\"x\""), StatusCode::OK);
    }
}
