//! Keys of the broker.

use crate::base::Result;
use crate::config::auth::AuthKeys;
use crate::config::environment::Environment;
use crate::config::properties::Properties;
use crate::config::server::{ClientConfig, ServerConfig, check_ip_address};
use crate::config::snapshot::{Layers, ServerSettings};
use crate::config::store::{BrokerRole, StoreConfig};
use crate::config::table::{EXPORTERS, absent, computed, is, settings};
use crate::config::value::choices;

const HOUR_MS: i64 = 3_600_000;

/// Keys of a broker inside another process: one thread for sockets, small files.
pub const EMBEDDED_KEYS: [(&str, &str); 5] = [
    ("rmq.reactorThreads", "1"),
    ("mappedFileSizeCommitLog", "16777216"),
    ("mappedFileSizeConsumeQueue", "60000"),
    ("maxHashSlotNum", "65536"),
    ("maxIndexNum", "262144"),
];

choices! {
    /// How consumers get their messages.
    pub enum RequestMode {
        /// From queues that are divided among them.
        #[default]
        Pull = "PULL",
        /// From the broker, which divides the messages.
        Pop = "POP",
    }
}

settings! {
    /// What a broker is told.
    pub struct BrokerConfig {
        parts {
            server: ServerConfig, "The listening side.";
            client: ClientConfig, "Outgoing connections, to nameservers and other brokers.";
            store: StoreConfig, "The message store.";
            auth: AuthKeys, "Users and permissions.";
        }
        used {
            broker_name: String, "brokerName" =
                computed("the host's name, else DEFAULT_BROKER", |e| {
                    let known = !e.host_name.is_empty();
                    Some(if known { e.host_name.clone() } else { "DEFAULT_BROKER".to_owned() })
                }).important(),
                "Name of the group that a master and its slaves form.";
            cluster_name: String, "brokerClusterName" = is("DefaultCluster").important(),
                "Cluster that the broker belongs to.";
            broker_id: i64, "brokerId" = is("0").range(-1, i64::MAX).important(),
                "0 is the master of the group, a number above 0 one of its slaves.";
            config_path: Option<String>, "brokerConfigPath" = absent().immutable(),
                "The file given with -c, to which changes made at run time are written.";
            rocketmq_home: Option<String>, "rocketmqHome" =
                computed("the environment's ROCKETMQ_HOME", |e| e.rocketmq_home.clone())
                .immutable(),
                "Folder of the installation.";
            namesrv_addr: Vec<String>, "namesrvAddr" =
                computed("the environment's NAMESRV_ADDR", |e| e.namesrv_addr.clone())
                .reload().important(),
                "Nameservers to register with, host:port with ; between them.";
            broker_ip1: Option<String>, "brokerIP1" =
                computed("an address of this host, see the log", |_| None).important(),
                "Address that clients are given; it is stored with each message.";
            broker_ip2: Option<String>, "brokerIP2" =
                computed("an address of this host, see the log", |_| None),
                "Address that slaves replicate from.";
            broker_permission: u32, "brokerPermission" = is("6").range(0, 7).reload(),
                "What clients may do with all topics: 4 to read, plus 2 to write.";
            default_topic_queues: u32, "defaultTopicQueueNums" = is("8").range(1, 65_536),
                "Most queues of a topic that is made when a message for it arrives.";
            auto_create_topic: bool, "autoCreateTopicEnable" = is("true").important(),
                "Makes an unknown topic when a message for it arrives.";
            cluster_topic: bool, "clusterTopicEnable" = is("true"),
                "Lets messages be sent to the topic named like the cluster.";
            broker_topic: bool, "brokerTopicEnable" = is("true"),
                "Lets messages be sent to the topic named like the broker.";
            auto_create_group: bool, "autoCreateSubscriptionGroup" =
                is("true").reload().important(),
                "Makes an unknown consumer group when it is first seen.";
            trace_topic_name: String, "msgTraceTopicName" = is("RMQ_SYS_TRACE_TOPIC").important(),
                "Topic of message traces.";
            trace_topic_enable: bool, "traceTopicEnable" = is("false").important(),
                "Makes the topic of message traces.";
            store_replies: bool, "storeReplyMessageEnable" = is("true").reload(),
                "Stores replies in the reply topic, besides pushing them to who waits for them.";
            flush_offsets_interval_ms: u64, "flushConsumerOffsetInterval" =
                is("5000").range(10, HOUR_MS).ms(),
                "Pause between writings of the consumer offsets.";
            long_polling: bool, "longPollingEnable" = is("true").reload(),
                "Holds a pull that finds nothing until a message arrives.";
            short_polling_ms: u64, "shortPollingTimeMills" =
                is("1000").range(1, HOUR_MS).ms().reload(),
                "How long such a pull is held when longPollingEnable is false.";
            notify_consumers: bool, "notifyConsumerIdsChangedEnable" = is("true").reload(),
                "Tells the consumers of a group when one comes or goes.";
            region_id: String, "regionId" = is("DefaultRegion").reload(),
                "Region that is noted in each message.";
            trace_on: bool, "traceOn" = is("true").reload(),
                "Notes in each message that it may be traced.";
            register_timeout_ms: u64, "registerBrokerTimeoutMills" =
                is("24000").range(1, HOUR_MS).ms().reload(),
                "Time allowed to a nameserver to answer a registration.";
            register_interval_ms: u64, "registerNameServerPeriod" =
                is("30000").range(0, i32::MAX as i64).ms(),
                "Pause between registrations; less than 10 s is taken as 10 s, more than 60 s as \
                 60 s.";
            slave_read_enable: bool, "slaveReadEnable" = is("false").reload(),
                "Lets consumers read from slaves.";
            accept_sends_after_ms: i64, "startAcceptSendRequestTimeStamp" =
                is("0").range(0, i64::MAX).reload(),
                "Refuses messages before this time, in milliseconds since 1970.";
            lite_pull_enable: bool, "litePullMessageEnable" = is("true").reload(),
                "Answers pulls of lite pull consumers.";
            server_side_reset: bool, "useServerSideResetOffset" = is("true").reload(),
                "Moves offsets that an operator resets here, also of groups that are not \
                 connected; otherwise connected consumers are asked to do it.";
            channel_expired_ms: u64, "channelExpiredTimeout" =
                is("120000").range(1, i64::MAX).ms().reload(),
                "Silence after which a client is forgotten.";
            config_black_list: Vec<String>, "configBlackList" =
                is("configBlackList;brokerConfigPath").immutable(),
                "Keys that must not be changed at run time, besides those that never may.";
            recall_enable: bool, "recallMessageEnable" = is("false").reload(),
                "Allows timed messages to be recalled.";
            recall_when_read_only: bool, "allowRecallWhenBrokerNotWriteable" = is("true").reload(),
                "Allows recalls on a broker that takes no messages.";
            reject_transactions: bool, "rejectTransactionMessage" =
                is("false").reload().important(),
                "Refuses the messages of transactions.";
            transaction_timeout_ms: i64, "transactionTimeOut" =
                is("6000").range(0, 30 * 24 * HOUR_MS).ms().reload().important(),
                "Age at which a half message that nobody ended is checked with its producers.";
            transaction_check_interval_ms: u64, "transactionCheckInterval" =
                is("30000").range(1, 24 * HOUR_MS).ms().reload().important(),
                "Pause between checks of half messages.";
            transaction_check_max: i32, "transactionCheckMax" =
                is("15").range(1, i32::MAX as i64).reload().important(),
                "Checks of a half message before it goes to TRANS_CHECK_MAX_TIME_TOPIC.";
            transaction_list_bytes: usize, "transactionOpMsgMaxSize" =
                is("4096").range(32, 1 << 20).bytes().reload(),
                "Size of a list of half messages that are over after which the next one is begun.";
            end_transaction_queue: usize, "endTransactionPoolQueueCapacity" =
                is("100000").range(1, 100_000_000),
                "Requests to end a transaction that may wait; a further one is refused.";
            fast_failure: bool, "brokerFastFailureEnable" = is("true").reload(),
                "Refuses requests that waited too long for their thread: the three keys below.";
            heartbeat_wait_max_ms: u64, "waitTimeMillsInHeartbeatQueue" =
                is("31000").range(0, HOUR_MS).ms().reload(),
                "Longest wait of a heartbeat for the control thread.";
            transaction_wait_max_ms: u64, "waitTimeMillsInTransactionQueue" =
                is("3000").range(0, HOUR_MS).ms().reload(),
                "Longest wait of the end of a transaction for its thread.";
            admin_wait_max_ms: u64, "waitTimeMillsInAdminBrokerQueue" =
                is("5000").range(0, HOUR_MS).ms().reload(),
                "Longest wait of an administration request for the control thread.";
            pop_polling_of_queue: usize, "popPollingSize" =
                is("1024").range(0, 100_000_000).reload(),
                "Pop requests held for one group and queue.";
            pop_polling_places: usize, "popPollingMapSize" =
                is("100000").range(0, 100_000_000).reload(),
                "Topic, group and queue combinations with held pop requests.";
            pop_polling_max: usize, "maxPopPollingSize" =
                is("100000").range(0, 100_000_000).reload(),
                "Pop requests held in all.";
            pop_in_flight_limited: bool, "enablePopMessageThreshold" = is("false").reload(),
                "Applies the limit below.";
            pop_in_flight_max: u64, "popInflightMessageThreshold" =
                is("10000").range(0, i64::MAX).reload(),
                "Messages of a queue that a group has popped and not acknowledged, above which it \
                 gets no more of that queue. They count when their check point is stored.";
            revive_queues: i32, "reviveQueueNum" = is("8").range(1, 999),
                "Queues of the pop revive topic.";
            pop_init_by_memory: bool, "initPopOffsetByCheckMsgInMem" = is("true").reload(),
                "Starts new pop groups at 0 when offset 0 is still in memory.";
            pop_reads_retry_v1: bool, "retrieveMessageFromPopRetryTopicV1" = is("true").reload(),
                "Reads retry topics of the older naming too.";
            pop_retry_v2: bool, "enableRetryTopicV2" = is("false").reload(),
                "Names pop retry topics in the newer way.";
            pop_retry_first_percent: u32, "popFromRetryProbability" =
                is("20").range(0, 100).reload(),
                "Pops of a hundred that read the retry topic first.";
            pop_shows_retry_topic: bool, "popResponseReturnActualRetryTopic" =
                is("false").reload(),
                "Shows the retry topic's name in pop answers.";
            clear_pop_retries: bool, "clearRetryTopicWhenDeleteTopic" = is("true").reload(),
                "Deletes the pop retry topics of a deleted topic.";
            assigns_queues: bool, "serverLoadBalancerEnable" = is("true").reload(),
                "Lets the broker assign queues to consumers.";
            assignment_route_ms: u64, "loadBalancePollNameServerInterval" =
                is("30000").range(1, HOUR_MS).ms().reload(),
                "How long a route that the broker asked for serves assignments.";
            default_request_mode: RequestMode, "defaultMessageRequestMode" =
                is("PULL").reload(),
                "How consumers get messages when a group does not say.";
            default_pop_share_queues: i32, "defaultPopShareQueueNum" =
                is("-1").range(-1, i32::MAX as i64).reload(),
                "Consumers that share each pop queue with its own; -1 and 0 all.";
            held_pulls_max: usize, "rmq.maxHeldPulls" = is("200000").range(0, 100_000_000).reload(),
                "Pulls held at once; a further one is answered PULL_NOT_FOUND.";
            waiting_send_bytes_max: usize, "rmq.maxWaitingSendBytes" =
                is("67108864").range(1, 1 << 40).bytes().reload(),
                "Size of the sends that wait for their topics to be made; a further one is \
                 answered SYSTEM_BUSY.";
            topics_max: usize, "rmq.maxTopics" = is("100000").range(1, 10_000_000).reload(),
                "Topics of the broker; further ones are not made.";
            groups_max: usize, "rmq.maxGroups" = is("100000").range(1, 10_000_000).reload(),
                "Consumer groups of the broker; further ones are not made.";
            queues_max: u32, "rmq.maxQueuesPerTopic" = is("65536").range(1, 1_048_576).reload(),
                "Queues of one topic; a request for more is refused.";
            clients_max: usize, "rmq.maxClients" = is("200000").range(1, 100_000_000).reload(),
                "Producers and consumers registered at once; further ones are refused.";
            mixed_message_types: bool, "enableMixedMessageType" = is("false").reload(),
                "Allows topics of mixed message types.";
            property_filter: bool, "enablePropertyFilter" = is("false").reload(),
                "Lets consumers filter with SQL92 expressions.";
            filter_retries: bool, "filterSupportRetry" = is("false").reload(),
                "Applies the filters of the topics that retried messages came from, for consumers \
                 that subscribe to their retry topic by an expression.";
            filter_keep_ms: i64, "filterDataCleanTimeSpan" =
                is("86400000").range(0, i64::MAX).ms().reload(),
                "How long the filters of a group without members are kept.";
            bloom_members: u32, "expectConsumerNumUseFilter" = is("32").range(1, 100_000_000),
                "Groups expected to filter: a size in consumerFilter.json, of which Apache's \
                 broker wants that it is the same.";
            bloom_error_percent: u32, "maxErrorRateOfBloomFilter" = is("20").range(1, 99),
                "Another one: how often a Bloom filter of that size may err.";
            filter_bytes_max: usize, "rmq.maxFilterExpressionBytes" =
                is("131072").range(1, 16 << 20).bytes().reload(),
                "Longest SQL92 expression.";
            filter_depth_max: usize, "rmq.maxFilterDepth" = is("100").range(1, 100).reload(),
                "Levels of parentheses and operators in an SQL92 expression.";
            filter_operators_max: usize, "rmq.maxFilterOperators" =
                is("4096").range(1, 1_000_000).reload(),
                "Operators in an SQL92 expression.";
            filter_steps_max: usize, "rmq.maxFilterStepsPerPull" =
                is("200000").range(1, 1_000_000_000).reload(),
                "Operators evaluated for one pull, each counted once more for every KiB of a \
                 message's properties; then the pull ends, and the next one goes on.";
            queue_lock_expired_ms: u64, "rmq.queueLockExpiredTime" =
                is("60000").range(1, HOUR_MS).ms().reload(),
                "Time that an ordered consumer's lock of a queue lasts without renewal.";
            inflated_bytes_max: usize, "rmq.inflatedBytesMax" =
                is("33554432").range(1 << 16, 1 << 32).bytes().reload(),
                "Largest size of a compressed body after inflating it.";
        }
        accepted {
            "enableCreateSysGroup": Bool = is("true"),
                "Makes the system's own consumer groups at the start.";
            "enableRegisterProducer": Bool = is("true"),
                "Keeps a list of connected producers.";
            "consumerOffsetUpdateVersionStep": Long =
                is("500").range(1, i64::MAX),
                "Offset changes that make a new version of the offsets.";
            "realTimeNotifyConsumerChange": Bool = is("true"),
                "Does that at once.";
            "forceRegister": Bool = is("true"),
                "Registers even with nameservers that know the newest version.";
            "compressedRegister": Bool = is("false"),
                "Compresses registrations.";
            "enableSingleTopicRegister": Bool = is("false"),
                "Registers only the topic that changed.";
            "enableSplitRegistration": Bool = is("false"),
                "Splits registrations of many topics.";
            "splitRegistrationSize": Int =
                is("800").range(1, 1_000_000),
                "Topics in each part of a split registration.";
            "subscriptionExpiredTimeout": Long =
                is("600000").range(1, i64::MAX).ms(),
                "Silence after which a subscription is forgotten.";
            "validateSystemTopicWhenUpdateTopic": Bool = is("true"),
                "Refuses changes of system topics.";
            "rmqAddressServerDomain": Text = is("jmenv.tbsite.net"),
                "Host of the address server.";
            "rmqAddressServerSubGroup": Text = is("nsaddr"),
                "Path on the address server.";
            "filterServerNums": Int = is("0"),
                "Filter servers of RocketMQ 4; rmq starts no processes.";
            "commercialEnable": Bool = is("true"), "Commercial statistics of RocketMQ 4.";
            "commercialTimerCount": Int = is("1"), "Weight of delayed messages in these.";
            "commercialTransCount": Int = is("1"), "Weight of transactions in these.";
            "commercialBigCount": Int = is("1"), "Weight of large messages in these.";
            "maxDelayTime": Int = is("40"), "Longest delay in days in RocketMQ 4.";
            "isBrokerContainer": Bool = is("false").alias("brokerContainer"),
                "Marks the container of several brokers.";
            "isInBrokerContainer": Bool = is("false").alias("inBrokerContainer"),
                "Marks a broker inside a container; set by the container.";
            "recoverConcurrently": Bool = is("false").important(),
                "Recovers consume queues with several threads.";
            "messageStorePlugIn": Text = is("").immutable(), "Classes that wrap the store.";
            "sendMessageThreadPoolNums": Int =
                computed("the processors, at most 4", |e| Some(e.cores.min(4).to_string())),
                "Threads that store messages; rmq's reactors do.";
            "putMessageFutureThreadPoolNums": Int =
                computed("the processors, at most 4", |e| Some(e.cores.min(4).to_string())),
                "Threads that finish waiting sends.";
            "pullMessageThreadPoolNums": Int =
                computed("16 and twice the processors", |e| Some((16 + 2 * e.cores).to_string())),
                "Threads that answer pulls.";
            "litePullMessageThreadPoolNums": Int =
                computed("16 and twice the processors", |e| Some((16 + 2 * e.cores).to_string())),
                "Threads that answer lite pulls.";
            "ackMessageThreadPoolNums": Int = is("16"), "Threads that handle pop acknowledgements.";
            "processReplyMessageThreadPoolNums": Int =
                computed("16 and twice the processors", |e| Some((16 + 2 * e.cores).to_string())),
                "Threads that pass on replies.";
            "queryMessageThreadPoolNums": Int =
                computed("8 and the processors", |e| Some((8 + e.cores).to_string())),
                "Threads that answer message queries.";
            "adminBrokerThreadPoolNums": Int = is("16"),
                "Threads that answer administration requests.";
            "clientManageThreadPoolNums": Int = is("32"),
                "Threads that handle client registration.";
            "consumerManageThreadPoolNums": Int = is("32"), "Threads that handle consumer offsets.";
            "loadBalanceProcessorThreadPoolNums": Int = is("32"),
                "Threads that answer assignment queries.";
            "heartbeatThreadPoolNums": Int =
                computed("the processors, at most 32", |e| Some(e.cores.min(32).to_string())),
                "Threads that handle client heartbeats.";
            "recoverThreadPoolNums": Int = is("32"), "Threads that recover consume queues.";
            "endTransactionThreadPoolNums": Int =
                computed("8 and twice the processors",
                    |e| Some((8 + 2 * e.cores).max(4 * e.cores.min(4)).to_string())),
                "Threads that commit and roll back transactions.";
            "flushConsumerOffsetHistoryInterval": Int = is("60000"),
                "How often a history of offsets would be written.";
            "fetchNameSrvAddrByDnsLookup": Bool = is("false").important(),
                "Resolves namesrvAddr anew at each interval.";
            "fetchNamesrvAddrByAddressServer": Bool = is("false").important(),
                "Asks a web server for the nameservers.";
            "sendThreadPoolQueueCapacity": Int = is("10000"), "Sends that may wait for a thread.";
            "putThreadPoolQueueCapacity": Int = is("10000"),
                "Finished sends that may wait for a thread.";
            "pullThreadPoolQueueCapacity": Int = is("100000"), "Pulls that may wait for a thread.";
            "litePullThreadPoolQueueCapacity": Int = is("100000"),
                "Lite pulls that may wait for a thread.";
            "ackThreadPoolQueueCapacity": Int = is("100000"),
                "Acknowledgements that may wait for a thread.";
            "replyThreadPoolQueueCapacity": Int = is("10000"),
                "Replies that may wait for a thread.";
            "queryThreadPoolQueueCapacity": Int = is("20000"),
                "Queries that may wait for a thread.";
            "clientManagerThreadPoolQueueCapacity": Int = is("1000000"),
                "Client registrations that may wait for a thread.";
            "consumerManagerThreadPoolQueueCapacity": Int = is("1000000"),
                "Offset requests that may wait for a thread.";
            "heartbeatThreadPoolQueueCapacity": Int = is("50000"),
                "Heartbeats that may wait for a thread.";
            "adminBrokerThreadPoolQueueCapacity": Int = is("10000"),
                "Administration requests that may wait for a thread.";
            "loadBalanceThreadPoolQueueCapacity": Int = is("100000"),
                "Assignment queries that may wait for a thread.";
            "highSpeedMode": Bool = is("false"), "Skips some statistics.";
            "commercialBaseCount": Int = is("1"), "Base of commercial statistics.";
            "commercialSizePerMsg": Int = is("4096"),
                "Bytes that count as one message in commercial statistics.";
            "accountStatsEnable": Bool = is("true"), "Keeps statistics by account.";
            "accountStatsPrintZeroValues": Bool = is("true"), "Logs account statistics of nothing.";
            "maxStatsIdleTimeInMinutes": Int = is("-1"),
                "Minutes after which unused statistics are dropped; -1 never.";
            "transferMsgByHeap": Bool = is("true"),
                "Copies pulled messages instead of sending mapped memory.";
            "sendHeartbeatTimeoutMillis": Int = is("1000").ms(),
                "Time allowed to a light heartbeat.";
            "disableConsumeIfConsumerReadSlowly": Bool = is("false"),
                "Stops a group that lags too far behind.";
            "consumerFallbehindThreshold": Long = is("17179869184"),
                "Lag in bytes that stops a group, with the key above.";
            "waitTimeMillsInSendQueue": Long = is("200"), "Longest wait of a send for a thread.";
            "waitTimeMillsInPullQueue": Long = is("5000"), "Longest wait of a pull for a thread.";
            "waitTimeMillsInLitePullQueue": Long = is("5000"),
                "Longest wait of a lite pull for a thread.";
            "waitTimeMillsInAckQueue": Long = is("3000"),
                "Longest wait of an acknowledgement for a thread.";
            "enableCalcFilterBitMap": Bool = is("false"),
                "Computes filter bit maps when messages are dispatched.";
            "rejectPullConsumerEnable": Bool = is("false"),
                "Refuses pulls of groups without a heartbeat.";
            "updateNameServerAddrPeriod": Int = is("120000"),
                "How often the list of nameservers is read again.";
            "brokerHeartbeatInterval": Int = is("1000"),
                "Pause between light heartbeats to nameservers, with acting masters.";
            "brokerNotActiveTimeoutMillis": Long = is("10000").ms(),
                "Silence after which nameservers drop this broker, with acting masters.";
            "enableNetWorkFlowControl": Bool = is("false"), "Limits pulls by network load.";
            "enableBroadcastOffsetStore": Bool = is("true"),
                "Keeps offsets of broadcasting consumers behind proxies.";
            "broadcastOffsetExpireSecond": Long = is("120"),
                "Silence after which a broadcast offset is dropped.";
            "broadcastOffsetExpireMaxSecond": Long = is("300"),
                "Age at which a broadcast offset is dropped.";
            "popPollingMapExpireTimeSeconds": Int = is("600"),
                "Idle time after which such a combination is forgotten.";
            "reviveInterval": Long = is("1000"), "Pause between scans of the revive topic.";
            "reviveMaxSlow": Long = is("3"), "Slow revive rounds in a row that are tolerated.";
            "reviveScanTime": Long = is("10000"), "Length of one revive scan.";
            "enableSkipLongAwaitingAck": Bool = is("false"),
                "Skips revive entries that wait too long for their acknowledgement.";
            "reviveAckWaitMs": Long = is("180000").ms(),
                "How long a revive entry waits for its acknowledgement.";
            "enablePopLog": Bool = is("false"), "Logs pop in detail.";
            "enablePopBufferMerge": Bool = is("false"),
                "Matches acknowledgements with pops in memory.";
            "popCkStayBufferTime": Int = is("10000"),
                "How long a pop's check point stays in memory.";
            "popCkStayBufferTimeOut": Int = is("3000"),
                "Time before a check point's end at which it leaves memory.";
            "popCkMaxBufferSize": Int = is("200000"), "Check points held in memory.";
            "popCkOffsetMaxQueueSize": Int = is("20000"),
                "Offsets queued for commit for one queue.";
            "enablePopBatchAck": Bool = is("false"), "Stores acknowledgements in batches.";
            "popLongPollingForceNotifyInterval": Long = is("800"),
                "Messages without a match after which a held pop is woken all the same.";
            "enableNotifyBeforePopCalculateLag": Bool = is("true"),
                "Wakes held pops before the lag is computed.";
            "enableNotifyAfterPopOrderLockRelease": Bool = is("true"),
                "Wakes held pops when an ordered queue is released.";
            "popFromRetryProbabilityForPriority": Int = is("0"), "The same for priority topics.";
            "priorityOrderAsc": Bool = is("true"), "Order of message priorities.";
            "popConsumerFSServiceInit": Bool = is("true"), "Starts the file based pop service.";
            "popConsumerKVServiceLog": Bool = is("false"),
                "Logs the key-value based pop service in detail.";
            "popConsumerKVServiceInit": Bool = is("false"),
                "Starts the key-value based pop service.";
            "popConsumerKVServiceEnable": Bool = is("false"),
                "Uses the key-value based pop service.";
            "popReviveMaxReturnSizePerRead": Int = is("16384"),
                "Bytes read at once when messages are revived.";
            "popReviveConcurrency": Int = is("32"), "Messages revived at once.";
            "popReviveMaxAttemptTimes": Int = is("16"), "Attempts to revive a message.";
            "popReviveSkipIfGroupAbsent": Bool = is("true"),
                "Skips revived messages of deleted groups.";
            "useSeparateRetryQueue": Bool = is("false"), "Gives each priority its own retry queue.";
            "useMessageFilterForNotification": Bool = is("true"),
                "Applies filters before a notification.";
            "maxMessageFilterNumForNotification": Int = is("64"),
                "Messages looked at before a notification.";
            "syncBrokerMemberGroupPeriod": Int = is("1000"),
                "Pause between looks at the broker's own group, with acting masters.";
            "cleanOfflineBrokerInterval": Int = is("30000"),
                "How often brokers that are gone are forgotten.";
            "transactionMetricFlushInterval": Long = is("10000"),
                "How often transaction counts are written.";
            "transactionCheckRocksdbCoreThreads": Int = is("2"),
                "Threads that check transactions kept in RocksDB.";
            "transactionCheckRocksdbMaxThreads": Int = is("5"), "Most of these threads.";
            "transactionCheckRocksdbQueueCapacity": Int = is("2000"),
                "Checks that may wait for one of these threads.";
            "transactionOpBatchInterval": Int = is("3000"),
                "How often batches of transaction ends are written.";
            "aclEnable": Bool = is("false").important(),
                "Access control of RocketMQ 4; see authenticationEnabled.";
            "enableDetailStat": Bool = is("true"), "Keeps statistics by queue.";
            "autoDeleteUnusedStats": Bool = is("true"),
                "Drops statistics of deleted topics and groups.";
            "isolateLogEnable": Bool = is("false"),
                "Gives each broker of a host its own log folder.";
            "forwardTimeout": Long = is("3000"),
                "Time allowed to forward a message to another broker.";
            "enableSlaveActingMaster": Bool = is("false"),
                "Lets the lowest slave act for a master that is gone.";
            "enableRemoteEscape": Bool = is("false"),
                "Writes to another broker when this group has no master.";
            "skipPreOnline": Bool = is("false"), "Skips the phase before a broker goes online.";
            "asyncSendEnable": Bool = is("true"), "Answers sends from a callback; rmq always does.";
            "delayOffsetUpdateVersionStep": Long = is("200"),
                "Changes of delay offsets that make a new version.";
            "lockInStrictMode": Bool = is("false"),
                "Asks the group's other brokers for queue locks too.";
            "compatibleWithOldNameSrv": Bool = is("true"),
                "Registers in the way that old nameservers read.";
            "enableControllerMode": Bool = is("false"), "Lets a controller choose masters.";
            "controllerAddr": Text = is(""), "The controllers.";
            "fetchControllerAddrByDnsLookup": Bool = is("false"), "Resolves controllerAddr by DNS.";
            "syncBrokerMetadataPeriod": Long = is("5000"),
                "How often slaves fetch topics, groups and offsets.";
            "checkSyncStateSetPeriod": Long = is("5000"), "How often the in-sync set is looked at.";
            "syncControllerMetadataPeriod": Long = is("10000"),
                "How often the controllers' leader is looked up.";
            "controllerHeartBeatTimeoutMills": Long = is("10000").ms(),
                "Silence after which the controller drops this broker.";
            "brokerElectionPriority": Int = is("2147483647"), "Rank in elections; the lowest wins.";
            "useStaticSubscription": Bool = is("false"),
                "Uses subscriptions stored with the group.";
            "metricsExporterType": Text = is("DISABLE").words(EXPORTERS),
                "Where metrics go.";
            "metricsOtelCardinalityLimit": Int = is("50000"), "Label combinations of one metric.";
            "metricsGrpcExporterTarget": Text = is(""), "Address of the OpenTelemetry collector.";
            "metricsGrpcExporterHeader": Text = is(""), "Headers sent to the collector.";
            "metricGrpcExporterTimeOutInMills": Long = is("3000").ms(),
                "Time allowed to send metrics.";
            "metricGrpcExporterIntervalInMills": Long = is("60000").ms(),
                "Pause between sendings of metrics.";
            "metricLoggingExporterIntervalInMills": Long = is("10000").ms(),
                "Pause between logged metrics.";
            "metricsPromExporterPort": Int = is("5557"), "Port of the Prometheus page.";
            "metricsPromExporterHost": Text = is(""), "Address of the Prometheus page.";
            "metricsLabel": Text = is(""),
                "Labels added to every metric, key:value with commas between.";
            "metricsExportBatchMaxDataPoints": Int = is("1000"),
                "Points in one sending of metrics.";
            "metricsInDelta": Bool = is("false"), "Sends differences instead of sums.";
            "enableRemotingMetrics": Bool = is("true"),
                "Exports metrics of connections and requests.";
            "enableMessageStoreMetrics": Bool = is("true"), "Exports metrics of the store.";
            "enablePopMetrics": Bool = is("true"), "Exports metrics of pop.";
            "enableConnectionMetrics": Bool = is("true"), "Exports numbers of connected clients.";
            "enableTransactionMetrics": Bool = is("true"), "Exports metrics of transactions.";
            "enableStatsMetrics": Bool = is("true"), "Exports message counts and sizes.";
            "enableRequestMetrics": Bool = is("true"), "Exports metrics of requests.";
            "enableLagAndDlqMetrics": Bool = is("true"), "Exports consumer lag and dead letters.";
            "estimateAccumulation": Bool = is("true"),
                "Estimates the lag of groups that filter by tag.";
            "coldCtrStrategyEnable": Bool = is("false"), "Limits reading of cold data.";
            "usePIDColdCtrStrategy": Bool = is("true"), "Adapts that limit with a PID controller.";
            "cgColdReadThreshold": Long = is("3145728"), "Cold bytes a group may read in a second.";
            "globalColdReadThreshold": Long = is("104857600"),
                "Cold bytes all groups may read in a second.";
            "fetchNamesrvAddrInterval": Long = is("10000"),
                "How often the address server is asked.";
            "enableSplitMetadata": Bool = is("true"),
                "Splits topics and groups over several answers to slaves.";
            "splitMetadataSize": Int = is("2000"), "Entries in one of these answers.";
            "enableFastChannelEventProcess": Bool = is("false"),
                "Handles closed connections through indexes.";
            "printChannelGroups": Bool = is("false"), "Logs connections used by several groups.";
            "printChannelGroupsMinNum": Int = is("5"),
                "Groups on a connection before it is logged.";
            "skipWhenCKRePutReachMaxTimes": Bool = is("false"),
                "Drops a check point after its last attempt.";
            "appendAckAsync": Bool = is("false"), "Stores acknowledgements without waiting.";
            "appendCkAsync": Bool = is("false"), "Stores check points without waiting.";
            "enableLmqStats": Bool = is("false"), "Keeps statistics of light message queues.";
            "configManagerVersion": Text = is("v1"),
                "Form in which topics, groups and offsets are stored; rmq writes v1, JSON files.";
            "useSingleRocksDBForAllConfigs": Bool = is("false"),
                "Keeps all RocksDB configuration in one database.";
            "enableLiteEventMode": Bool = is("true"), "Serves lite topics by events.";
            "liteEventCheckInterval": Long = is("10000"), "Pause between checks of lite events.";
            "liteTtlCheckInterval": Long = is("120000"),
                "Pause between checks for expired lite topics.";
            "minLiteTTl": Long = is("900000"), "Shortest life of a lite topic.";
            "liteSubscriptionCheckInterval": Long = is("120000"),
                "Pause between checks of lite subscriptions.";
            "liteSubscriptionCheckTimeoutMills": Long = is("180000").ms(),
                "Silence after which a lite subscription is dropped.";
            "persistConsumerOffsetIncrementally": Bool = is("false"),
                "Writes changed offsets only.";
            "maxLiteSubscriptionCount": Long = is("100000"), "Lite subscriptions in all.";
            "enableLitePopLog": Bool = is("false"), "Logs lite pops in detail.";
            "maxClientEventCount": Int = is("100"), "Events queued for one client.";
            "liteEventFullDispatchDelayTime": Long = is("10000"),
                "Delay before all lite events are sent again.";
            "liteEventFullDispatchDelayTimeForWildcardGroup": Long = is("10000"),
                "The same for groups with wildcards.";
            "liteLagLatencyCollectEnable": Bool = is("false"), "Measures the lag of lite topics.";
            "liteLagLatencyMetricsEnable": Bool = is("false"), "Exports that lag as time.";
            "liteLagCountMetricsEnable": Bool = is("false"), "Exports that lag as messages.";
            "liteLagLatencyTopK": Int = is("50"), "Topics exported with the longest lag.";
        }
    }
}

