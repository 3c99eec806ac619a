//! A false broker's share of AMQP 0-9-1: frames, and the answers of a broker that has everything and lets everybody do anything.

#![allow(dead_code, reason = "each test program uses its own part of it")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A method as it travels: its channel, its class and number, and what follows.
pub(crate) struct Method {
    pub(crate) channel: u16,
    pub(crate) id: (u16, u16),
    pub(crate) rest: Vec<u8>,
}

pub(crate) fn read(stream: &mut TcpStream) -> Option<Method> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).ok()?;
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let mut payload = vec![0; size as usize + 1];
    stream.read_exact(&mut payload).ok()?;
    payload.pop();
    let channel = u16::from_be_bytes([head[1], head[2]]);
    let number = |at: usize| payload.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    let id = if head[0] == 1 { (number(0), number(2)) } else { (0, 0) };
    Some(Method { channel, id, rest: payload.get(4..).unwrap_or_default().to_vec() })
}

pub(crate) fn write(stream: &mut TcpStream, channel: u16, id: (u16, u16), rest: &[u8]) {
    let payload = [&id.0.to_be_bytes()[..], &id.1.to_be_bytes(), rest].concat();
    write_frame(stream, 1, channel, &payload);
}

fn write_frame(stream: &mut TcpStream, kind: u8, channel: u16, payload: &[u8]) {
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame.push(0xCE);
    let _ = stream.write_all(&frame);
}

/// Delivers an empty message to a consumer.
pub(crate) fn deliver(stream: &mut TcpStream, channel: u16, tag: &[u8]) {
    let delivered = [short(tag), 1_u64.to_be_bytes().to_vec(), vec![0, 0, 0]].concat();
    write(stream, channel, (60, 60), &delivered);
    write_frame(stream, 2, channel, &[&[0, 60, 0, 0][..], &[0; 8], &[0, 0]].concat());
}

pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

/// The short string that begins here.
pub(crate) fn short_at(bytes: &[u8], at: usize) -> &[u8] {
    &bytes[at + 1..at + 1 + usize::from(bytes[at])]
}

/// The queue of a `basic.consume`, and the consumer's tag.
pub(crate) fn consumed(rest: &[u8]) -> (String, Vec<u8>) {
    let queue = short_at(rest, 2);
    let tag = short_at(rest, 3 + queue.len()).to_vec();
    (String::from_utf8(queue.to_vec()).unwrap(), tag)
}

/// Begins a connection.
pub(crate) fn greet(stream: &mut TcpStream) -> Option<()> {
    let mut header = [0; 8];
    stream.read_exact(&mut header).ok()?;
    let start = [&[0, 9, 0, 0, 0, 0, 0, 0, 0, 5][..], b"PLAIN", &[0, 0, 0, 5], b"en_US"].concat();
    write(stream, 0, (10, 10), &start);
    Some(())
}

/// Answers as a broker does that finds nothing wrong. What is to be answered otherwise is not given to this.
pub(crate) fn answer(stream: &mut TcpStream, Method { channel, id, rest }: &Method) {
    let mut answer = |id, rest: &[u8]| write(stream, *channel, id, rest);
    match id {
        (10, 11) => answer((10, 30), &[0, 100, 0, 2, 0, 0, 0, 0]),
        (10, 40) => answer((10, 41), &[0]),
        (10, 50) => answer((10, 51), &[]),
        (20, 10) => answer((20, 11), &[0, 0, 0, 0]),
        (20, 40) => answer((20, 41), &[]),
        (40, 10) => answer((40, 11), &[]),
        (40, 30) => answer((40, 31), &[]),
        (40, 40) => answer((40, 51), &[]),
        (50, 10) => answer((50, 11), &[short(short_at(rest, 2)), vec![0; 7], vec![1]].concat()),
        (50, 20) => answer((50, 21), &[]),
        (60, 10) => answer((60, 11), &[]),
        (60, 20) => answer((60, 21), &short(&consumed(rest).1)),
        (85, 10) => answer((85, 11), &[]),
        _ => {}
    }
}

/// Listens, and serves each connection, by its number, in a thread of its own; returns the address.
pub(crate) fn listen(serve: impl Fn(u64, TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("amqp://127.0.0.1:{}/test", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for (number, stream) in (0..).zip(listener.incoming().flatten()) {
            let serve = serve.clone();
            std::thread::spawn(move || serve(number, stream));
        }
    });
    address
}
