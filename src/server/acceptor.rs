//! What every connection passes before HTTP is spoken on it: the limits on open connections, socket options, the TLS handshake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::client_stream::ClientStream;
use super::connection_limits::Connections;

/// How long a client may take for its part of the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How long what was sent may stay unacknowledged, or the client's window closed.
#[cfg(any(target_os = "linux", target_os = "android"))]
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How much the kernel takes that it cannot send yet: without a limit 4 MB for a client that does not read.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MOST_UNSENT: u32 = 64 * 1024;

#[derive(Clone)]
pub struct Acceptor {
    connections: Arc<Connections>,
    tls: Option<TlsAcceptor>,
}

impl Acceptor {
    pub fn new(connections: Connections, tls: Option<rustls::ServerConfig>) -> Self {
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        Self { connections: Arc::new(connections), tls }
    }

    /// The connection, ready for HTTP. It is closed without an answer when too many are open: an answer would cost what the limit is to
    /// spare.
    pub async fn accept(self, stream: TcpStream) -> Result<(ClientStream, Option<SocketAddr>), ()> {
        let peer = stream.peer_addr().map_err(drop)?;
        let permit = self.connections.admit(peer.ip().to_canonical()).ok_or(())?;
        if let Err(error) = set_options(&stream) {
            tracing::debug!(%error, "socket options not set");
        }
        let stream = match self.tls {
            None => ClientStream::new(stream, permit),
            Some(tls) => {
                let handshake = timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await;
                ClientStream::new(handshake.map_err(drop)?.map_err(drop)?, permit)
            }
        };
        Ok((stream, Some(peer)))
    }
}

/// Without `TCP_NODELAY` the end of an answer in several writes waits for the client's delayed acknowledgement, for 40 ms.
/// `TCP_USER_TIMEOUT` ends connections whose client does not read, what is in the kernel's buffers included; other systems close
/// them when they are idle. `TCP_NOTSENT_LOWAT` bounds those buffers, not what is in flight.
fn set_options(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(READ_WITHIN))?;
        socket.set_tcp_notsent_lowat(MOST_UNSENT)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_sockets_have_their_options() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        set_options(&server).unwrap();
        assert!(server.nodelay().unwrap());
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let socket = socket2::SockRef::from(&server);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(READ_WITHIN));
            assert_eq!(socket.tcp_notsent_lowat().unwrap(), MOST_UNSENT);
        }
        drop(client);
    }
}
