//! `sagactl list`: fetches pages until the limit or the end, and prints.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{Page, PageToken, limits::PAGE_SIZE_MAX, orchestrator_api::SagaFilter};
use serde_json::Value;

use crate::{
    args::{Filters, List, Output},
    client::Client,
    failure::Failure,
    output, select,
};

/// Runs the command.
pub(crate) async fn run(client: &Client, list: List, output: Output, now: DateTime<Utc>) -> Result<(), Failure> {
    let limit = if list.limit == 0 { usize::MAX } else { list.limit as usize };
    let mut conditions = match &list.query {
        Some(query) => select::query(query, now)?.parameters(),
        None => filter(&list.filter, now)?.parameters(),
    };
    conditions.extend(list.by_hold.then(|| ("sort", "holds_until".to_owned())));
    let mut kept: Vec<Value> = Vec::new();
    let mut printed = 0_usize;
    let mut token: Option<PageToken> = None;
    loop {
        let wanted = (limit - printed - kept.len()).min(PAGE_SIZE_MAX as usize);
        let mut query = conditions.clone();
        query.push(("page_size", wanted.to_string()));
        query.extend(token.take().map(|token| ("page_token", token.as_str().to_owned())));
        let page: Page<Value> = client.get("/sagas", &query).await?;
        let items = page.items.into_iter().take(wanted);
        match output {
            // Line by line as it comes, so that a long list can be piped.
            Output::Ids => printed += each(items, |saga| output::print_line(&output::field(saga, "id")))?,
            Output::Jsonl => printed += each(items, output::print_json_line)?,
            Output::Table | Output::Json | Output::Yaml => kept.extend(items),
        }
        token = page.next_page_token;
        if token.is_none() || printed + kept.len() >= limit {
            break;
        }
    }
    match output {
        Output::Json | Output::Yaml => output::print_document(&kept, output)?,
        Output::Table if kept.is_empty() => output::note("no sagas"),
        Output::Table => output::print_line(&output::saga_table(&kept))?,
        Output::Ids | Output::Jsonl => {}
    }
    if token.is_some() {
        output::note(&format!("there are more than {}; raise --limit, or --limit 0 for all", list.limit));
    }
    Ok(())
}

fn each(items: impl Iterator<Item = Value>, print: impl Fn(&Value) -> Result<(), Failure>) -> Result<usize, Failure> {
    let mut count = 0;
    for item in items {
        print(&item)?;
        count += 1;
    }
    Ok(count)
}

/// The conditions that the flags say.
pub(crate) fn filter(flags: &Filters, now: DateTime<Utc>) -> Result<SagaFilter, Failure> {
    let time = |flag: &str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        moment(text, now).map(Some).ok_or_else(|| {
            Failure::usage(format!(
                "{flag}: `{text}` is neither a time such as 2026-12-01T08:00:00Z nor an age such as 30m, 2h, 7d"
            ))
        })
    };
    let Filters { status, name, business_key, owner, attribute, error, paused, since, until, holds_before } = flags;
    Ok(SagaFilter {
        status: status.clone(),
        name: name.clone(),
        business_key: business_key.clone(),
        owner: owner.clone(),
        attributes: attribute.join(",").parse().map_err(|error| Failure::usage(format!("--attribute: {error}")))?,
        error: error.clone(),
        paused: *paused,
        created_after: time("--since", since)?,
        created_before: time("--until", until)?,
        holds_before: *holds_before,
        ..SagaFilter::default()
    })
}

/// A time, or an age before `now`.
fn moment(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let unit = text.chars().last()?;
    let count: i64 = text.strip_suffix(unit)?.parse().ok().filter(|count| *count >= 0)?;
    let age = match unit {
        's' => TimeDelta::try_seconds(count),
        'm' => TimeDelta::try_minutes(count),
        'h' => TimeDelta::try_hours(count),
        'd' => TimeDelta::try_days(count),
        'w' => TimeDelta::try_weeks(count),
        _ => None,
    }?;
    now.checked_sub_signed(age)
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;

    use super::*;

    #[test]
    fn a_moment_is_a_time_or_an_age() {
        let now: DateTime<Utc> = "2026-12-01T12:00:00Z".parse().unwrap();
        let at = |text| moment(text, now).map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        assert_eq!(at("2h").as_deref(), Some("2026-12-01T10:00:00Z"));
        assert_eq!(at("7d").as_deref(), Some("2026-11-24T12:00:00Z"));
        assert_eq!(at("2026-11-01T00:00:00+01:00").as_deref(), Some("2026-10-31T23:00:00Z"));
        for wrong in ["", "h", "-2h", "2y", "yesterday", "99999999999999999d", "2é"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }
}
