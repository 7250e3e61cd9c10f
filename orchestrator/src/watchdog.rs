//! The watch over the lanes' tasks. One that hangs (a loop without an end in a mapping function, say) holds its shard and
//! a thread of this process for ever, and nothing within the runtime can take either from it: the process ends, and
//! its peers take its shards over.
//!
//! A poll of a task that does not return is a hang; a task that waits is none, however long. Nothing here reads a clock:
//! a process that was stopped for a while has not hung.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

/// Between two looks at the tasks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A task whose poll is the same at so many looks in a row hangs. The longest honest poll decides one batch, which
/// takes milliseconds.
const LOOKS_MAX: u32 = 10;

/// So many looks show in liveness, before the end.
const LOOKS_SUSPICIOUS: u32 = 5;

/// The watched tasks.
#[derive(Debug, Default)]
pub(crate) struct Watchdog(Mutex<Vec<Task>>);

/// A watched task as the watchdog sees it.
#[derive(Debug)]
struct Task {
    name: String,
    /// Odd while a poll lasts; gone with the task.
    polls: Weak<AtomicU64>,
    seen: u64,
    looks: u32,
}

/// A future under watch.
pub(crate) struct Watched<F> {
    future: Pin<Box<F>>,
    polls: Arc<AtomicU64>,
}

impl Watchdog {
    /// Watches over a future from its first poll to its end.
    pub(crate) fn watch<F: Future>(&self, name: String, future: F) -> Watched<F> {
        let polls = Arc::new(AtomicU64::new(0));
        self.tasks().push(Task { name, polls: Arc::downgrade(&polls), seen: 0, looks: 0 });
        Watched { future: Box::pin(future), polls }
    }

    /// The tasks that seem to hang, for liveness.
    pub(crate) fn suspicious(&self) -> Vec<String> {
        self.stuck(LOOKS_SUSPICIOUS)
    }

    /// Looks once; the tasks that hang.
    fn look(&self) -> Vec<String> {
        self.tasks().retain_mut(|task| {
            let Some(polls) = task.polls.upgrade() else { return false };
            let now = polls.load(Ordering::Relaxed);
            let same_poll = now % 2 == 1 && now == task.seen;
            task.looks = if same_poll { task.looks + 1 } else { 0 };
            task.seen = now;
            true
        });
        self.stuck(LOOKS_MAX)
    }

    fn stuck(&self, looks: u32) -> Vec<String> {
        self.tasks().iter().filter(|task| task.looks >= looks).map(|task| task.name.clone()).collect()
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after the tasks on a thread of its own, which no task can hold up, until the watchdog is dropped.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(watchdog: &Arc<Watchdog>, on_hang: impl Fn(&[String]) + Send + 'static) -> std::io::Result<()> {
    let watchdog = Arc::downgrade(watchdog);
    let look = move || {
        while let Some(watchdog) = watchdog.upgrade() {
            let hung = watchdog.look();
            if !hung.is_empty() {
                on_hang(&hung);
            }
            drop(watchdog);
            std::thread::sleep(LOOK_EVERY);
        }
    };
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(look).map(drop)
}

/// Ends the process at once: an orderly end would wait for the task that hangs.
pub(crate) fn end_process(hung: &[String]) {
    tracing::error!(?hung, "a task hangs; this process ends, and its peers take its shards over");
    std::process::abort();
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.polls.fetch_add(1, Ordering::Relaxed);
        let polled = this.future.as_mut().poll(context);
        this.polls.fetch_add(1, Ordering::Relaxed);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_task_that_does_not_return_is_found_and_one_that_waits_is_not() {
        let watchdog = Watchdog::default();
        let (entered, has_entered) = tokio::sync::oneshot::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let hanging = watchdog.watch("hanging".to_owned(), async move {
            entered.send(()).ok();
            may_leave.recv().ok();
        });
        let waiting = watchdog.watch("waiting".to_owned(), std::future::pending::<()>());
        let (hanging, waiting) = (tokio::spawn(hanging), tokio::spawn(waiting));
        has_entered.await.unwrap();
        for look in 0..LOOKS_MAX {
            assert!(watchdog.look().is_empty(), "look {look}");
        }
        assert_eq!(watchdog.look(), ["hanging"]);
        assert_eq!(watchdog.suspicious(), ["hanging"]);
        leave.send(()).unwrap();
        hanging.await.unwrap();
        assert!(watchdog.look().is_empty());
        waiting.abort();
        assert!(waiting.await.is_err());
        watchdog.look();
        assert!(watchdog.tasks().is_empty());
    }

    #[tokio::test]
    async fn a_task_that_is_polled_again_and_again_does_not_hang() {
        let watchdog = Watchdog::default();
        let mut busy = watchdog.watch("busy".to_owned(), async {
            loop {
                tokio::task::yield_now().await
            }
        });
        for _ in 0..2 * LOOKS_MAX {
            assert!(futures::poll!(&mut busy).is_pending());
            assert!(watchdog.look().is_empty());
        }
    }

    #[tokio::test]
    async fn the_thread_tells_of_a_hang_by_itself() {
        let watchdog = Arc::new(Watchdog::default());
        let (told, hung) = mpsc::channel();
        start(&watchdog, move |tasks| told.send(tasks.to_vec()).unwrap_or_default()).unwrap();
        let polls = Arc::new(AtomicU64::new(1));
        watchdog.tasks().push(Task {
            name: "hanging".to_owned(),
            polls: Arc::downgrade(&polls),
            seen: 1,
            looks: LOOKS_MAX - 1,
        });
        assert_eq!(hung.recv().unwrap(), ["hanging"]);
    }
}
