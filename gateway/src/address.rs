//! The address that a request comes from: the peer's own, or, behind a proxy that the settings trust, the one that the
//! proxy tells. No header of a stranger is believed.

use std::net::{IpAddr, Ipv6Addr};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, request::Parts},
};
use ipnet::IpNet;
use kit::http::ApiError;

/// The header in which proxies name the client, each one behind those before it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The part of an IPv6 address that names a network: who has one address has all of its 64 bits behind it.
const NETWORK_MASK: u128 = !0 << 64;

/// An address as clients are counted by: an IPv4 address, or the network of an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(IpAddr);

/// The mark of a request that shows the installation's token: the dashboard logs a browser in, which was counted when it
/// asked the dashboard for that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromInside;

impl ClientAddress {
    /// The address in whose name a part of the installation asks. Only for requests that show its token.
    pub(crate) fn told(headers: &HeaderMap) -> Option<Self> {
        headers.get(FORWARDED_FOR)?.to_str().ok()?.parse().ok().map(Self::of)
    }

    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK_MASK).into(),
        })
    }
}

impl std::fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // The server puts it into every request.
        parts.extensions.get::<Self>().copied().ok_or_else(ApiError::internal)
    }
}

/// The proxies in front of the door whose word about a client's address counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self(networks.to_vec())
    }

    /// Whether a connection comes from one of them, and so carries requests of many clients.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that came from `peer`: the last address in the chain that no trusted proxy has.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer;
        let told = headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default());
        let chain: Vec<&str> = told.flat_map(|list| list.split(',')).collect();
        for text in chain.into_iter().rev() {
            if !self.contain(client) {
                break;
            }
            // What does not read was not written by a proxy: the one that passed it on is as far as we can see.
            let Ok(before) = text.trim().parse() else { break };
            client = before;
        }
        ClientAddress::of(client)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(trusted: &[&str], peer: &str, told: &[&str]) -> ClientAddress {
        let networks: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for one in told {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(one).unwrap());
        }
        TrustedProxies::new(&networks).client(ip(peer), &headers)
    }

    #[test]
    fn a_header_counts_only_from_a_trusted_proxy_and_only_as_far_as_proxies_are_trusted() {
        let address = |text: &str| ClientAddress::of(ip(text));
        assert_eq!(client(&[], "198.51.100.7", &["203.0.113.9"]), address("198.51.100.7"));
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client(&trusted, "198.51.100.7", &["203.0.113.9"]), address("198.51.100.7"));
        assert_eq!(client(&trusted, "10.0.0.1", &["203.0.113.9"]), address("203.0.113.9"));
        assert_eq!(client(&trusted, "10.0.0.1", &["192.0.2.1, 203.0.113.9", "10.2.3.4"]), address("203.0.113.9"));
        assert_eq!(client(&trusted, "10.0.0.1", &["nonsense"]), address("10.0.0.1"));
        assert_eq!(client(&trusted, "::ffff:10.0.0.1", &["203.0.113.9"]), address("203.0.113.9"));
    }

    #[test]
    fn who_has_a_network_of_addresses_is_one_client() {
        assert_eq!(ClientAddress::of(ip("2001:db8::1")), ClientAddress::of(ip("2001:db8::ffff:1")));
        assert_ne!(ClientAddress::of(ip("2001:db8::1")), ClientAddress::of(ip("2001:db8:0:1::1")));
        assert_eq!(ClientAddress::of(ip("::ffff:192.0.2.1")), ClientAddress::of(ip("192.0.2.1")));
    }
}
