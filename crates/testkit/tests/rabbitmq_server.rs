//! The private RabbitMQ node itself: that it comes, goes and comes back. Talks no AMQP beyond the greeting.

use std::io::{Read, Write};
use std::net::TcpStream;

use orderwright_testkit::servers::rabbitmq::RabbitMq;

/// Says hello in AMQP and returns whether a broker answers.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut frame = [0; 1];
    stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok() && stream.read_exact(&mut frame).is_ok() && frame == [1]
}

#[test]
fn a_node_answers_dies_at_once_and_comes_back_on_the_same_port() {
    let mut node = RabbitMq::start().unwrap();
    let port = node.port();
    assert!(answers(port));
    let pids = node.pids();
    assert!(pids.len() >= 3, "name server and node are of one group: {pids:?}");
    node.kill9();
    assert!(!answers(port));
    node.restart().unwrap();
    assert!(answers(port));
    assert_ne!(node.vhost().unwrap(), node.vhost().unwrap());
    drop(node);
    assert!(!answers(port));
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "process {pid} is left behind");
    }
}
