//! Listening towards the internet. Here and not in the kit, because only the door meets strangers: headers must come
//! in time, be few and small, answers must be read, and connections are counted, by address too.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use kit::http::Calls;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    address::{ClientAddress, TrustedProxies},
    called_at::CalledAt,
    connections::{Connections, Kind},
};

/// The waits for clients, each of which ends a connection.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// A request's head to arrive, and a connection to be idle: longer than a phone on a bad network needs, short
    /// enough that held-open connections cost their owner effort.
    head: Duration,
    /// The same on a connection of the reserve, which is short of places.
    reserved_head: Duration,
    /// An answer to be read on when not one byte of it can be written: twice the sign of life of a stream, so that
    /// a phone in a tunnel is not cut off, and a client that never reads does not keep its place.
    unread: Duration,
}

/// The patience with real clients; tests have less.
const PATIENCE: Patience =
    Patience { head: Duration::from_secs(30), reserved_head: Duration::from_secs(3), unread: Duration::from_secs(30) };

/// The most headers of a request; browsers send some twenty.
const HEADERS_MAX: usize = 64;

/// The largest head of a request, in bytes: a token, an address and cookies of a browser fit four times.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long open requests may go on after the end was asked for; an orchestrator's commit is far shorter.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after the system refused a connection (no descriptors left): trying at once would only burn.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The people at the door: how many of them, and by whose word it is known where they are and where they called.
#[derive(Debug, Clone)]
pub(crate) struct Crowd {
    pub(crate) connections: Connections,
    pub(crate) proxies: TrustedProxies,
}

/// Serves until `token` is cancelled and open requests are answered.
pub(crate) fn serve(
    listener: TcpListener,
    router: Router,
    crowd: Crowd,
    calls: Calls,
    token: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(accept(listener, router, crowd, calls, PATIENCE, token))
}

async fn accept(
    listener: TcpListener,
    router: Router,
    crowd: Crowd,
    calls: Calls,
    patience: Patience,
    token: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = token.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = (!crowd.proxies.contain(peer.ip())).then(|| ClientAddress::of(peer.ip()));
        let place = match crowd.connections.take(address) {
            Ok(place) => place,
            // Closed at once: what waited in the system's queue would keep others out.
            Err(none) => {
                metrics::counter!("sojourn_gateway_connections_refused_total", "why" => none.as_str()).increment(1);
                continue;
            }
        };
        let proxies = crowd.proxies.clone();
        let connection = graceful.watch(connection(stream, peer, place.kind(), proxies, router.clone(), patience));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "a connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    let drained = async {
        graceful.shutdown().await;
        calls.finished().await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!("some requests were still open after {DRAIN_TIMEOUT:?}; they are broken off");
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    kind: Kind,
    proxies: TrustedProxies,
    router: Router,
    patience: Patience,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay could not be set");
    }
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let client = proxies.client(peer.ip(), request.headers());
        let at = if proxies.contain(peer.ip()) {
            CalledAt::told_by_a_proxy(request.headers())
        } else {
            CalledAt::told_by_a_client(request.headers())
        };
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(at);
        request.extensions_mut().insert(kind);
        router.call(request)
    });
    let head = match kind {
        Kind::Common => patience.head,
        Kind::Reserved => patience.reserved_head,
    };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Impatient { stream, unread: patience.unread, stuck: None }), service)
}

/// A connection that breaks off once nothing could be written to it for too long.
struct Impatient {
    stream: TcpStream,
    unread: Duration,
    /// Runs while a write waits.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn watched<T>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let written = write(Pin::new(&mut self.stream), context);
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let unread = self.unread;
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(unread)));
        let gave_up = || Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer"));
        stuck.as_mut().poll(context).map(|()| gave_up())
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.watched(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watched(context, |stream, context| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watched(context, |stream, context| stream.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{body::Body, routing::get};
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// No test here takes so long unless it fails.
    const FAR_TOO_LONG: Duration = Duration::from_secs(60);
    /// Long enough for any answer of these tests, on any machine.
    const LONG: Duration = Duration::from_secs(600);
    const SHORT: Duration = Duration::from_millis(100);

    async fn connected(router: Router, patience: Patience) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let crowd = Crowd { connections: Connections::new(10, 10), proxies: TrustedProxies::default() };
        tokio::spawn(accept(listener, router, crowd, Calls::new(10), patience, CancellationToken::new()));
        TcpStream::connect(address).await.unwrap()
    }

    /// The bytes that come until the server closes.
    async fn to_the_end(stream: &mut TcpStream) -> String {
        let mut said = Vec::new();
        let end = tokio::time::timeout(FAR_TOO_LONG, stream.read_to_end(&mut said)).await;
        // A connection that the server closed before we were done writing is reset: closed all the same.
        end.expect("the connection stays open").ok();
        String::from_utf8(said).unwrap()
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_to_its_end_closes_the_connection() {
        let router = Router::new().route("/", get(async || "hello"));
        for begun in ["", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
            let mut stream =
                connected(router.clone(), Patience { head: SHORT, reserved_head: SHORT, unread: LONG }).await;
            stream.write_all(begun.as_bytes()).await.ok();
            assert!(!to_the_end(&mut stream).await.contains("hello"), "{begun}");
        }
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_after_its_answer() {
        let router = Router::new().route("/", get(async || "hello"));
        // Long enough that the request itself comes in time.
        let head = Duration::from_secs(1);
        let mut stream = connected(router, Patience { head, reserved_head: head, unread: LONG }).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(to_the_end(&mut stream).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn an_answer_that_is_never_read_is_broken_off() {
        let dropped = CancellationToken::new();
        let body = {
            let dropped = dropped.clone();
            async move || {
                let guard = dropped.drop_guard();
                let endless = futures::stream::repeat_with(move || {
                    let _held = &guard;
                    Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 64 * 1024]))
                });
                Body::from_stream(endless)
            }
        };
        let mut stream =
            connected(Router::new().route("/", get(body)), Patience { head: LONG, reserved_head: LONG, unread: SHORT })
                .await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::time::timeout(FAR_TOO_LONG, dropped.cancelled()).await.expect("the answer is kept for ever");
    }
}
