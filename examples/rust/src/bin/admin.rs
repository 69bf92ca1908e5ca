//! A topic is made, filled, looked at and deleted, with types and with the names of `mqadmin`'s
//! commands.
//!
//! Run it with `cargo run -p rmq-examples --bin admin`.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person who runs it"
)]

use std::error::Error;
use std::time::Duration;

use rmq_core::embed::{
    Admin, ClientOptions, Cluster, ClusterOptions, Deployment, Message, Producer, ProducerOptions,
    TopicConfig, admin_invoke,
};

const TOPIC: &str = "Books";
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::start(ClusterOptions::new(Deployment::SingleMaster))?;
    let nameservers = cluster.nameserver_addresses();
    let admin = Admin::start(ClientOptions::new(&nameservers))?;
    admin.create_topic(&TopicConfig {
        read_queue_nums: 2,
        write_queue_nums: 2,
        ..TopicConfig::new(TOPIC)
    })?;

    // Nameservers are told a moment later.
    for _ in 0..1000 {
        if admin.route(TOPIC).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }

    let producer = Producer::start(ProducerOptions::new("senders", &nameservers))?;
    for title in ["one", "two", "three"] {
        producer.send(Message::new(TOPIC, title))?;
    }
    let mut stored = 0;
    for queue in producer.queues(TOPIC)? {
        stored += admin.max_offset(&queue)? - admin.min_offset(&queue)?;
    }
    println!("{stored} messages in {TOPIC}");

    // Everything that has no type of its own.
    let answer = admin_invoke(&admin, "topicStatus", "{\"topic\":\"Books\"}")?;
    println!("{answer}");
    let config = admin_invoke(&admin, "getBrokerConfig", "")?;
    println!(
        "flushDiskType is told: {}",
        config.contains("flushDiskType")
    );

    admin.delete_topic(TOPIC)?;
    println!("deleted: {}", admin.route(TOPIC).is_err());
    producer.close(PATIENCE)?;
    cluster.close(PATIENCE)?;
    Ok(())
}
