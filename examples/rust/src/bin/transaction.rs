//! Messages that come if, and only if, the program's own work was done; and a broker that asks when
//! it was not told.
//!
//! Run it with `cargo run -p rmq-examples --bin transaction`.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person who runs it"
)]

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use rmq_core::embed::{
    Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Message, Producer, ProducerOptions,
    Properties, PushConsumer, ReceivedMessage, SendOptions, StartFrom, Subscription,
    TransactionState,
};

const TOPIC: &str = "Payments";
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let mut keys = Properties::new("example");
    // A broker asks after six seconds; here after a fifth of one.
    keys.set("transactionTimeOut", "200");
    keys.set("transactionCheckInterval", "100");
    let cluster = Cluster::start(ClusterOptions::from_keys(&keys)?)?;
    let nameservers = cluster.nameserver_addresses();

    // A real checker looks into the database that the transaction wrote to.
    let checker = |message: &ReceivedMessage| match message.message.tag() {
        Some("crashed") => TransactionState::Commit,
        _ => TransactionState::Unknown,
    };
    let options = ProducerOptions::new("payers", &nameservers);
    let producer = Producer::start_with_checker(options, checker)?;
    for (tag, outcome) in [
        ("paid", TransactionState::Commit),
        ("refused", TransactionState::Rollback),
        // As if the program had died before it could tell: the broker asks the checker.
        ("crashed", TransactionState::Unknown),
    ] {
        let mut message = Message::new(TOPIC, tag);
        message.set_tag(tag);
        let options = SendOptions::default();
        producer.send_in_transaction(message, options, |half| {
            println!("{tag}: {} waits", half.msg_id);
            outcome
        })?;
    }

    let options = ConsumerOptions {
        start_from: StartFrom::First,
        ..ConsumerOptions::new("readers", &nameservers)
    };
    let (tell, received) = mpsc::channel();
    let listener = move |messages: &[ReceivedMessage]| {
        for message in messages {
            let body = String::from_utf8_lossy(&message.message.body).into_owned();
            if tell.send(body).is_err() {
                return ConsumeStatus::Later;
            }
        }
        ConsumeStatus::Success
    };
    let subscriptions = vec![Subscription::tags(TOPIC, "*")?];
    let consumer = PushConsumer::start(options, subscriptions, listener)?;
    for _ in 0..2 {
        println!("delivered: {}", received.recv_timeout(PATIENCE)?);
    }
    println!(
        "no more: {}",
        received.recv_timeout(Duration::from_millis(300)).is_err()
    );

    consumer.close(PATIENCE)?;
    producer.close(PATIENCE)?;
    cluster.close(PATIENCE)?;
    Ok(())
}
