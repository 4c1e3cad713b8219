//! The end of the program: by Ctrl-C or, on Unix, by SIGTERM.

use std::io;

use tokio::sync::watch;

/// Turns true once, when the process is asked to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// From here on a signal no longer ends the process by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        let (told, stop) = watch::channel(false);
        let signal = signal()?;
        tokio::spawn(async move {
            signal.await;
            told.send_replace(true);
        });
        Ok(Self(stop))
    }

    pub(crate) async fn asked(mut self) {
        let _ = self.0.wait_for(|asked| *asked).await;
    }
}

#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Where there is no such signal, the process is stopped by other means.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
