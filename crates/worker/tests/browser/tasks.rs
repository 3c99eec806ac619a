//! Ten tasks of an operator, each with a picture.

use application::saga::EventKind;
use sandbox::Availability;

use crate::screen::Screen;
use crate::shop::{KEY, Shop, browser};

/// The window of an operator, in pixels.
const WINDOW: (u32, u32) = (1_280, 900);

async fn signed_in(address: &str) -> Screen {
    let screen = Screen::open(browser(), WINDOW, address).await;
    screen.go("/").await;
    screen.shows("Sign in with an API key").await;
    screen.fill("Sign in", "API key", KEY).await;
    screen.press("Sign in").await;
    screen.shows("orders need a person").await;
    screen
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_does_a_day_s_work_on_two_workers_with_postgres_and_rabbitmq() {
    let shop = Shop::open().await;
    for number in 1..=12 {
        shop.order(&format!("#10{number:02}"), "TEA-1").await;
    }
    let screen = signed_in(&shop.address()).await;
    finds_an_order_and_watches_it_arrive(&screen).await;
    says_why_an_order_is_late_and_cancels_it(&shop, &screen).await;
    decides_about_an_order_on_the_other_worker(&shop, &screen).await;
    puts_a_dead_letter_back(&shop, &screen).await;
    receives_goods(&screen).await;
    cancels_many(&shop, &screen).await;
    checks_the_books_and_reads_who_did_what(&screen).await;
    signs_out(&screen).await;
    screen.close().await;
    shop.close().await;
}

async fn finds_an_order_and_watches_it_arrive(screen: &Screen) {
    screen.go("/ui/orders").await;
    screen.fill("Find", "Order, reference", "#1007").await;
    screen.press("Find").await;
    screen.shows("#1007").await;
    assert!(!screen.text().await.contains("#1008"), "only this one is found");
    screen.picture("page-orders").await;
    screen.follow("…").await;
    screen.shows("Order #1007").await;
    // Without loading the page again.
    screen.shows("delivered").await;
    screen.picture("page-order").await;
}

async fn says_why_an_order_is_late_and_cancels_it(shop: &Shop, screen: &Screen) {
    shop.gateway(Availability::Down);
    let late = shop.order("#2001", "TEA-1").await;
    screen.go(&format!("/ui/orders/{late}")).await;
    screen.shows("Waits for").await;
    screen.shows("the payment gateway").await;
    screen.picture("page-late").await;
    screen.fill("Cancel the order", "Why", "the customer wants another colour").await;
    screen.press("Cancel the order").await;
    screen.shows("The order is being cancelled.").await;
    shop.gateway(Availability::Up);
    screen.shows("Cancelled because").await;
}

async fn decides_about_an_order_on_the_other_worker(shop: &Shop, screen: &Screen) {
    let odd = shop.order("#3001", "TEA-1").await;
    screen.go(&format!("/ui/orders/{odd}")).await;
    screen.shows("delivered").await;
    shop.happens(&odd, EventKind::ParcelDamaged).await;
    let other = signed_in(&format!("http://{}", shop.other.addr)).await;
    other.go("/ui/attention").await;
    other.shows("It needs a person").await;
    other.picture("page-attention").await;
    other.fill("Force", "Why", "settled with the customer by telephone").await;
    other.press("Force").await;
    other.shows("Done. The order goes on.").await;
    other.close().await;
}

async fn puts_a_dead_letter_back(shop: &Shop, screen: &Screen) {
    shop.leave_dead_letters(3).await;
    screen.go("/ui/dead-letters").await;
    screen.shows("PaymentProcessingRequested").await;
    screen.picture("page-dead-letters").await;
    screen.follow("no such order in this database").await;
    screen.shows("Put one back").await;
    screen.fill("Put one back", "Why", "to see whether the cause is mended").await;
    screen.press("Put one back").await;
    screen.shows("1 messages went back into their queues.").await;
}

async fn receives_goods(screen: &Screen) {
    screen.go("/ui/stock?low=true").await;
    screen.follow("MUG-1").await;
    screen.shows("At or below its reorder level").await;
    screen.fill("Receive", "Units", "20").await;
    screen.fill("Receive", "Why", "delivery note 17").await;
    screen.press("Receive").await;
    screen.shows("23 available").await;
    screen.picture("page-stock").await;
}

/// Counted, shown, confirmed.
async fn cancels_many(shop: &Shop, screen: &Screen) {
    shop.gateway(Availability::Down);
    for number in 1..=4 {
        shop.order(&format!("#40{number:02}"), "TEA-1").await;
    }
    screen.go("/ui/orders?find=ALFKI").await;
    screen.press("Do it for all that match …").await;
    screen.shows("Cancel 4 orders?").await;
    screen.picture("page-bulk").await;
    screen.fill("Cancel them", "Why", "recalled").await;
    screen.press("Cancel them").await;
    screen.shows("4 are being cancelled").await;
    shop.gateway(Availability::Up);
}

async fn checks_the_books_and_reads_who_did_what(screen: &Screen) {
    screen.go("/ui/health").await;
    screen.press("Check the books now").await;
    screen.shows("The books balance.").await;
    screen.picture("page-health").await;
    screen.go("/ui/audit").await;
    screen.shows("delivery note 17").await;
    screen.shows("settled with the customer by telephone").await;
    screen.picture("page-audit").await;
}

async fn signs_out(screen: &Screen) {
    screen.go("/ui").await;
    screen.shows("Orders by status").await;
    screen.picture("page-overview").await;
    screen.press("Sign out").await;
    screen.shows("Sign in with an API key").await;
    screen.go("/ui/orders").await;
    assert!(screen.path().await.starts_with("/ui/sign-in"), "the session is over");
}
