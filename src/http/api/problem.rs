//! Why a request to the API was not done, as RFC 9457 has it. Nothing else invents a status of the API's.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};
use serde_json::{Value, json};

use crate::{handle::Busy, http::refusal::Refusal};

/// How long a program should wait before it tries again, in seconds.
const RETRY_AFTER_SECS: u64 = 1;

/// What a problem says.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// Which it is, for programs.
    code: &'static str,
    /// For people.
    detail: String,
    /// What became of each part of a request that was done in part.
    results: Option<Value>,
    allow: Option<String>,
    retry_after_secs: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, code, detail, results: None, allow: None, retry_after_secs: None }
    }

    /// What was sent cannot be read.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// It can be read, and breaks a rule.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    pub(super) fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(super) fn no_key() -> Self {
        let detail = "the API needs a key: Authorization: Bearer KEY";
        Self::new(StatusCode::UNAUTHORIZED, "no_key", detail)
    }

    pub(super) fn no_certificate() -> Self {
        let detail = "the API needs a client's certificate (tls.api_client_ca_file)";
        Self::new(StatusCode::FORBIDDEN, "no_certificate", detail)
    }

    pub(super) fn method(allow: String) -> Self {
        let detail = "this path does not take that method";
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        Self { allow: Some(allow), ..problem }
    }

    pub(super) fn too_many(wait_nanos: u64) -> Self {
        let detail = "this key makes too many requests";
        let secs = wait_nanos.div_ceil(1_000_000_000);
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        Self { retry_after_secs: Some(secs), ..problem }
    }

    pub(super) fn too_large(detail: &'static str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// Nothing is wrong with the request, and it cannot be done now.
    pub(super) fn unavailable(detail: &'static str) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
        Self { retry_after_secs: Some(RETRY_AFTER_SECS), ..problem }
    }

    pub(super) fn with_results(self, results: Value) -> Self {
        Self { results: Some(results), ..self }
    }

    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut problem = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let Some(results) = self.results {
            problem["results"] = results;
        }
        let mut response = Response::new(Full::from(problem.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"uproar-api\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
            // Whoever has no key is not waited for.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        response
    }
}

impl From<Busy> for Problem {
    fn from(_: Busy) -> Self {
        Self::unavailable("the server has too much to do at the moment; nothing was done")
    }
}

/// What the door refuses to everybody, in the words of the API.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = refusal.status().unwrap_or(StatusCode::BAD_REQUEST);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return Self::unavailable(refusal.text());
        }
        let problem = Self::new(status, refusal.label(), refusal.text());
        let waits = status == StatusCode::TOO_MANY_REQUESTS;
        Self { retry_after_secs: waits.then_some(RETRY_AFTER_SECS), ..problem }
    }
}
