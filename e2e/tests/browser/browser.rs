//! One headless browser with one person in front of it. Everything is waited for in the page as it is drawn: an act whose
//! page is still on its way is tried again, up to a generous limit.

use std::{cell::Cell, fs, path::PathBuf, time::Duration};

use e2e::wait;
use private_servers::ChromeDriver;
use serde_json::{Value, json};
use thirtyfour::{
    By, ChromiumLikeCapabilities as _, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver, components::SelectElement,
};
use tokio::time::Instant;

/// How long a page may take to show something: a slow machine draws while everything else runs on it.
pub(crate) const SHOWN_WITHIN: Duration = Duration::from_secs(90);

/// How long keys may take to lead somewhere before they are pressed again.
const PRESSED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The switches of Chromium that a test needs: no sandbox, because root runs tests in containers, and no calls home.
const SWITCHES: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-crash-reporter",
    "--no-first-run",
    // A machine without a mouse would say that nothing can be pointed at.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
];

/// How a page is looked at: its width in pixels, and whether the system is dark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Eyes {
    pub(crate) width: u32,
    pub(crate) dark: bool,
}

/// The widest telephone, in pixels.
const PHONE_WIDTH_MAX: u32 = 640;

/// How most operators look.
pub(crate) const DESK: Eyes = Eyes { width: 1440, dark: false };

/// The tallest page of which a picture is taken whole, in pixels.
const PICTURE_HEIGHT_MAX: u64 = 6_000;

/// A browser at the door.
pub(crate) struct Browser {
    driver: WebDriver,
    door: String,
}

impl Browser {
    /// Starts a browser that knows nobody.
    pub(crate) async fn start(server: &ChromeDriver, door: &str) -> Self {
        let mut wishes = DesiredCapabilities::chrome();
        for switch in SWITCHES {
            wishes.add_arg(switch).unwrap();
        }
        wishes.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let driver = WebDriver::new(server.url(), wishes).await;
        let driver = driver.unwrap_or_else(|error| panic!("no browser: {error}\n{}", server.log_tail()));
        let browser = Self { driver, door: door.to_owned() };
        browser.look(DESK).await;
        browser
    }

    /// Starts a browser and logs in.
    pub(crate) async fn of(server: &ChromeDriver, door: &str, email: &str, password: &str) -> Self {
        let browser = Self::start(server, door).await;
        browser.open("/ops/login").await;
        browser.log_in(email, password).await;
        browser.until_at("/ops").await;
        browser
    }

    /// Fills the login page in and sends it.
    pub(crate) async fn log_in(&self, email: &str, password: &str) {
        self.fill("[name=email]", email).await;
        self.fill("[name=password]", password).await;
        self.click("main button.primary").await;
    }

    pub(crate) async fn close(self) {
        self.driver.quit().await.unwrap();
    }

    /// Opens a page and waits until it is there, whole. The driver alone may come back while the page before is still shown.
    pub(crate) async fn open(&self, path: &str) {
        self.ask("window.isLeft = true").await.unwrap();
        self.driver.goto(format!("{}{path}", self.door)).await.unwrap();
        self.until("another page", "document.readyState === 'complete' && window.isLeft === undefined").await;
    }

