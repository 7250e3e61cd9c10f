//! The broker's address: parsed once, and shown without its password.

use std::fmt;

use lapin::uri::AMQPUri;

use crate::error::BrokerError;

/// A silent broker is given up after twice this, and looked at every half of it: within 10 seconds. Short enough that a
/// network that swallows everything is told apart from a broker with nothing to say before clients give up, long enough
/// for a broker that is starved of CPU for a while.
const HEARTBEAT_SECONDS: u16 = 4;

/// A connection that is not open after so long will not open.
const CONNECT_TIMEOUT_MILLISECONDS: u64 = 10_000;

/// An AMQP URI, with our defaults where it says nothing.
#[derive(Clone)]
pub(super) struct Address(AMQPUri);

impl Address {
    pub(super) fn parse(uri: &str) -> Result<Self, BrokerError> {
        let mut uri: AMQPUri = uri.parse().map_err(|detail| BrokerError::BadAddress { detail })?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.connection_timeout.get_or_insert(CONNECT_TIMEOUT_MILLISECONDS);
        Ok(Self(uri))
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        write!(f, "{scheme}://{}:{}", authority.host, authority.port)?;
        if vhost == "/" { Ok(()) } else { write!(f, "/{vhost}") }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_user_and_password() {
        let address = Address::parse("amqp://sojourn:s3cret@broker.example:5673/agency").unwrap();
        assert_eq!(address.to_string(), "amqp://broker.example:5673/agency");
        assert_eq!(format!("{address:?}"), "amqp://broker.example:5673/agency");
        assert_eq!(Address::parse("amqp://127.0.0.1:5672/%2f").unwrap().to_string(), "amqp://127.0.0.1:5672");
    }

    #[test]
    fn an_address_that_is_no_amqp_uri_is_refused_without_repeating_it() {
        for bad in ["http://sojourn:s3cret@broker", "localhost:5672", "amqp://u:s3cret@host:port"] {
            let Err(error) = Address::parse(bad) else { panic!("{bad} was taken") };
            assert!(matches!(error, BrokerError::BadAddress { .. }));
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
