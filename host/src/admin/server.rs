//! The server of the admin socket.
//!
//! The socket is created inside a private folder and then moved to its path, so at no moment can other users connect.
//! The same move replaces a socket that a killed host left behind; the lock of the data folder ensures that no host
//! uses it.

use std::convert::Infallible;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::requests::{State, respond};
use crate::{folder, limits};

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on the admin socket `{}`", path.display())]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

/// A bound socket. Dropping it removes the socket.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    state: State,
}

impl Server {
    /// Binds `<data>/seam.sock`. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// When the folder is not writable, or its path is too long for a socket (about 90 bytes).
    pub fn bind(state: State) -> Result<Self, Error> {
        let path = folder::socket(state.folder.path());
        match bind(state.folder.path(), &path) {
            Ok(listener) => Ok(Self { listener, path, state }),
            Err(source) => Err(Error { path, source }),
        }
    }

    /// Serves until the future is dropped.
    pub async fn run(self) {
        let permits = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_MAX));
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let state = self.state.clone();
                    tokio::spawn(async move {
                        serve(stream, state).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(target: "admin", %error, "cannot accept connections, will retry");
                    tokio::time::sleep(Duration::from_millis(limits::HTTP_ACCEPT_BACKOFF_MS)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

fn bind(data: &Path, path: &Path) -> std::io::Result<UnixListener> {
    let private = data.join(format!(".sock-{}", std::process::id()));
    std::fs::remove_dir_all(&private).ok();
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let bound = || {
        let created = private.join("s");
        let listener = UnixListener::bind(&created)?;
        std::fs::set_permissions(&created, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&created, path)?;
        Ok(listener)
    };
    let listener = bound();
    std::fs::remove_dir_all(&private).ok();
    listener
}

async fn serve(stream: UnixStream, state: State) {
    // From the kernel, so that a client cannot name another one.
    let user = stream.peer_cred().ok().map(|peer| peer.uid());
    let service = hyper::service::service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(respond(request, state, user).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::ADMIN_REQUEST_MS))
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(target: "admin", %error, "connection ended");
    }
}
