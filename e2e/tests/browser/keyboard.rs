//! The pages by the keyboard alone.

use crate::browser::Browser;

/// The keys that a page explains under `?`.
pub(crate) async fn walks(operator: &Browser) {
    operator.open("/ops/sagas").await;
    operator.press("/").await;
    operator.until("the focus in the query bar", "document.activeElement.name === 'q'").await;
    operator.press("\u{E00C}").await;
    operator.until("the focus out of the query bar", "document.activeElement.name !== 'q'").await;
    for (key, row) in [("j", 0), ("j", 1), ("k", 0), ("j", 1)] {
        operator.press(key).await;
        let focused = format!("document.activeElement === document.querySelectorAll('a.row')[{row}]");
        operator.until(&format!("the focus on row {row}"), &focused).await;
    }
    operator.press("x").await;
    operator
        .until("one selected saga", "document.querySelector('[data-selected]').textContent === 'Act on 1 selected'")
        .await;
    let second = operator.ask("document.querySelectorAll('a.row')[1].getAttribute('href')").await.unwrap();
    operator.press("\u{E007}").await;
    operator.until_at(second.as_str().unwrap()).await;

    operator.press("?").await;
    operator.until_says("#help", "Keyboard").await;
    operator.press("\u{E00C}").await;
    operator.until("no help any more", "!document.getElementById('help').open").await;
    operator.press(":").await;
    operator.until("the palette", "document.getElementById('palette').open").await;
    operator.press("dead").await;
    operator.until("one page that is found", "document.querySelectorAll('#palette li').length === 2").await;
    operator.press("\u{E007}").await;
    operator.until_at("/ops/dead-letters").await;
    for (keys, path) in [
        ("gs", "/ops/sagas"),
        ("ga", "/ops/sagas?q=status%3Aneeds_attention"),
        ("gj", "/ops/jobs"),
        ("gd", "/ops/definitions"),
        ("go", "/ops"),
    ] {
        operator.press_until_at(keys, path).await;
    }
}
