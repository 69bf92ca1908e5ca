//! A message that is to come in an hour, and a cluster whose clock is moved: it comes at once. And
//! one that is taken back before its time.
//!
//! Run it with `cargo run -p rmq-examples --bin delayed`.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person who runs it"
)]

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use rmq_core::embed::{
    Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Message, Producer, ProducerOptions,
    Properties, PushConsumer, ReceivedMessage, StartFrom, Subscription,
};

const TOPIC: &str = "Reminders";
const PATIENCE: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

fn main() -> Result<(), Box<dyn Error>> {
    let mut keys = Properties::new("example");
    keys.set("rmq.cluster.clock", "MANUAL");
    keys.set("recallMessageEnable", "true");
    let cluster = Cluster::start(ClusterOptions::from_keys(&keys)?)?;
    let nameservers = cluster.nameserver_addresses();

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

    let producer = Producer::start(ProducerOptions::new("senders", &nameservers))?;
    let mut message = Message::new(TOPIC, "tea is ready");
    message.set_delay_ms(u64::try_from(HOUR.as_millis())?);
    producer.send(message.clone())?;

    message.body = "never mind".into();
    let unwanted = producer.send(message)?;
    let handle = unwanted.recall_handle.ok_or("the broker does not recall")?;
    println!(
        "taken back: {}",
        producer.recall(TOPIC, &handle)? == unwanted.msg_id
    );

    if received.recv_timeout(Duration::from_millis(100)).is_ok() {
        return Err("a message came before its time".into());
    }
    cluster.advance(HOUR + Duration::from_secs(2))?;
    println!("an hour later: {}", received.recv_timeout(PATIENCE)?);
    println!(
        "and no more: {}",
        received.recv_timeout(Duration::from_millis(500)).is_err()
    );

    consumer.close(PATIENCE)?;
    producer.close(PATIENCE)?;
    cluster.close(PATIENCE)?;
    Ok(())
}
