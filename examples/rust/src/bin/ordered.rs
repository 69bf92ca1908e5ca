//! Messages of one key in the order in which they were sent, whatever the others do.
//!
//! Run it with `cargo run -p rmq-examples --bin ordered`.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person who runs it"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use rmq_core::embed::{
    Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Deployment, Message, Producer,
    ProducerOptions, PushConsumer, ReceivedMessage, SendOptions, StartFrom, Subscription,
};

const TOPIC: &str = "Steps";
const PATIENCE: Duration = Duration::from_secs(10);
const USERS: usize = 5;
const STEPS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::start(ClusterOptions::new(Deployment::SingleMaster))?;
    let nameservers = cluster.nameserver_addresses();
    let producer = Producer::start(ProducerOptions::new("senders", &nameservers))?;
    for step in 0..STEPS {
        for user in 0..USERS {
            // All messages of a key go to one queue, and a queue keeps its order.
            let message = Message::new(TOPIC, format!("user-{user} {step}"));
            producer.send_with(message, SendOptions::by_key(format!("user-{user}")))?;
        }
    }

    let options = ConsumerOptions {
        start_from: StartFrom::First,
        ..ConsumerOptions::new("readers", &nameservers)
    };
    let (tell, received) = mpsc::channel();
    // One queue is consumed by one thread at a time; a message that is to come later holds it up.
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
    let consumer = PushConsumer::start_orderly(options, subscriptions, listener)?;

    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..USERS * STEPS {
        let body = received.recv_timeout(PATIENCE)?;
        let (user, step) = body.split_once(' ').ok_or("a message of somebody else")?;
        let expected = next.entry(user.to_owned()).or_default();
        if step != expected.to_string() {
            return Err(format!("{user}: {step} came instead of {expected}").into());
        }
        *expected += 1;
    }
    println!("{STEPS} steps of {USERS} users came in order");

    consumer.close(PATIENCE)?;
    producer.close(PATIENCE)?;
    cluster.close(PATIENCE)?;
    Ok(())
}
