//! Every page against axe-core's rules of accessibility (WCAG 2.2 A and AA), light, dark and narrow; by keyboard; and
//! without script.

use std::path::Path;

use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::json;
use testkit::servers::browser::axe;

use crate::screen::Screen;
use crate::shop::{KEY, Shop, browser};

const WIDE: (u32, u32) = (1_280, 900);
const NARROW: (u32, u32) = (500, 900);

/// Asks axe for what breaks a rule, and waits for its answer.
const CHECK: &str = "const done = arguments[arguments.length - 1]; \
    axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}) \
       .then((found) => done(found.violations.map((broken) => [broken.id, broken.nodes.map((node) => node.html)])));";

async fn obeys(screen: &Screen, rules: &str, what: &str) {
    screen.run(rules, Vec::new()).await;
    let broken = screen.client.execute_async(CHECK, Vec::new()).await.expect("axe runs");
    assert_eq!(broken, json!([]), "{what}");
}

async fn signed_in(shop: &Shop, size: (u32, u32)) -> Screen {
    let screen = Screen::open(browser(), size, &shop.address()).await;
    screen.go("/ui/sign-in").await;
    screen.fill("Sign in", "API key", KEY).await;
    screen.press("Sign in").await;
    screen.shows("orders need a person").await;
    screen
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_obeys_the_rules_of_accessibility_and_can_be_used_by_all() {
    let rules = axe(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("axe-core");
    let shop = Shop::open().await;
    let order = shop.order("#1", "TEA-1").await;
    shop.leave_dead_letters(1).await;
    let screen = signed_in(&shop, WIDE).await;
    let things = [format!("/ui/orders/{order}"), "/ui/stock/TEA-1".to_owned(), "/ui/nowhere".to_owned()];
    let pages: Vec<String> =
        orderwright::page::paths().map(|path| format!("/ui{path}")).chain(things).collect();
    for page in &pages {
        screen.go(page).await;
        obeys(&screen, &rules, page).await;
    }
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    screen.tell("Emulation.setEmulatedMedia", dark).await;
    for page in &pages {
        screen.go(page).await;
        obeys(&screen, &rules, &format!("{page} in the dark")).await;
    }
    screen.go("/ui").await;
    screen.picture("page-dark").await;
    let narrow = signed_in(&shop, NARROW).await;
    for page in &pages {
        narrow.go(page).await;
        let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth;";
        assert_eq!(narrow.run(wider, Vec::new()).await, json!(0), "{page} is wider than a narrow screen");
    }
    narrow.go("/ui").await;
    narrow.picture("page-narrow").await;
    by_keyboard(&screen).await;
    without_script(&screen, &order).await;
    screen.close().await;
    narrow.close().await;
    shop.close().await;
}

/// The slash leads into the search, Enter finds; the first stop of the tabulator leads to the content.
async fn by_keyboard(screen: &Screen) {
    screen.go("/ui/orders").await;
    let body = screen.client.find(Locator::Css("body")).await.expect("a page");
    body.send_keys(&Key::Tab.to_string()).await.expect("a key");
    let at = "return document.activeElement.className;";
    assert_eq!(screen.run(at, Vec::new()).await, json!("skip"));
    body.send_keys("/").await.expect("a key");
    let found = screen.client.active_element().await.expect("an element");
    assert_eq!(found.attr("name").await.expect("its name").as_deref(), Some("find"));
    found.send_keys(&format!("#1{}", char::from(Key::Enter))).await.expect("keys");
    screen.shows("#1").await;
    assert!(screen.path().await.contains("find=%231"), "the filter stands in the address");
}

/// Links, filters and actions do without script.
async fn without_script(screen: &Screen, order: &str) {
    screen.tell("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    screen.go("/ui/orders").await;
    screen.fill("Find", "Order, reference", order).await;
    screen.press("Find").await;
    screen.shows("#1").await;
    screen.go("/ui/stock/TEA-1").await;
    screen.fill("Receive", "Units", "5").await;
    screen.fill("Receive", "Why", "without script").await;
    screen.press("Receive").await;
    screen.shows("The goods are booked as received.").await;
    screen.tell("Emulation.setScriptExecutionDisabled", json!({"value": false})).await;
}
