//! The example that is no order runs, and its saga, its timer and its own table agree.

#[path = "../examples/meter_readings.rs"]
#[allow(dead_code, reason = "the example also has a main")]
mod example;

use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn readings_are_added_up_and_a_meter_that_falls_silent_is_noticed() {
    let run = tokio::time::timeout(Duration::from_secs(30), example::run());
    let (meter, kwh) = run.await.expect("the timer fires").expect("nothing is away");
    assert_eq!((meter.readings, meter.is_silent, kwh), (2, true, 12));
}
