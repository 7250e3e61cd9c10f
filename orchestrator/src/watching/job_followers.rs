//! The followers of jobs in this process, and the last that was read of each job that is followed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use contract::{JobId, orchestrator_api::JobView};
use tokio::sync::{Notify, watch};

/// All followers of this process, by job.
#[derive(Debug)]
pub(crate) struct JobFollowers {
    count_max: usize,
    jobs: Mutex<HashMap<JobId, Followed>>,
    /// Told when a job is followed that has not been read yet.
    joined: Notify,
}

/// A job with at least one follower.
#[derive(Debug)]
struct Followed {
    count: usize,
    view: watch::Sender<Option<Arc<JobView>>>,
}

/// One follower's place, counted for as long as it lives.
#[derive(Debug)]
pub(crate) struct FollowedJob {
    followers: Arc<JobFollowers>,
    id: JobId,
    view: watch::Receiver<Option<Arc<JobView>>>,
    told: Option<Arc<JobView>>,
}

impl JobFollowers {
    pub(crate) fn new(count_max: usize) -> Self {
        Self { count_max, jobs: Mutex::default(), joined: Notify::new() }
    }

    /// A place for one more follower, if there is one.
    pub(crate) fn follow(self: &Arc<Self>, id: JobId) -> Option<FollowedJob> {
        let mut jobs = self.lock();
        if jobs.values().map(|followed| followed.count).sum::<usize>() >= self.count_max {
            return None;
        }
        let followed = jobs.entry(id).or_insert_with(|| Followed { count: 0, view: watch::Sender::new(None) });
        followed.count += 1;
        self.joined.notify_one();
        Some(FollowedJob { followers: Arc::clone(self), id, view: followed.view.subscribe(), told: None })
    }

    /// Waits until somebody has joined since the last call.
    pub(super) async fn joined(&self) {
        self.joined.notified().await;
    }

    /// The jobs that are followed.
    pub(super) fn jobs(&self) -> Vec<JobId> {
        self.lock().keys().copied().collect()
    }

    /// Tells those who follow a job how it stands, where that is new.
    pub(super) fn tell(&self, id: JobId, view: JobView) {
        if let Some(followed) = self.lock().get(&id) {
            let view = Some(Arc::new(view));
            followed.view.send_if_modified(|known| {
                let differs = *known != view;
                *known = view;
                differs
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Followed>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FollowedJob {
    /// The job as it stands, once that is not what was told last.
    pub(crate) async fn next(&mut self) -> Arc<JobView> {
        let told = self.told.clone();
        let moved = self.view.wait_for(|view| view.is_some() && *view != told).await;
        match moved.ok().and_then(|view| view.clone()) {
            Some(view) => {
                self.told = Some(Arc::clone(&view));
                view
            }
            // Cannot be: the sender stays while this place is held.
            None => std::future::pending().await,
        }
    }
}

impl Drop for FollowedJob {
    fn drop(&mut self) {
        let mut jobs = self.followers.lock();
        if let Some(followed) = jobs.get_mut(&self.id) {
            followed.count -= 1;
            if followed.count == 0 {
                jobs.remove(&self.id);
            }
        }
    }
}
