//! What a server process has printed.

use std::{
    io::{ErrorKind, PipeReader, PipeWriter, Read, pipe},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;
use tokio::{net::unix::pipe::Receiver, sync::watch};

/// The output of a process and of those that were started in its place. Reading it takes from the pipe first: a line that
/// was written before something that a test has seen is in what it reads then, however busy the machine is.
pub struct Log {
    output: Mutex<Output>,
    /// Changes when something was printed, and when the process has ended.
    printed: watch::Sender<()>,
}

#[derive(Default)]
struct Output {
    text: Vec<u8>,
    /// Of the process that runs, until it has ended.
    pipe: Option<PipeReader>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            output: Mutex::default(),
            printed: watch::Sender::new(()),
        }
    }
}

impl Log {
    /// Where a process is to print. The one before it has ended.
    pub fn follow(self: &Arc<Self>) -> PipeWriter {
        let (reader, writer) = pipe().unwrap();
        // Makes the pipe non-blocking for both.
        let receiver = Receiver::from_owned_fd(reader.try_clone().unwrap().into()).unwrap();
        self.taken().pipe = Some(reader);
        let log = self.clone();
        tokio::spawn(async move {
            while let Ok(()) = receiver.readable().await {
                let mut output = log.output.lock().unwrap();
                let mut chunk = [0; 16 * 1024];
                match receiver.try_read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => output.text.extend_from_slice(&chunk[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
                drop(output);
                log.printed.send_replace(());
            }
            log.printed.send_replace(());
        });
        writer
    }

    /// All of it until now.
    pub fn read(&self) -> String {
        String::from_utf8_lossy(&self.taken().text).into_owned()
    }

    /// The address that the line "listening" names, among what is printed after the first `before` bytes; `None` when the
    /// process ends without it.
    pub async fn listening(&self, before: usize) -> Option<SocketAddr> {
        let mut printed = self.printed.subscribe();
        loop {
            let text = self.read();
            let lines = text.get(before..).unwrap_or_default().lines();
            let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = lines.find(|line| line["fields"]["message"] == "listening") {
                return line["fields"]["listen.addr"].as_str()?.parse().ok();
            }
            self.output.lock().unwrap().pipe.as_ref()?;
            printed.changed().await.ok()?;
        }
    }

    /// The output, with what waited in the pipe.
    fn taken(&self) -> MutexGuard<'_, Output> {
        let mut output = self.output.lock().unwrap();
        let Output { text, pipe } = &mut *output;
        // What it has read until then is in the text, whatever ends it: that nothing waits, or that the process has ended.
        let ended = pipe.as_mut().map(|pipe| pipe.read_to_end(text));
        if let Some(Ok(_)) = ended {
            *pipe = None;
        }
        output
    }
}
