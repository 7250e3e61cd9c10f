//! `sagactl processes`: the programs that run, in which versions, and how the ways to the domains are.

use crate::{
    args::Output,
    client::Client,
    failure::Failure,
    output::{self, printable},
    processes,
    seen::{Processes, Told},
};

/// Runs the command.
pub(crate) async fn run(client: &Client, output: Output) -> Result<(), Failure> {
    let told: Told<Processes> = client.get("/processes", &[]).await?;
    match output {
        Output::Table => {
            let silent = processes::silent_shards(&told);
            let silent = (!silent.rows.is_empty()).then_some(("Silent shards", silent));
            let parts = [("Orchestrators", processes::orchestrators(&told))].into_iter().chain(silent);
            let parts = parts.chain([("Workers", processes::workers(&told)), ("Domains", processes::domains(&told))]);
            let parts: Vec<_> = parts.map(|(title, rows)| format!("{title}\n{}\n", rows.table())).collect();
            output::print(&parts.join("\n"))
        }
        Output::Json | Output::Yaml => output::print_document(&told, output),
        Output::Jsonl => output::print_json_line(&told),
        Output::Ids => {
            let orchestrators = told.orchestrators.iter().map(|one| &one.instance);
            let mut instances = orchestrators.chain(told.workers.iter().map(|one| &one.instance));
            instances.try_for_each(|instance| output::print_line(&printable(instance)))
        }
    }
}
