//! Metrics in Prometheus' text format. One recorder a process; names are `sojourn_<part>_<what>_<unit>`.

use std::{sync::OnceLock, thread, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Durations, in seconds: from a commit's microseconds to a minute's outage.
const SECONDS_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

const SIZE_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// How often recorded values are folded into their histograms. Until then each costs memory of its own, whether anybody
/// asks for the metrics or not.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The thread that does it; at most 15 bytes, or the system cuts them.
const UPKEEP_THREAD: &str = "metrics-upkeep";

/// The handle that renders the metrics.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

impl MetricsHandle {
    /// The text for `GET /metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Installs the process's recorder, or returns the one that is installed.
pub fn install() -> MetricsHandle {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    let handle = INSTALLED.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
            .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &SIZE_BUCKETS));
        let recorder = builder.expect("the buckets are not empty").build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder was installed first; /metrics will be empty");
        }
        keep_up(handle.clone());
        handle
    });
    MetricsHandle(handle.clone())
}

/// For as long as the process lives. A thread of its own: the recorder is the process's, a runtime may end before it.
fn keep_up(handle: PrometheusHandle) {
    let forever = move || loop {
        thread::sleep(UPKEEP_INTERVAL);
        handle.run_upkeep();
    };
    if let Err(error) = thread::Builder::new().name(UPKEEP_THREAD.to_owned()).spawn(forever) {
        tracing::error!(%error, "no thread for the upkeep of metrics; they grow until they are asked for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_folded_even_if_nobody_asks() {
        let handle = install();
        metrics::histogram!("sojourn_kit_test_seconds").record(0.2);
        assert!(handle.render().contains("sojourn_kit_test_seconds_bucket{le=\"0.25\"} 1"), "{}", handle.render());
        // A new thread names itself once it runs.
        let keeps_up = || {
            let threads = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
            let mut names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
            names.any(|name| name.trim() == UPKEEP_THREAD)
        };
        while !keeps_up() {
            thread::yield_now();
        }
    }
}
