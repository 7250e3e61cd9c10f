//! Listening towards the internet. Here and not in the kit, because only the door meets strangers: headers must come
//! in time, be few and small, and connections are counted.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long a request's head may take to arrive, and a connection may be idle: longer than a phone on a bad network
/// needs, short enough that held-open connections cost their owner effort.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The most headers of a request; browsers send some twenty.
const HEADERS_MAX: usize = 64;

/// The largest head of a request, in bytes: a token, an address and cookies of a browser fit four times.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long open requests may go on after the end was asked for; an orchestrator's commit is far shorter.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after the system refused a connection (no descriptors left): trying at once would only burn.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds, then serves until `token` is cancelled and open requests are answered.
pub(crate) async fn serve(
    address: SocketAddr,
    router: Router,
    connections_max: usize,
    token: CancellationToken,
) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((bound, tokio::spawn(accept(listener, router, connections_max, token))))
}

async fn accept(listener: TcpListener, router: Router, connections_max: usize, token: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = token.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = graceful.watch(connection(stream, peer, router.clone()));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%peer, %error, "a connection broke off");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still open after {DRAIN_TIMEOUT:?}; they are broken off");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay could not be set");
    }
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
}
