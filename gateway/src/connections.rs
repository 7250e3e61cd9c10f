//! Places for connections: so many in all, so many for one address, and a reserve in which only operators are served,
//! so that a crowd at the door does not lock out the people who would help.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::address::ClientAddress;

/// The places beyond those for everybody.
pub(crate) const RESERVE_MAX: usize = 200;

/// The places that one address may have when it takes one of the reserve: a browser opens six at most. Who fills the
/// common places has more already.
const RESERVE_ADDRESS_MAX: usize = 6;

/// The places of one door.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    common_max: usize,
    address_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    common: usize,
    reserved: usize,
    by_address: HashMap<ClientAddress, usize>,
}

/// The kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Common,
    /// For operators and those who log in; others are told that the door is full.
    Reserved,
}

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    connections: Connections,
    /// None for a proxy's connection, which carries requests of many clients.
    address: Option<ClientAddress>,
    kind: Kind,
}

/// Why a connection is closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// Its address has as many as one may have.
    Address,
    /// There is none left, not even of the reserve.
    Door,
}

impl NoPlace {
    /// The word in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Door => "door",
        }
    }
}

impl Connections {
    pub(crate) fn new(common_max: usize, address_max: usize) -> Self {
        Self(Arc::new(Inner { common_max, address_max, taken: Mutex::default() }))
    }

    /// A place for a connection from this address; none is counted for a proxy.
    pub(crate) fn take(&self, address: Option<ClientAddress>) -> Result<Place, NoPlace> {
        let mut taken = self.taken();
        let of_address = address.and_then(|address| taken.by_address.get(&address).copied()).unwrap_or_default();
        if of_address >= self.0.address_max {
            return Err(NoPlace::Address);
        }
        let kind = if taken.common < self.0.common_max {
            taken.common += 1;
            Kind::Common
        } else if taken.reserved < RESERVE_MAX && of_address < RESERVE_ADDRESS_MAX {
            taken.reserved += 1;
            Kind::Reserved
        } else {
            return Err(NoPlace::Door);
        };
        if let Some(address) = address {
            taken.by_address.insert(address, of_address + 1);
        }
        Ok(Place { connections: self.clone(), address, kind })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.connections.taken();
        match self.kind {
            Kind::Common => taken.common -= 1,
            Kind::Reserved => taken.reserved -= 1,
        }
        let Some(address) = self.address else { return };
        if let Some(count) = taken.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> Option<ClientAddress> {
        Some(ClientAddress::of(std::net::Ipv4Addr::from_bits(number).into()))
    }

    #[test]
    fn one_address_has_so_many_places_and_leaves_the_others() {
        let connections = Connections::new(10, 4);
        let mut flood: Vec<_> = (0..4).map(|_| connections.take(address(1)).unwrap()).collect();
        assert_eq!(connections.take(address(1)).unwrap_err(), NoPlace::Address);
        assert_eq!(connections.take(address(2)).unwrap().kind(), Kind::Common);
        flood.pop();
        assert!(connections.take(address(1)).is_ok());
        drop(flood);
        let taken = connections.taken();
        assert!(taken.by_address.is_empty() && taken.common == 0, "{taken:?}");
    }

    #[test]
    fn past_the_common_places_there_is_a_reserve_for_addresses_that_hold_few() {
        let connections = Connections::new(10, 10);
        let crowd: Vec<_> = (0..10).map(|_| connections.take(address(1)).unwrap()).collect();
        assert_eq!(connections.take(address(1)).unwrap_err(), NoPlace::Address);
        let few: Vec<_> = std::iter::from_fn(|| connections.take(address(2)).ok()).collect();
        assert!(few.len() == RESERVE_ADDRESS_MAX && few.iter().all(|place| place.kind() == Kind::Reserved));
        let others: Vec<_> = (3..1000).filter_map(|number| connections.take(address(number)).ok()).collect();
        assert_eq!(few.len() + others.len(), RESERVE_MAX);
        assert_eq!(connections.take(address(1001)).unwrap_err(), NoPlace::Door);
        drop(crowd);
        assert_eq!(connections.take(address(1001)).unwrap().kind(), Kind::Common);
    }

    #[test]
    fn a_trusted_proxy_brings_as_many_connections_as_there_are_places() {
        let connections = Connections::new(10, 2);
        assert_eq!(std::iter::from_fn(|| connections.take(None).ok()).collect::<Vec<_>>().len(), 10 + RESERVE_MAX);
    }
}
