//! `sagactl top`: how an installation does, live on a terminal, or once in another shape.

use std::{mem, pin::pin, time::Duration};

use contract::SagaId;

use crate::{
    args::Output,
    call::Call,
    commands::watch::{self, Ending},
    failure::{Exit, Failure},
    look::Look,
    output, processes,
    screen::{
        self, Screen,
        following::Following,
        overview::{Overview, Wish},
    },
};

/// Between two looks: soon enough for a person, and four small questions.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) async fn run(call: &Call) -> Result<(), Failure> {
    if call.output == Output::Table && screen::is_possible() {
        return on_a_page(call).await;
    }
    let look = Look::take(&call.client).await?;
    match call.output {
        Output::Table => {
            output::print_line(&look.summary(usize::MAX))?;
            let parts = [
                ("Needs attention", look.needs_attention()),
                ("Sagas", look.counts()),
                ("Failures", look.errors()),
                ("Domains", processes::domains(&look.processes)),
            ];
            parts.into_iter().try_for_each(|(title, rows)| output::print_line(&format!("\n{title}\n{}", rows.table())))
        }
        Output::Json | Output::Yaml => output::print_document(&look, call.output),
        Output::Jsonl => output::print_json_line(&look),
        Output::Ids => {
            look.needs_attention.iter().try_for_each(|saga| output::print_line(&output::printable(&saga.id)))
        }
    }
}

async fn on_a_page(call: &Call) -> Result<(), Failure> {
    let client = &call.client;
    let mut screen = Screen::open()?;
    let mut page = Overview::default();
    let mut pause = Duration::ZERO;
    'looks: loop {
        let after = mem::replace(&mut pause, LOOK_EVERY);
        let mut look = pin!(async move {
            tokio::time::sleep(after).await;
            Look::take(client).await
        });
        loop {
            screen.draw(|frame, palette| page.draw(frame, palette, client.base()))?;
            let wish = tokio::select! {
                looked = &mut look => {
                    match looked {
                        Ok(look) => page.looked(look),
                        // It does not get better by looking again.
                        Err(failure) if failure.exit == Exit::Auth => return Err(failure),
                        Err(failure) => page.failed(failure.message),
                    }
                    continue 'looks;
                }
                key = screen.key() => page.pressed(key?),
            };
            match wish {
                Wish::Nothing => {}
                Wish::Leave => return Ok(()),
                Wish::EndInterrupted => return Err(Failure::interrupted()),
                Wish::LookNow => {
                    pause = Duration::ZERO;
                    continue 'looks;
                }
                Wish::Watch(id) => {
                    let id: SagaId = id.parse().map_err(|error| Failure::error(format!("{error}")))?;
                    let mut saga = Following::of(&id.to_string());
                    watch::turn_pages(client, id, &mut saga, &mut screen, Ending::Stay).await?;
                    pause = Duration::ZERO;
                    continue 'looks;
                }
            }
        }
    }
}
