//! A way to a server that a test can cut or freeze, as a network does.

use std::io;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The state of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Everything gets through.
    Open,
    /// Every connection ends, and no new one lasts.
    Cut,
    /// Nothing gets through, and no connection ends: a black hole.
    Frozen,
}

/// A port of 127.0.0.1 that leads to a server on another one, for as long as its runtime lives.
#[derive(Debug)]
pub struct Proxy {
    server_port: u16,
    port: u16,
    way: watch::Sender<Way>,
}

impl Proxy {
    /// An open way to the server on this port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn to(server_port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (way, watched) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server_port, watched.clone()));
            }
        });
        Ok(Self { server_port, port, way })
    }

    /// An open way to the server at this address, which has its port in it.
    ///
    /// # Panics
    /// When it has none, or no port is free.
    pub async fn to_server_of(url: &str) -> Self {
        let port = url.rsplit_once(':').map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
        let port = port.and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("an address without a port"));
        Self::to(port).await.unwrap_or_else(|error| panic!("no port for a proxy: {error}"))
    }

    /// Opens, cuts or freezes the way.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// The address by which the server is reached over this way.
    #[must_use]
    pub fn through(&self, url: &str) -> String {
        url.replace(&format!(":{}/", self.server_port), &format!(":{}/", self.port))
    }
}

async fn carry(mut client: TcpStream, server_port: u16, mut way: watch::Receiver<Way>) {
    if *way.borrow() == Way::Cut {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = way.wait_for(|way| *way != Way::Open) => {}
    }
    let _thawed = way.wait_for(|way| *way != Way::Frozen).await;
}