    /// Changes how the page is looked at, as it stands.
    pub(crate) async fn look(&self, eyes: Eyes) {
        self.size(eyes.width, 900).await;
        let scheme = if eyes.dark { "dark" } else { "light" };
        // Without motion, so that no color is looked at while it changes.
        let still = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }, still] });
        self.driver.cdp().send_raw("Emulation.setEmulatedMedia", media).await.unwrap();
    }

    async fn size(&self, width: u32, height: u64) {
        // A telephone's scroll bars take no room.
        let mobile = width <= PHONE_WIDTH_MAX;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.driver.cdp().send_raw("Emulation.setDeviceMetricsOverride", size).await.unwrap();
    }

    /// The value of an expression in the page, which may be a promise.
    pub(crate) async fn ask(&self, expression: &str) -> Result<Value, String> {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.driver.cdp().send_raw("Runtime.evaluate", asked).await.map_err(|error| error.to_string())?;
        match answer.get("exceptionDetails") {
            Some(exception) => Err(exception.to_string()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        wait::until(what, SHOWN_WITHIN, || async {
            if self.ask(expression).await? == Value::Bool(true) { Ok(()) } else { Err(self.shown().await) }
        })
        .await;
    }

    /// Waits until the page at this path is there, whole.
    pub(crate) async fn until_at(&self, path: &str) {
        let at =
            format!("document.readyState === 'complete' && location.pathname + location.search === {}", quoted(path));
        self.until(&format!("the page {path}"), &at).await;
    }

    /// Waits until an element that can be seen says these words.
    pub(crate) async fn until_says(&self, element: &str, words: &str) {
        let says = format!(
            "[...document.querySelectorAll({})].some((one) => one.checkVisibility() && one.innerText.includes({}))",
            quoted(element),
            quoted(words)
        );
        self.until(&format!("`{words}` in {element}"), &says).await;
    }

    /// Opens a page that does not bring itself up to date, again and again, until it shows something.
    pub(crate) async fn open_until(&self, path: &str, what: &str, expression: &str) {
        wait::until(what, SHOWN_WITHIN, || async {
            self.open(path).await;
            if self.ask(expression).await? == Value::Bool(true) { Ok(()) } else { Err(self.shown().await) }
        })
        .await;
    }

    /// Whether there is such an element.
    pub(crate) async fn has(&self, element: &str) -> bool {
        self.ask(&format!("document.querySelector({}) !== null", quoted(element))).await.unwrap() == Value::Bool(true)
    }

    /// The text that the page shows.
    pub(crate) async fn text(&self) -> String {
        self.ask("document.body.innerText").await.unwrap().as_str().unwrap_or_default().to_owned()
    }

    /// Clicks an element as soon as it can be clicked.
    pub(crate) async fn click(&self, element: &str) {
        wait::until(&format!("a click on {element}"), SHOWN_WITHIN, || async {
            let found = self.driver.find(By::Css(element)).await.map_err(|error| error.to_string())?;
            found.click().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Types into a field, in place of what is in it.
    pub(crate) async fn fill(&self, field: &str, text: &str) {
        wait::until(&format!("text in {field}"), SHOWN_WITHIN, || async {
            let found = self.driver.find(By::Css(field)).await.map_err(|error| error.to_string())?;
            found.clear().await.map_err(|error| error.to_string())?;
            if text.is_empty() {
                return Ok(());
            }
            found.send_keys(text).await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Chooses an option of a list by its words.
    pub(crate) async fn choose(&self, list: &str, option: &str) {
        wait::until(&format!("`{option}` in {list}"), SHOWN_WITHIN, || async {
            let found = self.driver.find(By::Css(list)).await.map_err(|error| error.to_string())?;
            let list = SelectElement::new(&found).await.map_err(|error| error.to_string())?;
            list.select_by_exact_text(option).await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Moves the pointer over an element.
    pub(crate) async fn point_at(&self, element: &str) {
        wait::until(&format!("the pointer over {element}"), SHOWN_WITHIN, || async {
            let found = self.driver.find(By::Css(element)).await.map_err(|error| error.to_string())?;
            found.scroll_into_view().await.map_err(|error| error.to_string())?;
            let moved = self.driver.action_chain().move_to_element_center(&found).perform().await;
            moved.map_err(|error| error.to_string())?;
            let under = format!("document.querySelector({}).matches(':hover')", quoted(element));
            if self.ask(&under).await? == Value::Bool(true) { Ok(()) } else { Err("it has moved away".to_owned()) }
        })
        .await;
    }

    /// Takes the reader to another zone of time, from the next page on.
    pub(crate) async fn travel(&self, zone: &str) {
        self.driver.cdp().send_raw("Emulation.setTimezoneOverride", json!({ "timezoneId": zone })).await.unwrap();
    }

    /// The text of an attribute of the first such element.
    pub(crate) async fn attribute(&self, element: &str, name: &str) -> String {
        let asked = format!("document.querySelector({}).getAttribute({})", quoted(element), quoted(name));
        self.ask(&asked).await.unwrap().as_str().unwrap_or_default().to_owned()
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Presses the keys that lead to a page. The second one counts within a second of the first, and a busy machine may be slower: then
    /// they are pressed again.
    pub(crate) async fn press_until_at(&self, keys: &str, path: &str) {
        let there = format!("location.pathname + location.search === {}", quoted(path));
        let pressed_at = Cell::new(None);
        wait::until(&format!("the page {path} by the keys {keys}"), SHOWN_WITHIN, || async {
            // A page that is on its way answers nothing.
            if self.ask(&there).await == Ok(Value::Bool(true)) {
                return Ok(());
            }
            if pressed_at.get().is_none_or(|at: Instant| at.elapsed() >= PRESSED_AGAIN_AFTER) {
                self.press(keys).await;
                pressed_at.set(Some(Instant::now()));
            }
            Err(self.shown().await)
        })
        .await;
        self.until_at(path).await;
    }

    /// The complaints of the console since it was last asked: errors of scripts, breaches of the policy, failed loads.
    pub(crate) async fn console(&self) -> Vec<String> {
        let said = self.driver.browser_log().await.unwrap();
        let counts = |level: &str| level == "SEVERE" || level == "WARNING";
        said.into_iter().filter(|one| counts(&one.level)).map(|one| one.message).collect()
    }

    /// Takes a picture of the whole page, for people.
    pub(crate) async fn picture(&self, name: &str, eyes: Eyes) {
        let height = self.ask("document.documentElement.scrollHeight").await.unwrap().as_u64().unwrap_or_default();
        self.size(eyes.width, height.clamp(900, PICTURE_HEIGHT_MAX)).await;
        let folder = pictures();
        fs::create_dir_all(&folder).unwrap();
        let tone = if eyes.dark { "dark" } else { "light" };
        self.driver.screenshot(&folder.join(format!("{name}-{}-{tone}.png", eyes.width))).await.unwrap();
    }

    async fn shown(&self) -> String {
        let shown = "`${location.href} ${document.body?.innerText.slice(0, 2000)}`";
        self.ask(shown).await.map_or_else(|error| error, |text| text.as_str().unwrap_or_default().to_owned())
    }
}

/// The folder of the pictures, below cargo's own.
fn pictures() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("pictures")
}

/// A text as a script writes it.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
