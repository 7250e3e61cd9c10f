//! `sagactl watch` and `wait`: follow sagas over server-sent events until they end.

use contract::{SagaId, saga::SagaStatus};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    args::{Output, Selection, Watch},
    call::Call,
    changes::Changes,
    client::Client,
    commands::bulk,
    failure::Failure,
    live::{self, Wants},
    output,
    screen::{
        self, Key, Screen,
        following::{self, Following},
    },
    seen::{Record, Told, View},
    select,
};

/// Runs the command.
pub(crate) async fn run(call: &Call, watch: &Watch) -> Result<(), Failure> {
    let client = &call.client;
    let id: SagaId = watch.one.id.parse().map_err(|error| Failure::usage(format!("{error}")))?;
    match call.output {
        Output::Json | Output::Yaml => return Err(Failure::usage("a stream is not one document: use -o jsonl")),
        Output::Table if screen::is_possible() => on_a_page(client, id).await?,
        Output::Table | Output::Jsonl | Output::Ids => follow(client, id, Some(call.output)).await?,
    }
    if watch.exit_status { completed(client, id).await } else { Ok(()) }
}

/// Waits until all of several sagas have ended; an error when one did not complete.
pub(crate) async fn wait(call: &Call, selection: &Selection) -> Result<(), Failure> {
    // One after the other: the last one's end is waited for in any case.
    let mut report = bulk::Report::default();
    for id in select::sagas(call, selection).await?.ids {
        follow(&call.client, id, None).await?;
        report.add(id, completed(&call.client, id).await);
    }
    report.end()
}

/// Waits until sagas have ended, and puts how each ended in the place of what is known of it.
pub(crate) async fn until_ended(call: &Call, sagas: &mut [Told<View>]) -> Result<(), Failure> {
    let ended = async {
        for saga in sagas {
            let id: SagaId = saga.summary.id.parse().map_err(|error| Failure::error(format!("{error}")))?;
            follow(&call.client, id, None).await?;
            *saga = call.client.get(&format!("/sagas/{id}"), &[]).await?;
        }
        Ok(())
    };
    tokio::select! {
        biased;
        stop = call.stops.reached() => Err(call.stops.failure(stop)),
        ended = ended => ended,
    }
}

/// An error for a saga that has ended otherwise than completed.
async fn completed(client: &Client, id: SagaId) -> Result<(), Failure> {
    let saga = client.get::<Value>(&format!("/sagas/{id}"), &[]).await?;
    match saga["status"].as_str() {
        Some(status) if status == SagaStatus::Completed.as_str() => Ok(()),
        status => Err(Failure::error(format!("the saga is {}", output::printable(status.unwrap_or("gone"))))),
    }
}

/// Follows a saga until it has ended, and tells of it in the output's shape, if there is one.
async fn follow(client: &Client, id: SagaId, output: Option<Output>) -> Result<(), Failure> {
    let mut changes = Changes::default();
    let take = |record: Told<Record>| match output {
        None => Ok(()),
        Some(Output::Jsonl) => output::print_json_line(&record),
        Some(Output::Ids) => output::print_line(&record.seq.to_string()),
        Some(Output::Table | Output::Json | Output::Yaml) => {
            changes.told(&record).iter().try_for_each(|line| output::print_line(line))
        }
    };
    follow_records(client, id, take, output::note).await
}

async fn follow_records(
    client: &Client,
    id: SagaId,
    mut take: impl FnMut(Told<Record>) -> Result<(), Failure>,
    say: impl Fn(&str),
) -> Result<(), Failure> {
    let events = |event: &eventsource_stream::Event| match event.event.as_str() {
        "record" => take(live::data(event)?).map(|()| Wants::More),
        "end" => Ok(Wants::NoMore),
        // Newer servers may say more.
        _ => Ok(Wants::More),
    };
    live::follow(client, &format!("/sagas/{id}/events"), events, say).await
}

/// Follows a saga on a page of the terminal until it ends or a person leaves; what happened stays behind as lines.
async fn on_a_page(client: &Client, id: SagaId) -> Result<(), Failure> {
    let mut page = Following::of(&id.to_string());
    let left = {
        let mut screen = Screen::open()?;
        turn_pages(client, id, &mut page, &mut screen, Ending::Leave).await
    };
    page.lines().iter().try_for_each(|line| output::print_line(line))?;
    left
}

/// Whether the page of a saga that has ended stays until a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Leave,
    Stay,
}

/// Draws the page anew with all that is heard and pressed.
pub(crate) async fn turn_pages(
    client: &Client,
    id: SagaId,
    page: &mut Following,
    screen: &mut Screen,
    ending: Ending,
) -> Result<(), Failure> {
    enum Heard {
        Record(Box<Told<Record>>),
        Said(String),
    }
    let (told, mut news) = mpsc::unbounded_channel();
    let said = told.clone();
    let take = move |record| {
        // The page is gone: so is the wish to follow.
        let _ = told.send(Heard::Record(Box::new(record)));
        Ok(())
    };
    let say = move |text: &str| drop(said.send(Heard::Said(text.to_owned())));
    let mut following = std::pin::pin!(follow_records(client, id, take, say));
    let mut follows = true;
    loop {
        if !follows && ending == Ending::Leave && news.is_empty() {
            return Ok(());
        }
        screen.draw(|frame, palette| page.draw(frame, palette))?;
        tokio::select! {
            biased;
            Some(heard) = news.recv() => match heard {
                Heard::Record(record) => page.heard(&record),
                Heard::Said(text) => page.say(text),
            },
            ended = &mut following, if follows => {
                ended?;
                follows = false;
                page.end();
            }
            key = screen.key() => match key? {
                Key::Interrupt => return Err(Failure::interrupted()),
                key if following::leaves(key) => return Ok(()),
                _ => {}
            },
        }
    }
}