impl ServerSettings for BrokerConfig {
    const LISTEN_PORT: u16 = 10_911;

    fn finish(&mut self, layers: &Layers<'_>) -> Result<()> {
        self.server.check(layers)?;
        for (key, address) in [
            ("brokerIP1", &self.broker_ip1),
            ("brokerIP2", &self.broker_ip2),
        ] {
            if let Some(address) = address {
                check_ip_address(layers, key, address)?;
            }
        }
        for address in &self.namesrv_addr {
            if !is_host_and_port(address) {
                let wanted = "allowed are host:port pairs such as 192.168.1.11:9876;host:9876";
                return Err(layers.refuse("namesrvAddr", wanted));
            }
        }
        for (key, name) in [
            ("brokerName", &self.broker_name),
            ("brokerClusterName", &self.cluster_name),
        ] {
            if name.is_empty() || name.len() > 255 || name.contains(char::is_control) {
                return Err(layers.refuse(key, "allowed is a name of 1 to 255 bytes"));
            }
        }
        self.check_role()
            .map_err(|(key, why)| layers.refuse(key, &why))?;
        self.derive_ports(layers)?;
        if self
            .store
            .commitlog_dir
            .as_ref()
            .is_some_and(|dir| dir.contains(','))
        {
            let why = "several folders for one commit log are not supported";
            return Err(layers.refuse("storePathCommitLog", why));
        }
        let entries = self.store.consume_queue_file_bytes.div_ceil(20);
        self.store.consume_queue_file_bytes = entries * 20;
        self.register_interval_ms = self.register_interval_ms.clamp(10_000, 60_000);
        Ok(())
    }

