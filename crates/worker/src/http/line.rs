//! The bytes of a connection on their way, watched: whether the client takes what is written to it. Changes none of them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::conduct::{Conduct, Taken};

/// A socket, and how its client behaves.
pub(super) struct Line {
    stream: TcpStream,
    conduct: Arc<Conduct>,
    taken: Taken,
    unread: Unread,
}

/// Whether something was written that the client has not taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    Nothing,
    Something,
}

impl Line {
    pub(super) fn new(stream: TcpStream, conduct: Arc<Conduct>) -> Self {
        Self { stream, conduct, taken: Taken::default(), unread: Unread::Nothing }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending if self.unread == Unread::Nothing => {
                self.unread = Unread::Something;
                self.conduct.unread(Instant::now());
            }
            Poll::Ready(Ok(bytes)) if self.taken.add(*bytes) => self.conduct.progress(Instant::now()),
            Poll::Pending | Poll::Ready(_) => {}
        }
        written
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for once everything was written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread == Unread::Something {
            self.unread = Unread::Nothing;
            self.conduct.all_read(Instant::now());
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for Line {
    /// Data that the client does not read must not fill the system's buffers either.
    fn drop(&mut self) {
        if self.conduct.is_cut() {
            // If it cannot be set, the system waits a while longer for the client.
            let _ = self.stream.set_zero_linger();
        }
    }
}
