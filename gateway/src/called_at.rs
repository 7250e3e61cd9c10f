//! The place at which a request's client called the door, as links lead back to it: the `Host` header, or, behind a proxy that the
//! settings trust and that ends TLS, what the proxy tells. No header of a stranger is believed.

use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderName, HeaderValue, header,
        request::Parts,
        uri::{Authority, Scheme},
    },
};
use kit::http::ApiError;

/// The header in which a proxy names the host that it was called by.
pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The header in which a proxy says whether it was called over TLS.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The host and the scheme of a request, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CalledAt {
    host: Option<Authority>,
    /// Known only by the word of a proxy: the door itself speaks no TLS.
    scheme: Option<Scheme>,
}

impl CalledAt {
    /// Of a request that came from a client, or from a proxy whose word does not count.
    pub(crate) fn told_by_a_client(headers: &HeaderMap) -> Self {
        Self { host: headers.get(header::HOST).and_then(authority), scheme: None }
    }

    /// Of a request that came from a trusted proxy. Where there are several values, the last one is of the proxy that called
    /// here. What does not read was not written by a proxy, and counts for nothing.
    pub(crate) fn told_by_a_proxy(headers: &HeaderMap) -> Self {
        let of_client = Self::told_by_a_client(headers);
        let host = last(headers, &FORWARDED_HOST).and_then(|host| parsed(&host));
        let scheme = last(headers, &FORWARDED_PROTO).and_then(|proto| match proto.to_ascii_lowercase().as_str() {
            "https" => Some(Scheme::HTTPS),
            "http" => Some(Scheme::HTTP),
            _ => None,
        });
        Self { host: host.or(of_client.host), scheme }
    }

    pub(crate) const fn host(&self) -> Option<&Authority> {
        self.host.as_ref()
    }

    pub(crate) fn scheme(&self) -> Option<Scheme> {
        self.scheme.clone()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CalledAt {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // The server puts it into every request.
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiError::internal)
    }
}

/// The last value of a header, which may be given several times and as a list.
fn last(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    Some(value.rsplit(',').next().unwrap_or_default().trim().to_owned())
}

fn authority(host: &HeaderValue) -> Option<Authority> {
    parsed(host.to_str().ok()?)
}

/// A host that a link can lead to: one with a person before it would lead elsewhere than it seems to.
fn parsed(host: &str) -> Option<Authority> {
    host.parse().ok().filter(|host: &Authority| !host.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(told: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in told {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn shown(at: &CalledAt) -> (Option<&str>, Option<&str>) {
        (at.host.as_ref().map(Authority::as_str), at.scheme.as_ref().map(Scheme::as_str))
    }

    #[test]
    fn a_client_is_believed_nothing_but_the_host_that_it_called() {
        let told = headers(&[
            (header::HOST, "ops.example:8443"),
            (FORWARDED_HOST, "evil.example"),
            (FORWARDED_PROTO, "https"),
        ]);
        assert_eq!(shown(&CalledAt::told_by_a_client(&told)), (Some("ops.example:8443"), None));
    }

    #[test]
    fn of_several_proxies_the_one_that_called_here_is_believed() {
        let told = headers(&[
            (header::HOST, "door.internal"),
            (FORWARDED_HOST, "evil.example"),
            (FORWARDED_HOST, "ops.example"),
            (FORWARDED_PROTO, "http, HTTPS"),
        ]);
        assert_eq!(shown(&CalledAt::told_by_a_proxy(&told)), (Some("ops.example"), Some("https")));
    }

    #[test]
    fn what_does_not_read_counts_for_nothing() {
        for (host, proto) in [("a b", "gopher"), ("evil.example@ops.example", ""), ("", "https://")] {
            let told = headers(&[(header::HOST, "door.internal"), (FORWARDED_HOST, host), (FORWARDED_PROTO, proto)]);
            assert_eq!(shown(&CalledAt::told_by_a_proxy(&told)), (Some("door.internal"), None), "{host} {proto}");
        }
        assert_eq!(shown(&CalledAt::told_by_a_proxy(&HeaderMap::new())), (None, None));
    }
}
