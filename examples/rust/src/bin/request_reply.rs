//! A question by message, and its answer.
//!
//! Run it with `cargo run -p rmq-examples --bin request_reply`.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person who runs it"
)]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rmq_core::embed::{
    Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Deployment, Message, Producer,
    ProducerOptions, PushConsumer, ReceivedMessage, StartFrom, Subscription, reply_to,
};

const TOPIC: &str = "Questions";
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::start(ClusterOptions::new(Deployment::SingleMaster))?;
    let nameservers = cluster.nameserver_addresses();

    // The side that answers: a consumer, and a producer for what it has to say.
    let answering = Arc::new(Producer::start(ProducerOptions::new(
        "answering",
        &nameservers,
    ))?);
    let replies = Arc::clone(&answering);
    let listener = move |questions: &[ReceivedMessage]| {
        for question in questions {
            let text = String::from_utf8_lossy(&question.message.body).to_uppercase();
            let answered = reply_to(question, text).and_then(|reply| replies.send(reply));
            if let Err(error) = answered {
                println!("no answer: {error}");
            }
        }
        ConsumeStatus::Success
    };
    let options = ConsumerOptions {
        start_from: StartFrom::First,
        ..ConsumerOptions::new("answering", &nameservers)
    };
    let subscriptions = vec![Subscription::tags(TOPIC, "*")?];
    let consumer = PushConsumer::start(options, subscriptions, listener)?;

    // The side that asks.
    let asking = Producer::start(ProducerOptions::new("asking", &nameservers))?;
    for question in ["who is there", "who else"] {
        let reply = asking.request(Message::new(TOPIC, question), PATIENCE)?;
        let reply = String::from_utf8_lossy(&reply.message.body).into_owned();
        println!("{question}: {reply}");
    }

    consumer.close(PATIENCE)?;
    asking.close(PATIENCE)?;
    answering.close(PATIENCE)?;
    cluster.close(PATIENCE)?;
    Ok(())
}
