//! `sagactl errors`: failures grouped by definition, step and code, the most numerous first.

use std::cmp::Reverse;

use contract::orchestrator_api::ErrorGroup;

use crate::{
    args::{Errors, Output},
    bars::bars,
    client::Client,
    failure::Failure,
    output,
    seen::Told,
};

/// Runs the command.
pub(crate) async fn run(client: &Client, errors: &Errors, output: Output) -> Result<(), Failure> {
    let query: Vec<_> = errors.name.iter().map(|name| ("name", name.clone())).collect();
    let wanted = if errors.limit == 0 { usize::MAX } else { errors.limit as usize };
    let (mut groups, more) = client.list::<Told<ErrorGroup>>("/errors", &query, wanted).await?;
    groups.sort_by_key(|group| Reverse((group.count, group.last_at)));
    match output {
        Output::Table if groups.is_empty() => output::note("no failures"),
        Output::Table => output::print_line(&table(&groups))?,
        Output::Json | Output::Yaml => output::print_document(&groups, output)?,
        Output::Jsonl => groups.iter().try_for_each(output::print_json_line)?,
        Output::Ids => groups.iter().try_for_each(|group| output::print_line(&output::printable(&group.error)))?,
    }
    if more {
        output::note(&format!("there are more than {}; raise --limit, or --limit 0 for all", errors.limit));
    }
    Ok(())
}

fn table(groups: &[Told<ErrorGroup>]) -> String {
    let rows = groups.iter().map(|group| {
        let more = if group.count_is_cut { "+" } else { "" };
        vec![
            output::printable(&group.name),
            output::printable(&group.error),
            format!("{}{more}", group.count),
            group.hours.iter().sum::<u64>().to_string(),
            format!("[{}]", bars(&group.hours)),
            group.needing_attention.to_string(),
            output::time(group.first_at),
            output::time(group.last_at),
        ]
    });
    output::table(&["NAME", "ERROR", "30 DAYS", "24 HOURS", "BY HOUR", "WAITING", "FIRST", "LAST"], rows)
}
