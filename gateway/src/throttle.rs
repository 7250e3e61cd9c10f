//! A rate for each address: what one host may ask of a public route in a minute, however many others ask as well.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use kit::http::ApiError;
use lru::LruCache;

use crate::address::ClientAddress;

/// The addresses that are remembered, the latest ones: some 10 MB.
const ADDRESSES_MAX: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// The part of a minute's allowance that may be used at once: a page that loads asks several things.
const BURST_PART: u32 = 3;

/// The allowances of all addresses on one kind of route.
pub(crate) struct Throttle<C: Clock = DefaultClock> {
    quota: Option<Quota>,
    clock: C,
    addresses: Mutex<LruCache<ClientAddress, Allowance<C>>>,
}

/// The rest of one address's allowance.
type Allowance<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl Throttle {
    /// An allowance of so many requests a minute for each address; none when it is zero.
    pub(crate) fn per_minute(requests: u32) -> Self {
        Self::with_clock(requests, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Throttle<C> {
    fn with_clock(requests_per_minute: u32, clock: C) -> Self {
        let quota = NonZeroU32::new(requests_per_minute).map(|requests| {
            let burst = NonZeroU32::new(requests.get() / BURST_PART).unwrap_or(NonZeroU32::MIN);
            Quota::per_minute(requests).allow_burst(burst)
        });
        Self { quota, clock, addresses: Mutex::new(LruCache::new(ADDRESSES_MAX)) }
    }

    /// Takes one request off the address's allowance; the error is the time until there is one again.
    pub(crate) fn ask(&self, address: ClientAddress) -> Result<(), Duration> {
        let Some(quota) = self.quota else { return Ok(()) };
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let allowance = addresses.get_or_insert(address, || RateLimiter::direct_with_clock(quota, self.clock.clone()));
        allowance.check().map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
    }
}

/// 429: this address, or this account, has to wait.
pub(crate) fn too_many(code: &'static str, detail: &str, wait: Duration) -> ApiError {
    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, code, "Too many requests").detail(detail).retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn address(text: &str) -> ClientAddress {
        ClientAddress::of(text.parse().unwrap())
    }

    #[test]
    fn an_address_that_asks_too_much_waits_and_no_other_does() {
        let clock = FakeRelativeClock::default();
        let throttle = Throttle::with_clock(30, clock.clone());
        let (flood, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let taken = (0..100).filter(|_| throttle.ask(flood).is_ok()).count();
        assert_eq!(taken, 10, "a third of a minute's allowance at once");
        let wait = throttle.ask(flood).unwrap_err();
        assert_eq!(wait, Duration::from_secs(2));
        assert!(throttle.ask(other).is_ok());
        clock.advance(wait);
        assert!(throttle.ask(flood).is_ok());
        assert!(throttle.ask(flood).is_err());
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_are_places() {
        let throttle = Throttle::with_clock(30, FakeRelativeClock::default());
        for number in 0..70_000_u32 {
            throttle.ask(ClientAddress::of(std::net::Ipv4Addr::from_bits(number).into())).unwrap();
        }
        assert_eq!(throttle.addresses.lock().unwrap().len(), ADDRESSES_MAX.get());
    }

    #[test]
    fn zero_is_no_limit() {
        let throttle = Throttle::with_clock(0, FakeRelativeClock::default());
        assert!((0..1000).all(|_| throttle.ask(address("192.0.2.1")).is_ok()));
    }
}
