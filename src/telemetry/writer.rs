//! Writes log lines in a thread of its own, so that a blocked standard error does not block requests. Lines wait in a bounded queue;
//! lines that do not fit are dropped and counted, and the count is logged when writing is possible again.
//!
//! tracing-appender's writer does the same but, at the end of the program, prints to standard error if its queue is full, which blocks
//! forever if the pipe is not read.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// About 20,000 lines.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// Wait for queued lines at the end of the program.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

thread_local! {
    /// In the writer thread: the formatted notice about dropped lines, which must not queue behind other lines.
    static NOTICE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Queues lines and never blocks.
#[derive(Clone)]
pub struct LogWriter {
    lines: Sender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    queued_bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl LogWriter {
    pub fn start(output: impl Write + Send + 'static) -> Self {
        let (lines, queue) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let writer = Self { lines, counts: Arc::clone(&counts) };
        thread::spawn(move || write_lines(&queue, output, &counts));
        writer
    }

    /// Waits until all lines are written, at most [`FLUSH_WITHIN`]. Returns whether they are.
    pub fn flush(&self) -> bool {
        let began = Instant::now();
        while self.counts.queued_bytes.load(Ordering::SeqCst) > 0 {
            if began.elapsed() >= FLUSH_WITHIN {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    fn enqueue(&self, line: &[u8]) {
        let queued = self.counts.queued_bytes.fetch_add(line.len(), Ordering::SeqCst) + line.len();
        if queued > QUEUE_BYTES || self.lines.send(line.to_vec()).is_err() {
            self.counts.queued_bytes.fetch_sub(line.len(), Ordering::SeqCst);
            self.counts.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn write_lines(queue: &Receiver<Vec<u8>>, mut output: impl Write, counts: &Counts) {
    for line in queue {
        if output.write_all(&line).is_ok() {
            let dropped = counts.dropped.swap(0, Ordering::SeqCst);
            if dropped > 0 && output.write_all(&notice(dropped)).is_err() {
                counts.dropped.fetch_add(dropped, Ordering::SeqCst);
            }
        } else {
            counts.dropped.fetch_add(1, Ordering::SeqCst);
        }
        counts.queued_bytes.fetch_sub(line.len(), Ordering::SeqCst);
    }
}

/// The notice about dropped lines, in the log's format.
fn notice(dropped: u64) -> Vec<u8> {
    NOTICE.set(Some(Vec::new()));
    tracing::error!(dropped, "{dropped} log lines dropped: standard error could not be written");
    NOTICE.take().unwrap_or_default()
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// tracing-subscriber writes each line in one call.
impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_notice = NOTICE.with_borrow_mut(|notice| notice.as_mut().map(|notice| notice.extend(line)).is_some());
        if !is_notice {
            self.enqueue(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A standard error that can be written only while the lock is free.
    #[derive(Clone, Default)]
    struct Pipe(Arc<Mutex<Vec<u8>>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_queued_up_to_the_limit_and_then_dropped() {
        let pipe = Pipe::default();
        let unread = pipe.0.lock().unwrap();
        let writer = LogWriter::start(pipe.clone());
        let line = [b'x'; 1024];
        let began = Instant::now();
        (0..5000).for_each(|_| (&writer).write_all(&line).unwrap());
        assert_eq!(writer.counts.dropped.load(Ordering::SeqCst), 5000 - 4096);
        assert!(!writer.flush(), "nobody read");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        drop(unread);
        assert!(writer.flush());
        assert_eq!(pipe.0.lock().unwrap().len(), 4096 * 1024);
        assert_eq!(writer.counts.dropped.load(Ordering::SeqCst), 0, "the drops were not reported");
        (&writer).write_all(b"after").unwrap();
        assert!(writer.flush() && pipe.0.lock().unwrap().ends_with(b"after"));
    }
}
