//! A nameserver, a broker, a producer and a consumer in one process.
//!
//! Run it with `cargo run -p rmq-examples --bin quickstart`.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person who runs it"
)]

use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use rmq_core::embed::{
    Broker, BrokerConfig, ConsumeStatus, ConsumerOptions, Message, NameServer, NamesrvConfig,
    Producer, ProducerOptions, PushConsumer, ReceivedMessage, SendOptions, StartFrom, Storage,
    Subscription,
};

const TOPIC: &str = "Quickstart";
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    // Servers of this process, on free ports, in a folder that goes away. A cluster that runs
    // already needs nothing of this: give its nameservers to the options below.
    let storage = Storage::temporary()?;
    let nameserver = NameServer::start(NamesrvConfig::embedded_defaults())?;
    let mut config = BrokerConfig::embedded_defaults(storage.path().to_string_lossy());
    config.namesrv_addr = vec![nameserver.address().to_string()];
    let broker = Broker::start(config)?;
    let nameservers = nameserver.address().to_string();

    let producer = Producer::start(ProducerOptions::new("senders", &nameservers))?;
    let mut message = Message::new(TOPIC, "hello");
    message.set_tag("greeting").set_keys(["key-1"]);
    let sent = producer.send(message)?;
    println!(
        "sent {} to queue {}: {:?}",
        sent.msg_id, sent.queue.queue_id, sent.status
    );

    // Without waiting; the callback is told how it went.
    let (tell, told) = mpsc::channel();
    let message = Message::new(TOPIC, "hello again");
    producer.send_async(message, SendOptions::by_key("user-1"), move |outcome| {
        // Nobody listens any more when the example has ended.
        let _ = tell.send(outcome);
    })?;
    println!(
        "and to queue {}",
        told.recv_timeout(PATIENCE)??.queue.queue_id
    );

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
        println!("received: {}", received.recv_timeout(PATIENCE)?);
    }

    consumer.close(PATIENCE)?;
    producer.close(PATIENCE)?;
    broker.close(PATIENCE)?;
    nameserver.close(PATIENCE)?;
    Ok(())
}
