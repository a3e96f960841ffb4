//! The client's module, for everyone, and the demo's pages with what they load, as HTTP answers. The files themselves are
//! in `web/`.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

/// A page may load its own script and style, talk to its own server, and nothing else: no inline code, no foreign
/// resource, no frame around it, and no text that its script turns into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TYPES: &str = "application/typescript; charset=utf-8";

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A file in `web/`, by its path there, as it is served: path, content type, content.
macro_rules! file {
    ($path:literal, $content_type:expr) => {
        ($path, $content_type, include_str!(concat!("../web", $path)))
    };
}

/// The demo: the chat page, the relay page, and what they load.
const DEMO: [(&str, &str, &str); 26] = [
    ("/", HTML, include_str!("../web/index.html")),
    file!("/look.css", STYLE),
    file!("/page.css", STYLE),
    file!("/page.js", SCRIPT),
    file!("/page/banner.js", SCRIPT),
    file!("/page/body.js", SCRIPT),
    file!("/page/composer.js", SCRIPT),
    file!("/page/conversation.js", SCRIPT),
    file!("/page/links.js", SCRIPT),
    file!("/page/message.js", SCRIPT),
    file!("/page/naming.js", SCRIPT),
    file!("/page/outgoing.js", SCRIPT),
    file!("/page/people.js", SCRIPT),
    file!("/page/profile.js", SCRIPT),
    file!("/page/room-list.js", SCRIPT),
    file!("/page/room-name.js", SCRIPT),
    file!("/page/storage.js", SCRIPT),
    file!("/page/text.js", SCRIPT),
    file!("/page/timeline.js", SCRIPT),
    file!("/page/typing.js", SCRIPT),
    file!("/relay.css", STYLE),
    file!("/relay.html", HTML),
    file!("/relay.js", SCRIPT),
    file!("/relay-connection.js", SCRIPT),
    file!("/relay-log.js", SCRIPT),
    file!("/relay-outbox.js", SCRIPT),
];

/// The methods that a page takes.
pub(super) const METHODS: &str = "GET, HEAD";

/// Every file that is served.
pub(super) struct Pages(Vec<Page>);

/// One file.
pub(super) struct Page {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
    etag: HeaderValue,
    /// Pages of other sites may load it.
    is_public: bool,
}

impl Pages {
    /// The client's module, which applications load wherever they are from, and the demo where it is shown.
    pub(super) fn new(demo: bool) -> Self {
        let mut pages = vec![
            Page::public("/uproar.js", SCRIPT, include_str!("../web/uproar.js")),
            Page::public("/uproar.d.ts", TYPES, include_str!("../web/uproar.d.ts")),
        ];
        if demo {
            pages.extend(DEMO.map(|(path, kind, content)| Page::new(path, kind, content)));
        }
        Self(pages)
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
        Self { path, content_type, content, etag, is_public: false }
    }

    fn public(path: &'static str, content_type: &'static str, content: &'static str) -> Self {
        Self { is_public: true, ..Self::new(path, content_type, content) }
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
        if self.is_public {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            // For pages that isolate themselves, which load nothing that does not say so.
            headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        }
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
        let pages = Pages::new(true);
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
