//! Keys of the message store.

use crate::config::table::{absent, computed, is, settings};
use crate::config::value::{DelayLevels, HourList, choices};

const GIB: i64 = 1 << 30;
const HOUR_MS: i64 = 3_600_000;

choices! {
    /// What a broker is in its group.
    pub enum BrokerRole {
        /// A master that answers senders without waiting for slaves.
        #[default]
        AsyncMaster = "ASYNC_MASTER",
        /// A master that answers a sender when a slave has the message.
        SyncMaster = "SYNC_MASTER",
        /// A copy of a master.
        Slave = "SLAVE",
    }
}

choices! {
    /// When a message counts as stored.
    pub enum FlushDiskType {
        /// When it is in the mapped file; the disk follows.
        #[default]
        AsyncFlush = "ASYNC_FLUSH",
        /// When it is on the disk.
        SyncFlush = "SYNC_FLUSH",
    }
}

settings! {
    /// Where and how messages are stored, and how much of them a pull may take.
    pub struct StoreConfig {
        parts {}
        used {
            root_dir: String, "storePathRootDir" =
                computed("~/store", |e| e.under_home("store")).immutable().important(),
                "Folder of the store.";
            commitlog_dir: Option<String>, "storePathCommitLog" =
                absent().immutable().important(),
                "Folder of the commit log; left out it is commitlog in storePathRootDir.";
            segment_bytes: u64, "mappedFileSizeCommitLog" =
                is("1073741824").range(65_536, 2 * GIB - 1).bytes(),
                "Size of one commit log file.";
            consume_queue_file_bytes: u64, "mappedFileSizeConsumeQueue" =
                is("6000000").range(20, 2 * GIB - 1).bytes(),
                "Size of one consume queue file; it is rounded up to whole entries of 20 bytes.";
            broker_role: BrokerRole, "brokerRole" = is("ASYNC_MASTER").important(),
                "Whether the broker is a master that waits for slaves, one that does not, or a \
                 slave.";
            flush_disk_type: FlushDiskType, "flushDiskType" = is("ASYNC_FLUSH").important(),
                "Whether a sender is answered when its message is on the disk or before.";
            sync_flush_timeout_ms: u64, "syncFlushTimeout" =
                is("5000").range(1, HOUR_MS).ms().reload(),
                "Time a sender waits for the disk before it is told FLUSH_DISK_TIMEOUT.";
            flush_interval_ms: u64, "flushIntervalCommitLog" =
                is("500").range(1, HOUR_MS).ms().reload().important(),
                "Pause between flushes of the commit log with ASYNC_FLUSH.";
            flush_pages_min: u32, "flushCommitLogLeastPages" =
                is("4").range(0, 1_048_576).pages().reload(),
                "Unflushed pages before a timed flush writes anything.";
            flush_thorough_interval_ms: u64, "flushCommitLogThoroughInterval" =
                is("10000").range(1, HOUR_MS).ms().reload(),
                "Pause after which everything is flushed, however little.";
            consume_queue_flush_interval_ms: u64, "flushIntervalConsumeQueue" =
                is("1000").range(1, HOUR_MS).ms().reload(),
                "Pause between flushes of the consume queues.";
            consume_queue_flush_pages_min: u32, "flushConsumeQueueLeastPages" =
                is("2").range(0, 1_048_576).pages().reload(),
                "Unflushed pages of a consume queue before it is flushed.";
            consume_queue_flush_thorough_interval_ms: u64, "flushConsumeQueueThoroughInterval" =
                is("60000").range(1, HOUR_MS).ms().reload(),
                "Pause after which all consume queues are flushed.";
            max_message_bytes: usize, "maxMessageSize" =
                is("4194304").range(1, GIB).bytes().reload(),
                "Largest body of a message; a larger one is answered MESSAGE_ILLEGAL.";
            append_property_crc: bool, "enabledAppendPropCRC" = is("false"),
                "Adds a checksum over all fields to each record.";
            check_crc_on_recover: bool, "checkCRCOnRecover" = is("true"),
                "Verifies body checksums when the store recovers.";
            delay_levels: DelayLevels, "messageDelayLevel" =
                is("1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"),
                "Delays of the delay levels, level 1 first.";
            flush_delays_interval_ms: u64, "flushDelayOffsetInterval" =
                is("10000").range(10, HOUR_MS).ms(),
                "Pause between writings of how far delayed messages were delivered.";
            timer_enable: bool, "timerWheelEnable" = is("true"),
                "Serves messages with a time of delivery.";
            timer_tick_ms: u64, "timerPrecisionMs" = is("1000").range(10, HOUR_MS).ms(),
                "Length of one step of the timer wheel; change it only while no message waits.";
            timer_roll_ticks: u32, "timerRollWindowSlot" = is("172800").range(0, 1_000_000_000),
                "Steps after which a far message is put back; others than 2 to 604740 mean 604740.";
            timer_max_delay_secs: u32, "timerMaxDelaySec" =
                is("259200").range(0, 1_000_000_000).reload(),
                "Longest delay of a timer message.";
            timer_congest_max: u32, "timerCongestNumEachSlot" =
                is("2147483647").range(0, 2_147_483_647).reload(),
                "Messages due in one step before more are refused, at random up to twice as many.";
            timer_log_file_bytes: u64, "mappedFileSizeTimerLog" =
                is("104857600").range(4096, GIB).bytes(),
                "Size of one file of the timer log.";
            timer_flush_interval_ms: u64, "timerFlushIntervalMs" =
                is("1000").range(10, HOUR_MS).ms().reload(),
                "How often the timer wheel is written.";
            timer_stop_enqueue: bool, "timerStopEnqueue" = is("false").reload(),
                "Stops taking timer messages in.";
            timer_stop_dequeue: bool, "timerStopDequeue" = is("false").reload(),
                "Stops delivering timer messages.";
            timer_delete_by_topic: bool, "appendTopicForTimerDeleteKey" = is("false"),
                "Adds the topic to keys of cancelled timer messages.";
            delete_when: HourList, "deleteWhen" = is("04").reload().important(),
                "Hours of the day at which expired files are deleted.";
            reserved_hours: u32, "fileReservedTime" =
                is("72").range(1, 1_000_000).hours().reload().important(),
                "Time a commit log file is kept after its last message.";
            disk_max_used_percent: u32, "diskMaxUsedSpaceRatio" =
                is("75").range(10, 99).percent().reload(),
                "Disk use above which expired files are deleted at any hour.";
            disk_force_clean_percent: u32, "diskSpaceCleanForciblyRatio" =
                is("85").range(10, 99).percent().reload(),
                "Disk use above which the oldest files are deleted although not expired.";
            disk_full_percent: u32, "diskSpaceWarningLevelRatio" =
                is("90").range(10, 100).percent().reload(),
                "Disk use above which messages are refused until space is free again.";
            clean_forcibly: bool, "cleanFileForciblyEnable" = is("true").reload().important(),
                "Allows files to be deleted before they expire when the disk fills up.";
            clean_interval_ms: u64, "cleanResourceInterval" =
                is("10000").range(10, HOUR_MS).ms().reload(),
                "Pause between looks at expired files and disk use.";
            delete_commitlog_interval_ms: u64, "deleteCommitLogFilesInterval" =
                is("100").range(0, HOUR_MS).ms().reload(),
                "Pause between deletions of two commit log files.";
            delete_consume_queue_interval_ms: u64, "deleteConsumeQueueFilesInterval" =
                is("100").range(0, HOUR_MS).ms().reload(),
                "Pause between deletions of two consume queue files.";
            delete_files_max: u32, "deleteFileBatchMax" =
                is("10").range(1, 100_000).reload().important(),
                "Files deleted in one round.";
            transfer_memory_bytes_max: usize, "maxTransferBytesOnMessageInMemory" =
                is("262144").range(1, GIB).bytes().reload().important(),
                "Bytes answered to one pull of messages in memory.";
            transfer_memory_count_max: u32, "maxTransferCountOnMessageInMemory" =
                is("32").range(1, 100_000).reload().important(),
                "Messages answered to one pull of messages in memory.";
            transfer_disk_bytes_max: usize, "maxTransferBytesOnMessageInDisk" =
                is("65536").range(1, GIB).bytes().reload().important(),
                "Bytes answered to one pull of messages on the disk.";
            transfer_disk_count_max: u32, "maxTransferCountOnMessageInDisk" =
                is("8").range(1, 100_000).reload().important(),
                "Messages answered to one pull of messages on the disk.";
            pull_count_max: u32, "pullBatchMaxMessageCount" = is("160").range(1, 100_000).reload(),
                "Messages answered to one pull in any case.";
            filter_scan_bytes_max: usize, "maxFilterMessageSize" =
                is("16000").range(20, GIB).bytes().reload(),
                "Bytes of a consume queue looked through in one pull.";
            memory_percent: u32, "accessMessageInMemoryMaxRatio" =
                is("40").range(0, 100).percent().reload().important(),
                "Share of the host's memory whose newest messages count as in memory.";
            ha_listen_port: u16, "haListenPort" = is("0").range(0, 65_535),
                "Port that slaves replicate from; 0 is listenPort+1.";
            ha_heartbeat_ms: u64, "haSendHeartbeatInterval" = is("5000").range(10, HOUR_MS).ms(),
                "Pause between heartbeats on an idle replication connection.";
            ha_housekeeping_ms: u64, "haHousekeepingInterval" =
                is("20000").range(100, HOUR_MS).ms(),
                "Silence after which a replication connection is closed.";
            ha_batch_bytes: usize, "haTransferBatchSize" = is("32768").range(1024, GIB).bytes(),
                "Bytes sent to a slave at once.";
            ha_master_address: Option<String>, "haMasterAddress" = absent().important(),
                "Address (host:port) that a slave replicates from; left out the nameserver tells \
                 it.";
            ha_max_gap_bytes: u64, "haMaxGapNotInSync" =
                is("268435456").range(0, i64::MAX).bytes().alias("haSlaveFallbehindMax"),
                "Lag at which a slave is no longer in sync.";
            slave_timeout_ms: u64, "slaveTimeout" = is("3000").range(1, HOUR_MS).ms(),
                "Time a sender waits for slaves before it is told FLUSH_SLAVE_TIMEOUT; a slave \
                 that lags longer is no longer in sync.";
            in_sync_replicas: u32, "inSyncReplicas" = is("1").range(0, 1000).important(),
                "Copies, this broker's included, that a SYNC_MASTER waits for; it always waits for \
                 at least one slave.";
            min_in_sync_replicas: u32, "minInSyncReplicas" = is("1").range(0, 1000).important(),
                "Copies in sync, this broker's included, below which a SYNC_MASTER refuses \
                 messages.";
            auto_in_sync_replicas: bool, "enableAutoInSyncReplicas" = is("false").important(),
                "Lets a SYNC_MASTER wait for as many copies as are in sync, from minInSyncReplicas \
                 to inSyncReplicas.";
            ha_flow_control: bool, "haFlowControlEnable" = is("false").important(),
                "Limits the speed of replication.";
            ha_bytes_per_second: u64, "maxHaTransferByteInSecond" =
                is("104857600").range(1024, i64::MAX).bytes(),
                "That limit for each slave.";
            offset_check_in_slave: bool, "offsetCheckInSlave" = is("false").reload(),
                "Lets a slave correct wrong pull offsets.";
            index_enable: bool, "messageIndexEnable" = is("true").important(),
                "Builds the index by message key. Turned on later it is built for the whole log.";
            index_file_write: bool, "indexFileWriteEnable" = is("true"),
                "Writes index files; like messageIndexEnable.";
            index_file_read: bool, "indexFileReadEnable" = is("true").reload(),
                "Answers queries by key; otherwise they find nothing.";
            index_slots_max: u32, "maxHashSlotNum" = is("5000000").range(1, 100_000_000),
                "Hash slots of one index file. Files of another length are built anew.";
            index_entries_max: u32, "maxIndexNum" = is("20000000").range(2, 85_000_000),
                "Entries of one index file, one of which is not used.";
            index_safe: bool, "messageIndexSafe" = is("false").important(),
                "Starts only when the index is complete; otherwise what it lacks is built in the \
                 background.";
            index_tags: bool, "rmq.indexTags" = is("true"),
                "Lets messages be found by tag too, as RocketMQ does since 5.5.";
            query_count_max: u32, "maxMsgsNumBatch" = is("64").range(0, 100_000).reload(),
                "Most messages that a query answers.";
            unique_query_count_max: u32, "defaultQueryMaxNum" =
                is("32").range(0, 100_000).reload(),
                "Messages answered to a query by unique key.";
        }
        accepted {
            "flushCommitLogTimed": Bool = is("true").important(),
                "Waits out that pause even when new messages arrive.";
            "maxTopicLength": Int = is("127").range(1, 255).bytes(),
                "Longest topic name, except retry topics.";
            "autoMessageVersionOnTopicLen": Bool = is("true"),
                "Uses the second record format for names longer than 127 bytes.";
            "maxRecoveryCommitlogFiles": Int = is("30").range(1, 100_000),
                "Newest commit log files looked at after an unclean stop.";
            "destroyMapedFileIntervalForcibly": Long =
                is("120000").range(0, HOUR_MS).ms(),
                "Time that readers are given to let go of a deleted file.";
            "storePathDLedgerCommitLog": Text = absent().immutable().important(),
                "Folder of the DLedger log.";
            "storePathEpochFile": Text = absent().immutable().important(), "File of master epochs.";
            "storePathBrokerIdentity": Text = absent().immutable().important(),
                "File of the broker id given by a controller.";
            "readOnlyCommitLogStorePaths": Text = absent().immutable(),
                "Further folders with commit log files that are only read.";
            "compactionMappedFileSize": Int = is("104857600"),
                "Size of one file of a compacted log.";
            "compactionCqMappedFileSize": Int = is("10485760"),
                "Size of one file of a compacted queue.";
            "compactionScheduleInternal": Int = is("900000"), "Pause between compactions.";
            "maxOffsetMapSize": Int = is("104857600"), "Memory for the keys of one compaction.";
            "compactionThreadNum": Int = is("6"), "Compactions at once.";
            "enableCompaction": Bool = is("true"), "Serves compacted topics.";
            "timerGetMessageThreadNum": Int = is("3"), "Threads that read due messages.";
            "timerPutMessageThreadNum": Int = is("3"), "Threads that deliver due messages.";
            "timerEnableDisruptor": Bool = is("false"), "Uses ring buffers between timer threads.";
            "timerEnableCheckMetrics": Bool = is("true"), "Checks timer counts once a day.";
            "timerInterceptDelayLevel": Bool = is("false"),
                "Sends delay levels through the timer wheel.";
            "timerWheelSnapshotFlush": Bool = is("false"), "Writes the timer wheel as snapshots.";
            "disappearTimeAfterStart": Int = is("-1").important(),
                "Time after the start before the broker registers; -1 none.";
            "timerCheckMetricsWhen": Text = is("05"), "Hour of that check.";
            "timerSkipUnknownError": Bool = is("false"),
                "Skips timer messages that cannot be handled.";
            "timerWarmEnable": Bool = is("false"), "Touches timer files ahead of time.";
            "timerEnableRetryUntilSuccess": Bool = is("false"),
                "Tries to deliver timer messages without end.";
            "timerMetricSmallThreshold": Int = is("1000000"),
                "Messages at which a timer metric counts as large.";
            "timerProgressLogIntervalMs": Int = is("10000").ms(),
                "How often timer progress is logged.";
            "timerWheelSnapshotIntervalMs": Int = is("10000").ms(), "Pause between snapshots.";
            "commitLogRecoverMaxNum": Int = is("10"), "Commit log files read at recovery.";
            "timerRocksDBEnable": Bool = is("false"), "Keeps timer messages in RocksDB.";
            "timerRocksDBStopScan": Bool = is("false"), "Stops reading them.";
            "timerRocksDBPrecisionMs": Long = is("1000").ms(), "Length of one step there.";
            "timerRocksDBRollMaxTps": Double = is("8000.0"), "Messages put back a second there.";
            "timerRocksDBTimeExpiredMaxTps": Double = is("200000.0"),
                "Messages delivered a second there.";
            "timerRocksDBRollIntervalHours": Int = is("1"), "Pause between rounds of putting back.";
            "timerRocksDBRollRangeHours": Int = is("2"), "Range of one such round.";
            "timerRecallToTimeWheelEnable": Bool = is("true"),
                "Allows recalls from the timer wheel.";
            "timerRecallToTimelineEnable": Bool = is("true"),
                "Allows recalls from the time line in RocksDB.";
            "timerReputServiceCorePoolSize": Int = is("6"), "Threads that put timer messages back.";
            "timerReputServiceMaxPoolSize": Int = is("6"), "Most of these threads.";
            "timerReputServiceQueueCapacity": Int = is("10000"),
                "Messages that may wait for one of these.";
            "transRocksDBEnable": Bool = is("false"), "Keeps half messages in RocksDB.";
            "transWriteOriginTransHalfEnable": Bool = is("true"),
                "Writes half messages to their topic too.";
            "indexRocksDBEnable": Bool = is("false"), "Keeps the message index in RocksDB.";
            "maxRocksDBIndexQueryDays": Int = is("7"), "Days a query of that index may span.";
            "storeType": Text = is("default").important(),
                "Kind of consume queues; rmq writes the default one.";
            "iteratorWhenUseRocksdbConsumeQueue": Bool = is("true"),
                "Reads RocksDB queues with an iterator.";
            "enableConsumeQueueExt": Bool = is("false"),
                "Writes extended consume queues with filter bit maps.";
            "mappedFileSizeConsumeQueueExt": Int = is("50331648"), "Size of one file of these.";
            "mapperFileSizeBatchConsumeQueue": Int = is("13800000"),
                "Size of one file of a batch consume queue.";
            "bitMapLengthConsumeQueueExt": Int = is("64"), "Bits of a filter bit map.";
            "commitIntervalCommitLog": Int = is("200").important(),
                "How often the transient pool is copied to the file.";
            "useReentrantLockWhenPutMessage": Bool = is("true"),
                "Kind of lock round the append; rmq has one.";
            "redeleteHangedFileInterval": Int = is("120000"),
                "Pause before a file that is in use is deleted again.";
            "putMsgIndexHightWater": Int = is("600000"), "Index entries that may wait.";
            "checkCommitLogOffsetOnRecover": Bool = is("false"),
                "Checks each record's own offset at recovery.";
            "commitCommitLogLeastPages": Int = is("4"),
                "Pages in the transient pool before they are copied.";
            "flushLeastPagesWhenWarmMapedFile": Int = is("4096"),
                "Pages after which warming flushes.";
            "commitCommitLogThoroughInterval": Int = is("200"),
                "Longest wait before the transient pool is copied.";
            "putMessageTimeout": Int = is("8000"), "Time allowed to store and copy a message.";
            "warmMapedFileEnable": Bool = is("false"), "Touches every page of a new file.";
            "debugLockEnable": Bool = is("false"), "Logs how long the append lock is held.";
            "duplicationEnable": Bool = is("false"),
                "Lets a restarted master verify its log against copies.";
            "diskFallRecorded": Bool = is("true"), "Records groups that read from disk.";
            "osPageCacheBusyTimeOutMills": Long = is("1000").ms(),
                "Append time at which the broker counts as busy.";
            "transientStorePoolEnable": Bool = is("false").important(),
                "Writes messages to locked memory first; rmq writes to the mapped file.";
            "transientStorePoolSize": Int = is("5"), "Buffers of that memory.";
            "fastFailIfNoBufferInStorePool": Bool = is("false"),
                "Refuses messages when none of these is free.";
            "writeWithoutMmap": Bool = is("false").important(),
                "Writes with file calls instead of mapped memory.";
            "enableDLegerCommitLog": Bool = is("false"), "Replicates by DLedger.";
            "dLegerGroup": Text = absent(), "Name of the DLedger group.";
            "dLegerPeers": Text = absent(), "Members of the DLedger group.";
            "dLegerSelfId": Text = absent(), "This member's name.";
            "preferredLeaderId": Text = absent(), "Member preferred as leader.";
            "enableBatchPush": Bool = is("false").alias("isEnableBatchPush"),
                "Sends DLedger entries in batches.";
            "enableScheduleMessageStats": Bool = is("true"), "Counts delayed messages.";
            "enableLmq": Bool = is("false"), "Serves light message queues.";
            "enableMultiDispatch": Bool = is("false"),
                "Dispatches a message to several light queues.";
            "maxLmqConsumeQueueNum": Int = is("20000"), "Light queues in all.";
            "enableLmqQuota": Bool = is("false"), "Limits light queues.";
            "enableScheduleAsyncDeliver": Bool = is("false"),
                "Delivers delayed messages without waiting for each.";
            "scheduleAsyncDeliverMaxPendingLimit": Int = is("2000"),
                "Deliveries in flight at once.";
            "scheduleAsyncDeliverMaxResendNum2Blocked": Int = is("3"),
                "Failed deliveries that stop a level.";
            "maxBatchDeleteFilesNum": Int = is("50"), "Slow file deletions done at once.";
            "dispatchCqThreads": Int = is("10"), "Threads that write consume queues.";
            "dispatchCqCacheNum": Int = is("4096"), "Entries that may wait for one of these.";
            "enableAsyncReput": Bool = is("true"), "Dispatches on another thread.";
            "recheckReputOffsetFromCq": Bool = is("false"),
                "Checks the dispatch position against consume queues.";
            "enableRunningFlagsInFlush": Bool = is("false").important(),
                "Records failed flushes in the running flags.";
            "forceVerifyPropCRC": Bool = is("false"),
                "Refuses records without the checksum over all fields.";
            "travelCqFileNumWhenGetMessage": Int = is("1"),
                "Consume queue files looked through in one pull.";
            "correctLogicMinOffsetSleepInterval": Int = is("1"),
                "Pause between corrections of smallest offsets.";
            "correctLogicMinOffsetForceInterval": Int = is("300000"),
                "How often smallest offsets are corrected in any case.";
            "mappedFileSwapEnable": Bool = is("true"), "Maps files anew to free memory.";
            "commitLogForceSwapMapInterval": Long = is("43200000"),
                "Time after which a commit log file is mapped anew in any case.";
            "commitLogSwapMapInterval": Long = is("3600000"),
                "Time after which a commit log file is mapped anew.";
            "commitLogSwapMapReserveFileNum": Int = is("100"),
                "Newest commit log files left alone.";
            "logicQueueForceSwapMapInterval": Long = is("43200000"),
                "The same for consume queue files, in any case.";
            "logicQueueSwapMapInterval": Long = is("3600000"),
                "Time after which a consume queue file is mapped anew.";
            "cleanSwapedMapInterval": Long = is("300000"),
                "Time after which an old mapping is dropped.";
            "logicQueueSwapMapReserveFileNum": Int = is("20"),
                "Newest consume queue files left alone.";
            "searchBcqByCacheEnable": Bool = is("true"), "Searches batch queues with a cache.";
            "dispatchFromSenderThread": Bool = is("false").important(),
                "Writes consume queues while sending; rmq always does.";
            "wakeCommitWhenPutMessage": Bool = is("true").important(),
                "Wakes the copying of the transient pool at each message.";
            "wakeFlushWhenPutMessage": Bool = is("false").important(),
                "Wakes the flush thread at each message.";
            "enableCleanExpiredOffset": Bool = is("false").important(),
                "Drops offsets of queues that are gone.";
            "maxAsyncPutMessageRequests": Int = is("5000"),
                "Sends that may wait for flush or slaves.";
            "totalReplicas": Int = is("1").important(),
                "Brokers of the group, with acting masters.";
            "allAckInSyncStateSet": Bool = is("false").important(),
                "Waits for the whole in-sync set of the controller.";
            "haMaxTimeSlaveNotCatchup": Long = is("15000"),
                "Time a slave may lag before it leaves the in-sync set.";
            "syncMasterFlushOffsetWhenStartup": Bool = is("false"),
                "Fetches the master's flushed offset at the start.";
            "maxChecksumRange": Long = is("1073741824"), "Bytes compared when a slave joins.";
            "replicasPerDiskPartition": Int = is("1"), "Brokers that share this disk.";
            "logicalDiskSpaceCleanForciblyThreshold": Double = is("0.8"),
                "Part of the disk's share at which files are deleted forcibly.";
            "maxSlaveResendLength": Long = is("268435456"),
                "Bytes sent again to a slave that joins.";
            "syncFromLastFile": Bool = is("false"),
                "Lets an empty slave start with the newest file.";
            "asyncLearner": Bool = is("false"), "Makes a slave that never joins the in-sync set.";
            "maxConsumeQueueScan": Int = is("20000"), "Entries read before a lag is estimated.";
            "sampleCountThreshold": Int = is("5000"), "Matches found before a lag is estimated.";
            "coldDataFlowControlEnable": Bool = is("false"), "Limits reading of cold data.";
            "coldDataScanEnable": Bool = is("false"), "Looks for cold data regularly.";
            "dataReadAheadEnable": Bool = is("true"), "Lets the kernel read ahead.";
            "timerColdDataCheckIntervalMs": Int = is("60000").ms(), "Pause between these looks.";
            "sampleSteps": Int = is("32"), "Pages between two looked at.";
            "accessMessageInMemoryHotRatio": Int = is("26"),
                "Share of memory whose newest messages count as hot.";
            "enableBuildConsumeQueueConcurrently": Bool = is("false"),
                "Builds consume queues with several threads.";
            "batchDispatchRequestThreadPoolNums": Int = is("16"), "Threads that do.";
            "cleanRocksDBDirtyCQIntervalMin": Long = is("60"),
                "Pause between cleanings of queues in RocksDB.";
            "statRocksDBCQIntervalSec": Long = is("10"),
                "Pause between statistics of queues in RocksDB.";
            "memTableFlushIntervalMs": Long = is("3600000").ms(),
                "How often RocksDB writes its tables.";
            "realTimePersistRocksDBConfig": Bool = is("true"),
                "Writes configuration to RocksDB at once.";
            "enableRocksDBLog": Bool = is("false"), "Writes RocksDB's own log.";
            "topicQueueLockNum": Int = is("32"), "Locks that queues are spread over.";
            "readUnCommitted": Bool = is("false"),
                "Shows messages before they are safe; rmq never does.";
            "putConsumeQueueDataByFileChannel": Bool = is("true"),
                "Writes consume queues with file calls.";
            "rocksdbCQDoubleWriteEnable": Bool = is("false"),
                "Writes queues to files and to RocksDB.";
            "combineCQLoadingCQTypes": Text = is("default;defaultRocksDB"),
                "Kinds of queues loaded.";
            "combineCQPreferCQType": Text = is("default"), "Kind of queues read.";
            "combineAssignOffsetCQType": Text = is("default"), "Kind of queues that gives offsets.";
            "combineCQEnableCheckSelf": Bool = is("false"), "Compares the kinds of queues.";
            "combineCQMaxExtraSearchCommitLogFiles": Int = is("3"),
                "Further files searched to make them equal.";
            "combineCQUseRocksdbForLmq": Bool = is("false"), "Keeps light queues in RocksDB.";
            "bottomMostCompressionTypeForConsumeQueueStore": Text = is("zstd"),
                "Compression of RocksDB's oldest level.";
            "rocksdbCompressionType": Text = is("lz4"), "Compression of RocksDB.";
            "rocksdbFlushWalFrequency": Int = is("1024"),
                "Writes after which RocksDB's log is flushed.";
            "rocksdbWalFileRollingThreshold": Long = is("1073741824"),
                "Size of one file of RocksDB's log.";
            "enableAcceleratedRecovery": Bool = is("false"),
                "Starts dispatch from RocksDB's position.";
            "sharedByteBufferNum": Int = is("16"),
                "Buffers shared by writers without mapped memory.";
            "useSeparateStorePathForRocksdbCQ": Bool = is("false"),
                "Keeps RocksDB queues in a folder of their own.";
            "spinLockCollisionRetreatOptimalDegree": Int = is("1000"), "Spins of an adaptive lock.";
            "useABSLock": Bool = is("false"), "Uses an adaptive lock round the append.";
            "enableLogConsumeQueueRepeatedlyBuildWhenRecover": Bool = is("false"),
                "Logs entries built twice.";
        }
    }
}

impl StoreConfig {
    /// The commit log's folder, given or derived.
    #[must_use]
    pub fn commitlog_path(&self) -> String {
        let derived = || format!("{}/commitlog", self.root_dir.trim_end_matches('/'));
        self.commitlog_dir.clone().unwrap_or_else(derived)
    }
}
