//! Keys of Apache's controller, which its nameserver files may hold.

use crate::config::table::{EXPORTERS, absent, is, settings};

settings! {
    /// Known and accepted; rmq has no controller yet.
    pub struct ControllerKeys {
        parts {}
        used {}
        accepted {
            "controllerType": Text = is("DLedger"), "Consensus that the controller uses.";
            "controllerThreadPoolNums": Int = is("16"), "Threads of the controller.";
            "controllerRequestThreadPoolQueueCapacity": Int = is("50000"),
                "Requests that may wait for one of these.";
            "controllerDLegerGroup": Text = absent(), "Name of the controllers' group.";
            "controllerDLegerPeers": Text = absent(), "Members of the controllers' group.";
            "controllerDLegerSelfId": Text = absent(), "This member's name.";
            "mappedFileSize": Int = is("1073741824"), "Size of one file of the controller's log.";
            "controllerStorePath": Text = is("").immutable(), "Folder of the controller's log.";
            "electMasterMaxRetryCount": Int = is("3"), "Attempts at an election.";
            "enableElectUncleanMaster": Bool = is("false"),
                "Elects a broker that may lack messages.";
            "isProcessReadEvent": Bool = is("false"), "Sends reads through the consensus.";
            "notifyBrokerRoleChanged": Bool = is("true"), "Tells brokers their new role.";
            "scanInactiveMasterInterval": Long = is("5000"),
                "How often masters that are gone are looked for.";
            "metricsExporterType": Text = is("DISABLE").words(EXPORTERS),
                "Where metrics go.";
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
            "metricsInDelta": Bool = is("false"), "Sends differences instead of sums.";
            "jRaftElectionTimeoutMs": Int = is("1000").ms(),
                "Silence after which an election starts.";
            "jRaftScanWaitTimeoutMs": Int = is("1000").ms(), "Time allowed to a scan of brokers.";
            "jRaftSnapshotIntervalSecs": Int = is("3600"), "Pause between snapshots.";
            "jRaftGroupId": Text = is("jRaft-Controller"), "Name of the group.";
            "jRaftServerId": Text = is("localhost:9880"), "This member's address.";
            "jRaftInitConf": Text = is("localhost:9880,localhost:9881,localhost:9882"),
                "Members of the group.";
            "jRaftControllerRPCAddr": Text = is("localhost:9770,localhost:9771,localhost:9772"),
                "Addresses that controllers answer brokers at.";
        }
    }
}