    fn black_list(&self) -> &[String] {
        &self.config_black_list
    }
}

impl BrokerConfig {
    /// Whether the keys of the broker's role fit each other; else the key that does not and why.
    ///
    /// # Errors
    /// The key to change and a sentence.
    pub fn check_role(&self) -> std::result::Result<(), (&'static str, String)> {
        let store = &self.store;
        let (role, id) = (store.broker_role, self.broker_id);
        if role == BrokerRole::Slave && id <= 0 {
            return Err(("brokerId", "Slave's brokerId must be > 0".to_owned()));
        }
        if role != BrokerRole::Slave && id != 0 {
            // Apache's broker takes it for 0: a slave whose role was forgotten would then be a
            // second master, and copy nothing.
            let why = format!(
                "brokerRole={} is the master of its group, whose brokerId is 0; a slave has \
                 brokerRole=SLAVE",
                role.word()
            );
            return Err(("brokerId", why));
        }
        // A SYNC_MASTER waits for one slave at least, whatever inSyncReplicas says.
        if store.min_in_sync_replicas > store.in_sync_replicas.max(2) {
            let why = format!(
                "allowed is at most inSyncReplicas={}: no sender waits for more copies than that",
                store.in_sync_replicas
            );
            return Err(("minInSyncReplicas", why));
        }
        if let Some(address) = &store.ha_master_address
            && !is_host_and_port(address)
        {
            let why = "allowed is host:port such as 192.168.1.11:10912";
            return Err(("haMasterAddress", why.to_owned()));
        }
        let taken = [self.server.listen_port, self.vip_port()];
        if store.ha_listen_port != 0 && taken.contains(&store.ha_listen_port) {
            let why = "listenPort and listenPort-2 are taken by clients";
            return Err(("haListenPort", why.to_owned()));
        }
        Ok(())
    }

