//! The news of jobs for those who follow them: one task reads each job that is followed, once for all of them, and only when the
//! journal tells that some job has moved.

use std::{sync::Arc, time::Duration};

use contract::orchestrator_api::JobView;
use journal::JournalError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// Between attempts to read while the journal does not answer.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Reads for the followers until the process ends.
pub(crate) async fn serve(shared: Arc<Shared>, stop: CancellationToken) {
    let mut moved = shared.journal.jobs_moved();
    loop {
        moved.borrow_and_update();
        let read = read_followed(&shared).await;
        if let Err(error) = &read {
            tracing::debug!(error = kit::settings::error_chain(error), "the followers of jobs wait");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            told = moved.changed() => {
                if told.is_err() {
                    return;
                }
            }
            () = shared.job_followers.joined() => {}
            () = sleep(READ_AGAIN), if read.is_err() => {}
        }
    }
}

async fn read_followed(shared: &Shared) -> Result<(), JournalError> {
    for id in shared.job_followers.jobs() {
        // A job that was forgotten meanwhile has no news.
        let Some(job) = shared.journal.job(id).await? else { continue };
        let refusals = shared.journal.job_refusals(id).await?;
        shared.job_followers.tell(id, JobView { job, refusals });
    }
    Ok(())
}
