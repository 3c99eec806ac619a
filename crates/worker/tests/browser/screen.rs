//! One window, and words for what a person does in it.

use std::path::PathBuf;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use testkit::servers::browser::Browser;

/// How long a person waits for something to appear.
const PATIENCE: Duration = Duration::from_secs(20);

/// A window on the service at this address.
pub(crate) struct Screen {
    pub(crate) client: Client,
    address: String,
}

/// Where pictures go, if they are wanted.
fn pictures() -> Option<PathBuf> {
    std::env::var_os("ORDERWRIGHT_PICTURES").map(PathBuf::from)
}

impl Screen {
    pub(crate) async fn open(browser: &Browser, size: (u32, u32), address: &str) -> Self {
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(browser.wishes(size));
        let client = builder.connect(&browser.address()).await.expect("a window");
        Self { client, address: address.to_owned() }
    }

    pub(crate) async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.address)).await.expect("a page");
    }

    /// Where it is, without the address.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.expect("an address");
        url.as_str().strip_prefix(&self.address).expect("a page of the service").to_owned()
    }

    /// Waits until the page shows this text.
    pub(crate) async fn shows(&self, text: &str) {
        let condition = format!("//main[contains(., {})]", quoted(text));
        let waiting = self.client.wait().at_most(PATIENCE);
        if let Err(error) = waiting.for_element(Locator::XPath(&condition)).await {
            panic!("'{text}' does not appear ({error}) at {} in:\n{}", self.path().await, self.text().await);
        }
    }

    /// What the page says.
    pub(crate) async fn text(&self) -> String {
        let main = self.client.find(Locator::Css("main")).await.expect("a page has content");
        main.text().await.expect("its text")
    }

    pub(crate) async fn follow(&self, link: &str) {
        self.click(&format!("//main//a[contains(., {})]", quoted(link))).await;
    }

    /// Fills in the field of this label within the form that has this button, and leaves it.
    pub(crate) async fn fill(&self, button: &str, label: &str, text: &str) {
        let (button, label) = (quoted(button), quoted(label));
        let field = format!(
            "//form[.//button[normalize-space()={button}]]//label[contains(., {label})]//*[self::input or self::select]"
        );
        // What a person is on is not renewed any more.
        self.click(&field).await;
        self.client.active_element().await.expect("a field").send_keys(text).await.expect("writing");
    }

    /// Presses a button.
    pub(crate) async fn press(&self, button: &str) {
        self.click(&format!("//button[normalize-space()={}]", quoted(button))).await;
    }

    /// Clicks on the first of these that is there; a part of the page may just have been renewed.
    async fn click(&self, path: &str) {
        const TRIES: usize = 20;
        for _ in 0..TRIES {
            let waiting = self.client.wait().at_most(PATIENCE);
            let element = waiting.for_element(Locator::XPath(path)).await;
            match element.unwrap_or_else(|error| panic!("{path} is not there: {error}")).click().await {
                Ok(()) => return,
                Err(error) if error.is_stale_element_reference() => {}
                Err(error) => panic!("{path} cannot be clicked: {error}"),
            }
        }
        panic!("{path} is renewed again and again");
    }

    /// Keeps a picture of the page, if pictures are wanted.
    pub(crate) async fn picture(&self, name: &str) {
        if let Some(folder) = pictures() {
            let picture = self.client.screenshot().await.expect("a picture");
            std::fs::write(folder.join(format!("{name}.png")), picture).expect("the picture is kept");
        }
    }

    /// What a script says; it runs beside the page, which needs to allow none.
    pub(crate) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.expect("a script runs")
    }

    /// Tells the browser something over its own protocol.
    pub(crate) async fn tell(&self, command: &str, parameters: Value) {
        let command = Tell { command: command.to_owned(), parameters };
        self.client.issue_cmd(command).await.expect("the browser understands");
    }

    pub(crate) async fn close(self) {
        self.client.close().await.expect("the window closes");
    }
}

/// A command of Chromium's own protocol, sent through its driver.
#[derive(Debug)]
struct Tell {
    command: String,
    parameters: Value,
}

impl fantoccini::wd::WebDriverCompatibleCommand for Tell {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or("")))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.command, "params": self.parameters}).to_string()))
    }
}

/// A text of XPath.
fn quoted(text: &str) -> String {
    assert!(!text.contains('"'), "no such text is looked for");
    format!("\"{text}\"")
}