    fn derive_ports(&mut self, layers: &Layers<'_>) -> Result<()> {
        let port = self.server.listen_port;
        if port == 0 {
            return Ok(());
        }
        if port < 3 {
            return Err(layers.refuse("listenPort", "the second listener needs listenPort-2"));
        }
        if self.store.ha_listen_port == 0 {
            let next = port.checked_add(1);
            let wanted = "slaves need listenPort+1, or haListenPort";
            self.store.ha_listen_port = next.ok_or_else(|| layers.refuse("listenPort", wanted))?;
        }
        Ok(())
    }

    /// The share of memory whose messages count as in memory: less on a slave, as in Apache's.
    #[must_use]
    pub fn memory_percent(&self) -> u32 {
        match self.store.broker_role {
            BrokerRole::Slave => self.store.memory_percent.saturating_sub(10),
            BrokerRole::AsyncMaster | BrokerRole::SyncMaster => self.store.memory_percent,
        }
    }

    /// The port of the second listener; 0 (any) when the first takes any.
    #[must_use]
    pub fn vip_port(&self) -> u16 {
        self.server.listen_port.saturating_sub(2)
    }

    /// Small and safe for a broker inside another process: loopback, free ports, small files.
    /// `root_dir` is where it stores; the caller makes and removes it.
    #[must_use]
    pub fn embedded_defaults(root_dir: impl Into<String>) -> Self {
        let mut small = Properties::new("embedded defaults");
        small.extend(EMBEDDED_KEYS);
        let (mut config, _) = Self::load(&Environment::of_process(), &[&small])
            .expect("the embedded defaults are allowed values");
        config.server.bind_address = "127.0.0.1".to_owned();
        config.server.listen_port = 0;
        config.broker_ip1 = Some("127.0.0.1".to_owned());
        config.broker_ip2 = Some("127.0.0.1".to_owned());
        config.namesrv_addr = Vec::new();
        config.store.root_dir = root_dir.into();
        config.store.commitlog_dir = None;
        config.store.ha_listen_port = 0;
        config
    }
}

/// Whether `text` is `host:port` or `[address]:port` with a port from 1.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', ' ', '[', ']']),
    };
    host_fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}
