//! One port: takes connections in, speaks TLS where that is asked for, and answers until it is told
//! to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use squall_api::Peer;
use squall_env::Env;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

/// How long a client may take to agree on TLS.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How long the head of a request may take to arrive, and a connection may be idle.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// How long nothing is accepted after the system had no room for a connection.
const ROOM_WITHIN: Duration = Duration::from_secs(1);

/// How much is read of what is not answered, in bytes.
const UNREAD_MAX: u64 = 64 << 10;

/// What a client is told that speaks plain HTTP where TLS is spoken.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 71\r\n\r\n\
    {\"faultstring\": \"This port speaks TLS: the address begins with https.\"}";

/// A port that is to be served.
pub(super) struct Port {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    /// Speaks TLS, where it does.
    pub(super) tls: Option<TlsAcceptor>,
    /// A permit for each connection that may be open; more wait to be accepted.
    pub(super) room: Arc<Semaphore>,
    pub(super) env: Arc<dyn Env>,
}

impl Port {
    /// Serves until `stopped` holds, then closes the port and waits for the connections that still
    /// answer. Dropping it ends all connections.
    pub(super) async fn serve(self, mut stopped: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let (stream, address, place) = tokio::select! {
                () = stop(&mut stopped) => break,
                Some(_) = connections.join_next() => continue,
                accepted = self.accept() => accepted,
            };
            let connection = Connection {
                address,
                router: self.router.clone(),
                stopped: stopped.clone(),
            };
            let tls = self.tls.clone();
            connections.spawn(async move {
                connection.take(stream, tls).await;
                drop(place);
            });
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }

    /// The next connection, and its place among those that may be open.
    async fn accept(&self) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let place = Arc::clone(&self.room).acquire_owned().await;
        let place = place.expect("nobody closes the semaphore");
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => return (stream, address, place),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // No file descriptors, or no memory: connections that end make room.
                    tracing::error!(%error, "cannot accept connections");
                    self.env.sleep(ROOM_WITHIN).await;
                }
            }
        }
    }
}

/// Whether accepting failed because of the one connection that has gone meanwhile.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// A connection that was accepted.
struct Connection {
    address: SocketAddr,
    router: Router,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn take(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Events are small and must not wait for more.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return self.answer(stream, false).await;
        };
        let address = self.address;
        match timeout(HANDSHAKE_WITHIN, handshake(stream, &tls)).await {
            Ok(Ok(Some(stream))) => self.answer(stream, true).await,
            Ok(Ok(None)) => tracing::debug!(%address, "spoke plain HTTP where TLS is spoken"),
            Ok(Err(error)) => tracing::debug!(%address, %error, "did not agree on TLS"),
            Err(_) => tracing::debug!(%address, "did not agree on TLS in time"),
        }
    }

    /// Answers the requests of a connection, one after the other.
    async fn answer<S>(self, stream: S, is_encrypted: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Connection {
            address,
            router,
            mut stopped,
        } = self;
        let peer = Peer {
            address,
            is_encrypted,
        };
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .serve_connection(TokioIo::new(stream), service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(%address, %error, "a connection broke");
        }
    }
}

/// Returns when the port is to be closed.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    // An error says that the server is gone: a reason to stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Agrees on TLS. A client that speaks plain HTTP is told so, and gets no further.
async fn handshake(
    mut stream: TcpStream,
    tls: &TlsAcceptor,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    // TLS begins with a 22 (RFC 8446, 5.1), plain HTTP with a method.
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        stream.write_all(SPEAK_TLS).await?;
        stream.shutdown().await?;
        // What is closed with bytes unread takes its answer back.
        tokio::io::copy(&mut stream.take(UNREAD_MAX), &mut tokio::io::sink()).await?;
        return Ok(None);
    }
    tls.accept(stream).await.map(Some)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{DuplexStream, duplex};
    use tokio::sync::Notify;

    use super::*;

    /// The client's end of a connection to a server with one page, which waits to be let go.
    fn connect(
        page: &Arc<Notify>,
    ) -> (
        DuplexStream,
        watch::Sender<bool>,
        tokio::task::JoinHandle<()>,
    ) {
        let (client, server) = duplex(4096);
        let (stop, stopped) = watch::channel(false);
        let page = Arc::clone(page);
        let answer = move |axum::Extension(peer): axum::Extension<Peer>| {
            let page = Arc::clone(&page);
            async move {
                page.notified().await;
                format!("hello {}", peer.address)
            }
        };
        let connection = Connection {
            address: "192.0.2.7:5".parse().unwrap(),
            router: Router::new().route("/", get(answer)),
            stopped,
        };
        (client, stop, tokio::spawn(connection.answer(server, false)))
    }

    async fn read_all(client: &mut DuplexStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_arrive_is_given_up() {
        for part in ["", "GET / HTTP/1.1\r\nx-slow: "] {
            let began = tokio::time::Instant::now();
            let (mut client, _stop, _) = connect(&Arc::default());
            client.write_all(part.as_bytes()).await.unwrap();
            let answer = read_all(&mut client).await;
            assert!(!answer.contains("200"), "{answer}");
            assert_eq!(began.elapsed().as_secs(), HEAD_WITHIN.as_secs(), "{part}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_being_answered_when_the_server_stops_gets_the_answer() {
        let page = Arc::new(Notify::new());
        let (mut client, stop, connection) = connect(&page);
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        // The page is being made once it waits to be let go.
        tokio::task::yield_now().await;
        stop.send_replace(true);
        tokio::task::yield_now().await;
        page.notify_one();
        let answer = read_all(&mut client).await;
        assert!(answer.ends_with("hello 192.0.2.7:5"), "{answer}");
        connection.await.unwrap();
    }
}
