//! Keys of the nameserver.

use crate::base::Result;
use crate::config::controller::ControllerKeys;
use crate::config::environment::Environment;
use crate::config::server::{ClientConfig, ServerConfig};
use crate::config::snapshot::{Layers, ServerSettings};
use crate::config::table::{computed, is, settings};

settings! {
    /// What a nameserver is told.
    pub struct NamesrvConfig {
        parts {
            server: ServerConfig, "The listening side.";
            client: ClientConfig, "Outgoing connections, to brokers that are to be told something.";
            controller: ControllerKeys, "Keys of a controller in the nameserver's process.";
        }
        used {
            rocketmq_home: Option<String>, "rocketmqHome" =
                computed("the environment's ROCKETMQ_HOME", |e| e.rocketmq_home.clone())
                .immutable(),
                "Folder of the installation.";
            kv_config_path: Option<String>, "kvConfigPath" =
                computed("~/namesrv/kvConfig.json", |e| e.under_home("namesrv/kvConfig.json"))
                .immutable(),
                "File that keeps the key-value configuration; empty keeps it in memory only.";
            config_store_path: Option<String>, "configStorePath" =
                computed("the file given with -c, else ~/namesrv/namesrv.properties",
                    |e| e.under_home("namesrv/namesrv.properties")).immutable(),
                "File that changes made at run time are written to; empty writes none.";
            order_message_enable: bool, "orderMessageEnable" = is("false").reload(),
                "Adds the order configuration of a topic to its route.";
            return_order_config_to_broker: bool, "returnOrderTopicConfigToBroker" =
                is("true").reload(),
                "Answers registrations with the order configuration of all topics.";
            scan_interval_ms: u64, "scanNotActiveBrokerInterval" =
                is("5000").range(1, 3_600_000).ms().reload(),
                "How often silent brokers are looked for.";
            support_acting_master: bool, "supportActingMaster" = is("false").reload(),
                "Shows the lowest slave of a group without a master as its read-only master.";
            enable_all_topic_list: bool, "enableAllTopicList" = is("true").reload(),
                "Answers the list of all topics.";
            enable_topic_list: bool, "enableTopicList" = is("true").reload(),
                "Answers the lists of topics by cluster and by unit.";
            notify_min_broker_id_changed: bool, "notifyMinBrokerIdChanged" = is("false").reload(),
                "Tells the brokers of a group when its lowest broker id changes.";
            need_wait_for_service: bool, "needWaitForService" = is("false").reload(),
                "Refuses routes at first, so that brokers can register before clients ask.";
            wait_for_service_s: u32, "waitSecondsForService" =
                is("45").range(0, 86_400).seconds().reload(),
                "Length of that time.";
            delete_topic_with_registration: bool, "deleteTopicWithBrokerRegistration" =
                is("false").reload(),
                "Removes a broker's topics that its full registration no longer has. Brokers need \
                 enableSingleTopicRegister with it.";
            config_black_list: Vec<String>, "configBlackList" =
                is("configBlackList;configStorePath;kvConfigPath").immutable(),
                "Keys that must not be changed at run time, besides those that never may.";
            topics_max: usize, "rmq.maxTopics" = is("1000000").range(1, 100_000_000).reload(),
                "Topics in the route table; further ones are not taken over from registrations.";
            brokers_max: usize, "rmq.maxBrokers" = is("10000").range(1, 1_000_000).reload(),
                "Broker addresses in the route table; further ones are refused.";
            kv_items_max: usize, "rmq.maxKvItems" = is("100000").range(1, 10_000_000).reload(),
                "Items of the key-value configuration; further ones are refused.";
            kv_value_bytes_max: usize, "rmq.maxKvValueBytes" =
                is("65536").range(0, 1 << 24).bytes().reload(),
                "Longest value of the key-value configuration.";
            cached_routes_max: usize, "rmq.maxCachedRoutes" =
                is("20000").range(0, 10_000_000).reload(),
                "Topics whose encoded routes are kept in memory.";
            inflated_bytes_max: usize, "rmq.inflatedBytesMax" =
                is("134217728").range(1 << 16, 1 << 32).bytes().reload(),
                "Largest size of a compressed registration after inflating it.";
        }
        accepted {
            "productEnvName": Text = is("center"),
                "Environment whose routes the cluster test asks for.";
            "clusterTest": Bool = is("false"),
                "Answers unknown topics from another environment's nameserver.";
            "clientRequestThreadPoolNums": Int = is("8"),
                "Threads for route requests; rmq's reactors answer them.";
            "defaultThreadPoolNums": Int = is("16"),
                "Threads for all other requests; rmq's reactors answer them.";
            "clientRequestThreadPoolQueueCapacity": Int = is("50000"),
                "Route requests that may wait for a thread.";
            "defaultThreadPoolQueueCapacity": Int = is("10000"),
                "Other requests that may wait for a thread.";
            "unRegisterBrokerQueueCapacity": Int = is("3000"),
                "Unregistrations that may wait; rmq does them at once.";
            "enableControllerInNamesrv": Bool = is("false"),
                "Runs a controller in the nameserver's process.";
        }
    }
}

impl ServerSettings for NamesrvConfig {
    const LISTEN_PORT: u16 = 9876;

    fn finish(&mut self, layers: &Layers<'_>) -> Result<()> {
        self.server.check(layers)
    }

    fn black_list(&self) -> &[String] {
        &self.config_black_list
    }
}

impl NamesrvConfig {
    /// Small and safe for a nameserver inside another process: loopback, a free port, no files.
    #[must_use]
    pub fn embedded_defaults() -> Self {
        let mut config = Self::defaults(&Environment::of_process());
        config.server.bind_address = "127.0.0.1".to_owned();
        config.server.listen_port = 0;
        config.server.reactor_threads = 1;
        config.kv_config_path = None;
        config.config_store_path = None;
        config
    }
}
