//! The figures as text: medians of all runs, and the ratios to the floor.

use std::collections::BTreeMap;

use crate::{
    latency::{Run, median},
    meter::Usage,
};

/// The figures of one run at one load.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) in_flight: usize,
    pub(crate) sojourn: Run,
    pub(crate) floor: Run,
    /// By process group, during the run of Sojourn.
    pub(crate) usage: BTreeMap<&'static str, Usage>,
}

/// Prints the table of one load.
pub(crate) fn print(samples: &[&Sample]) {
    let Some(first) = samples.first() else { return };
    let of = |figure: &dyn Fn(&Sample) -> f64| median(samples.iter().map(|sample| figure(sample)).collect());
    println!("\n{} in flight (median of {} runs)", first.in_flight, samples.len());
    println!("  {:<10} {:>10} {:>9} {:>9} {:>9}", "", "sagas/s", "p50 ms", "p95 ms", "p99 ms");
    let row = |name: &str, run: &dyn Fn(&Sample) -> &Run| {
        println!(
            "  {name:<10} {:>10.1} {:>9.2} {:>9.2} {:>9.2}",
            of(&|sample| run(sample).per_second()),
            of(&|sample| run(sample).percentile_ms(0.50)),
            of(&|sample| run(sample).percentile_ms(0.95)),
            of(&|sample| run(sample).percentile_ms(0.99)),
        );
    };
    row("sojourn", &|sample| &sample.sojourn);
    row("floor", &|sample| &sample.floor);
    println!(
        "  ratio to the floor: throughput {:.2}, p50 {:.2}",
        of(&|sample| sample.sojourn.per_second() / sample.floor.per_second()),
        of(&|sample| sample.sojourn.percentile_ms(0.50) / sample.floor.percentile_ms(0.50)),
    );
    println!("  {:<14} {:>18} {:>12} {:>14}", "group", "CPU-s/1000 sagas", "peak MB", "MB written");
    for group in first.usage.keys() {
        let used = |figure: &dyn Fn(&Usage, &Run) -> f64| {
            of(&|sample| sample.usage.get(group).map_or(f64::NAN, |usage| figure(usage, &sample.sojourn)))
        };
        println!(
            "  {group:<14} {:>18.3} {:>12.0} {:>14.1}",
            used(&|usage, run| usage.cpu_seconds * 1000.0 / run.completed as f64),
            used(&|usage, _| usage.memory_peak_bytes as f64 / 1e6),
            used(&|usage, _| usage.written_bytes as f64 / 1e6),
        );
    }
}
