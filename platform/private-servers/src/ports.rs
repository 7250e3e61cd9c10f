//! Free ports on 127.0.0.1.
//!
//! They are taken below the range from which systems draw the local ports of outgoing connections
//! (32768 on Linux, 49152 on macOS). A server that is killed and started again on its port would
//! otherwise sometimes find that a client, while it kept trying to connect, had taken the port.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
};

use crate::Error;

/// The first port that is tried; below lie the well-known ports of common development servers.
const PORT_MIN: u16 = 15_000;
/// One past the last port that is tried: the range of outgoing connections starts at 32768.
const PORT_END: u16 = 32_000;
/// How many ports are tried before giving up: a machine with so many taken in a row is ill.
const TRIES_MAX: u16 = 2_000;

/// A number that differs from call to call and process to process. Not for secrets.
pub(crate) fn arbitrary() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// Whether nobody listens on this port of 127.0.0.1.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Picks `count` different free ports. Another process may take one before it is used: callers try again.
pub(crate) fn pick(server: &'static str, count: usize, avoid: &[u16]) -> Result<Vec<u16>, Error> {
    let span = u64::from(PORT_END - PORT_MIN);
    let mut picked = Vec::with_capacity(count);
    let avoid: HashSet<u16> = avoid.iter().copied().collect();
    let first = u16::try_from(arbitrary() % span).unwrap_or(0);
    for step in 0..TRIES_MAX {
        if picked.len() == count {
            break;
        }
        let port = PORT_MIN + (first + step) % (PORT_END - PORT_MIN);
        if !avoid.contains(&port) && is_free(port) {
            picked.push(port);
        }
    }
    if picked.len() < count {
        let detail = format!("tried {TRIES_MAX} ports from {} on", PORT_MIN + first);
        return Err(Error::Port { server, detail });
    }
    Ok(picked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picked_ports_are_different_and_free() {
        let ports = pick("test", 3, &[]).unwrap();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 3);
        assert!(ports.iter().all(|port| (PORT_MIN..PORT_END).contains(port)));
    }

    #[test]
    fn a_port_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
