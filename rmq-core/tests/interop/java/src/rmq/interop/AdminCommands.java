package rmq.interop;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The commands of mqadmin for topics, groups, brokers and nameservers, and their refusals. */
final class AdminCommands {
    private static final String CLUSTER = "interop";
    private static final String NO_CLUSTER = "Make sure the specified clusterName exists";

    private final MqAdmin admin;
    private final Scope scope;
    private final String masterA;
    private final String masterB;
    private final Path home = Path.of(System.getProperty("user.home"));

    AdminCommands(MqAdmin admin, Scope scope) {
        this.admin = admin;
        this.scope = scope;
        masterA = scope.cluster.masters.get("broker-a");
        masterB = scope.cluster.masters.get("broker-b");
    }

    void run() throws Exception {
        topics();
        groups();
        messages();
        brokers();
        nameservers();
        exports();
        refusals();
    }

    private void topics() throws Exception {
        String topic = scope.name("topics");
        admin.command("updateTopic", "-t", topic, "-c", CLUSTER, "-r", "3", "-w", "3", "-a",
            "+message.type=NORMAL").has("create topic to " + masterA + " success.",
            "create topic to " + masterB + " success.");
        admin.command("topicRoute", "-t", topic).has("\"readQueueNums\":3", "\"perm\":6",
            masterA, masterB);
        admin.command("topicRoute", "-t", topic, "-l").has("{0=" + masterA + "}", "Total:2");
        admin.command("topicStatus", "-t", topic).has("Topic Put TPS: 0.0").lines("broker-", 6);
        admin.command("topicClusterList", "-t", topic).has(CLUSTER).lines(CLUSTER, 1);
        admin.command("topicList", "-c").row(CLUSTER, topic);
        admin.command("updateTopicPerm", "-t", topic, "-c", CLUSTER, "-p", "4")
            .has("update topic perm from 6 to 4 in " + masterA + " success.");
        admin.command("topicRoute", "-t", topic).has("\"perm\":4").hasNot("\"perm\":6");
        admin.command("updateTopicPerm", "-t", topic, "-b", masterA, "-p", "6")
            .has("update topic perm from 4 to 6 in " + masterA + " success.");
        admin.command("allocateMQ", "-t", topic, "-i", "10.0.0.1,10.0.0.2")
            .has("\"10.0.0.1\":[", "\"10.0.0.2\":[", "\"queueId\":2,\"topic\":\"" + topic);
        Path list = Files.writeString(home.resolve("topics.json"), "[{\"topicName\":\"" + topic
            + "_listed\",\"readQueueNums\":5,\"writeQueueNums\":5,\"perm\":6}]");
        admin.command("updateTopicList", "-b", masterB, "-f", list.toString())
            .has("submit batch of topic config to " + masterB + " success");
        admin.command("topicRoute", "-t", topic + "_listed").has("\"readQueueNums\":5", masterB)
            .hasNot(masterA);
        admin.command("deleteTopic", "-t", topic, "-c", CLUSTER)
            .has("delete topic [" + topic + "] from cluster [" + CLUSTER + "] success.");
        admin.command("topicRoute", "-t", topic).has("CODE: 17");
        admin.command("topicStatus", "-t", topic).has("CODE: 17");
        admin.command("updateTopic", "-t", "not*good", "-b", masterA).has("CODE: 29")
            .hasNot("success");
        admin.command("updateTopic", "-t", topic, "-b", masterA, "-r", "-1")
            .has("CODE: 29").hasNot("success");
        admin.command("updateTopic", "-t", "TBW102", "-b", masterA).has("CODE: 29");
        admin.command("updateTopic", "-t", topic, "-c", "nowhere").has(NO_CLUSTER);
        admin.command("updateTopic", "-t", topic, "-b", "127.0.0.1:1").has("127.0.0.1:1")
            .hasNot("success");
        admin.command("deleteTopic", "-t", topic, "-c", "nowhere").has(NO_CLUSTER);
    }

    private void groups() throws Exception {
        String group = scope.name("group");
        admin.command("updateSubGroup", "-c", CLUSTER, "-g", group, "-r", "5", "-d", "true")
            .has("create subscription group to " + masterA + " success.",
                "create subscription group to " + masterB + " success.");
        admin.command("getConsumerConfig", "-g", group).has("interop:broker-a",
            "groupName=" + group, "retryMaxTimes=5", "consumeBroadcastEnable=true");
        Path list = Files.writeString(home.resolve("groups.json"), "[{\"groupName\":\"" + group
            + "_listed\",\"retryQueueNums\":2}]");
        admin.command("updateSubGroupList", "-b", masterB, "-f", list.toString())
            .has("submit batch of group config to " + masterB + " success");
        admin.command("getConsumerConfig", "-g", group + "_listed").has("retryQueueNums=2");
        String topic = scope.topic(1);
        admin.command("setConsumeMode", "-b", masterA, "-t", topic, "-g", group, "-m", "POP", "-q",
            "2").has("set consume mode to " + masterA + " success.",
            "topic[" + topic + "] group[" + group + "] consume mode[POP] popShareQueueNum[2]");
        admin.command("setConsumeMode", "-b", masterA, "-t", "nothing", "-g", group, "-m", "POP")
            .has("CODE: 17");
        admin.command("setConsumeMode", "-b", masterA, "-t", topic, "-g", "nobody", "-m", "POP")
            .has("CODE: 26");
        admin.command("updateSubGroup", "-b", masterA, "-g", "not*good").has("CODE: 29");
        admin.command("deleteSubGroup", "-c", CLUSTER, "-g", group, "-r", "true")
            .has("delete subscription group [" + group + "] from broker [" + masterA + "]");
        admin.command("getConsumerConfig", "-g", group).hasNot("groupName=" + group);
        admin.command("consumerProgress", "-g", "nobody").has("CODE: 17");
        admin.command("consumerConnection", "-g", "nobody").has("CODE: 17");
        admin.command("consumerStatus", "-g", "nobody").has("CODE: 17");
    }

    private void messages() throws Exception {
        String topic = scope.topic(1);
        admin.command("sendMessage", "-t", topic, "-p", "hello", "-k", "key", "-c", "tag", "-b",
            "broker-a", "-i", "0").row("broker-a", "0", "SEND_OK");
        admin.command("consumeMessage", "-t", topic, "-b", "broker-a", "-i", "0", "-o", "0", "-c",
            "1").has("Consume ok", "MSGID: ", "BODY: hello");
        admin.command("checkMsgSendRT", "-t", topic, "-a", "3", "-s", "10").has("Avg RT")
            .lines("broker-", 3);
        admin.command("sendMsgStatus", "-b", "broker-b", "-s", "64", "-c", "2").has("SEND_OK")
            .lines("rt=", 2);
        admin.command("sendMessage", "-t", "%RETRY%", "-p", "hello").hasNot("SEND_OK");
        admin.command("queryMsgByOffset", "-t", topic, "-b", "broker-a", "-i", "0", "-o", "99")
            .hasNot("OffsetID");
        admin.command("queryMsgByKey", "-t", topic, "-k", "no such key").has("CODE: 208");
    }

    private void brokers() {
        admin.command("clusterList").row(CLUSTER, "broker-a", "0", masterA)
            .row(CLUSTER, "broker-b", "0", masterB);
        admin.command("clusterList", "-m").row(CLUSTER, "broker-a", "0", "0");
        admin.command("brokerStatus", "-b", masterA).has("brokerActive:true", "putTps:",
            "msgPutTotalTodayNow:", "msgGetTotalYesterdayMorning:0", "commitLogDirCapacity:",
            "bootTimestamp:", "earliestMessageTimeStamp:");
        admin.command("brokerStatus", "-c", CLUSTER).has(masterA, masterB);
        admin.command("haStatus", "-b", masterA).has("#MasterAddr\t" + masterA, "#SlaveNum\t0");
        admin.command("getBrokerConfig", "-b", masterA).has("brokerName=broker-a",
            "brokerClusterName=interop", "namesrvAddr=" + scope.cluster.namesrv);
        admin.command("getBrokerConfig", "-c", CLUSTER).has(masterA, masterB);
        for (String value : List.of("false", "true")) {
            admin.command("updateBrokerConfig", "-b", masterA, "-k", "litePullMessageEnable", "-v",
                value).has("update broker config success, " + masterA);
            admin.command("getBrokerConfig", "-b", masterA).has("litePullMessageEnable=" + value);
        }
        admin.command("updateBrokerConfig", "-c", CLUSTER, "-k", "traceOn", "-v", "true")
            .has("update broker config success, " + masterA,
                "update broker config success, " + masterB);
        for (String path : List.of("storePathRootDir", "brokerConfigPath", "rocketmqHome")) {
            admin.command("updateBrokerConfig", "-b", masterA, "-k", path, "-v", "/tmp/elsewhere")
                .has("CODE: 16").hasNot("success");
        }
        admin.command("updateBrokerConfig", "-b", masterA, "-k", "litePullMessageEnable", "-v",
            "perhaps").has("CODE: 1 ").hasNot("success");
        for (String command : List.of("cleanExpiredCQ", "deleteExpiredCommitLog",
            "cleanUnusedTopic")) {
            admin.command(command, "-b", masterA).has("success");
            admin.command(command, "-c", CLUSTER).has("success");
            admin.command(command, "-b", "127.0.0.1:1").hasNot("success");
        }
        admin.command("brokerStatus", "-b", "127.0.0.1:1").has("127.0.0.1:1 failed");
    }

    private void nameservers() throws Exception {
        String topic = scope.topic(1);
        admin.command("updateKvConfig", "-s", "interop_space", "-k", "k", "-v", "v=1;2")
            .has("create or update kv config to namespace success.");
        Check.same("v=1;2", scope.cluster.admin.getKVConfig("interop_space", "k"), "the value");
        admin.command("deleteKvConfig", "-s", "interop_space", "-k", "k")
            .has("delete kv config from namespace success.");
        admin.command("updateOrderConf", "-t", topic, "-v", "broker-a:1;broker-b:1", "-m", "put")
            .has("update orderConf success. topic=[" + topic
                + "], orderConf=[broker-a:1;broker-b:1]");
        admin.command("updateOrderConf", "-t", topic, "-m", "get")
            .has("get orderConf success. topic=[" + topic
                + "], orderConf=[broker-a:1;broker-b:1]");
        admin.command("topicRoute", "-t", topic)
            .has("\"orderTopicConf\":\"broker-a:1;broker-b:1\"");
        admin.command("updateOrderConf", "-t", topic, "-m", "delete")
            .has("delete orderConf success. topic=[" + topic + "]");
        admin.command("updateOrderConf", "-t", topic, "-m", "get").has("CODE: 22");
        admin.command("wipeWritePerm", "-b", "broker-b").has("wipe write perm of broker[broker-b]"
            + " in name server[" + scope.cluster.namesrv + "] OK, ");
        admin.command("topicRoute", "-t", topic).has("\"perm\":4", "\"perm\":6");
        admin.command("addWritePerm", "-b", "broker-b").has("add write perm of broker[broker-b]"
            + " in name server[" + scope.cluster.namesrv + "] OK, ");
        admin.command("topicRoute", "-t", topic).has("\"perm\":6").hasNot("\"perm\":4");
        admin.command("wipeWritePerm", "-b", "nobody").has("OK, 0");
        admin.command("getNamesrvConfig").has("listenPort=", "kvConfigPath=");
        for (String value : List.of("true", "false")) {
            admin.command("updateNamesrvConfig", "-k", "deleteTopicWithBrokerRegistration", "-v",
                value).has("update name server config success!");
            admin.command("getNamesrvConfig").has("deleteTopicWithBrokerRegistration=" + value);
        }
        for (String path : List.of("kvConfigPath", "configStorePath", "rocketmqHome")) {
            admin.command("updateNamesrvConfig", "-k", path, "-v", "/tmp/elsewhere")
                .has("CODE: 16").hasNot("success");
        }
        admin.command("updateNamesrvConfig", "-k", "deleteTopicWithBrokerRegistration", "-v",
            "perhaps").has("CODE: 1 ").hasNot("success");
    }

    private void exports() throws Exception {
        String topic = scope.topic(1);
        String group = scope.name("exported");
        admin.command("updateSubGroup", "-c", CLUSTER, "-g", group).has("success");
        String folder = home.resolve("export").toString();
        admin.command("exportMetadata", "-c", CLUSTER, "-f", folder)
            .has("export " + folder + "/metadata.json success");
        admin.file(folder + "/metadata.json").has("\"" + topic + "\"", "\"" + group + "\"");
        admin.command("exportMetadata", "-b", masterA, "-t", "-f", folder)
            .has("export " + folder + "/topic.json success");
        admin.file(folder + "/topic.json").has("\"" + topic + "\"").hasNot("\"" + group + "\"");
        admin.command("exportMetadata", "-b", masterA, "-g", "-f", folder).has("success");
        admin.command("exportConfigs", "-c", CLUSTER, "-f", folder).has("success");
        admin.file(folder + "/configs.json").has("\"broker-a\"", "\"broker-b\"");
        admin.command("exportMetrics", "-c", CLUSTER, "-f", folder).has("success");
        admin.file(folder + "/metrics.json").has("\"broker-a", "\"totalTps\":{");
        admin.command("exportMetadata", "-c", "nowhere", "-f", folder).has(NO_CLUSTER);
    }

    /** What rmq does not have says so. */
    private void refusals() {
        for (String[] command : new String[][] {
            {"getBrokerEpoch", "-b", "broker-a"},
            {"getSyncStateSet", "-a", masterA, "-b", "broker-a"},
            {"getControllerMetaData", "-a", masterA},
            {"getControllerConfig", "-a", masterA},
            {"updateControllerConfig", "-a", masterA, "-k", "a", "-v", "b"},
            {"electMaster", "-a", masterA, "-b", "1", "-bn", "broker-a", "-c", CLUSTER},
            {"cleanBrokerMetadata", "-a", masterA, "-bn", "broker-a", "-c", CLUSTER},
            {"getColdDataFlowCtrInfo", "-b", masterA},
            {"updateColdDataFlowCtrGroupConfig", "-b", masterA, "-g", "g", "-v", "1"},
            {"removeColdDataFlowCtrGroupConfig", "-b", masterA, "-g", "g"},
            {"setCommitLogReadAheadMode", "-b", masterA, "-m", "1"},
            {"createUser", "-b", masterA, "-u", "u", "-p", "p"},
            {"updateUser", "-b", masterA, "-u", "u", "-p", "p"},
            {"deleteUser", "-b", masterA, "-u", "u"},
            {"getUser", "-b", masterA, "-u", "u"},
            {"listUser", "-b", masterA},
            {"copyUser", "-f", masterA, "-t", masterB, "-u", "u"},
            {"createAcl", "-b", masterA, "-s", "User:u", "-r", "Topic:*", "-a", "Pub", "-d",
                "Allow"},
            {"updateAcl", "-b", masterA, "-s", "User:u", "-r", "Topic:*", "-a", "Pub", "-d",
                "Allow"},
            {"deleteAcl", "-b", masterA, "-s", "User:u"},
            {"getAcl", "-b", masterA, "-s", "User:u"},
            {"listAcl", "-b", masterA},
            {"copyAcl", "-f", masterA, "-t", masterB, "-s", "User:u"},
            {"checkRocksdbCqWriteProgress", "-c", CLUSTER},
            {"rocksDBConfigToJson", "-t", "topics", "-c", CLUSTER},
            {"exportPopRecord", "-c", CLUSTER},
            {"switchTimerEngine", "-b", masterA, "-e", "R"},
            {"getBrokerLiteInfo", "-b", masterA},
            {"resetMasterFlushOffset", "-b", masterA, "-o", "0"},
            {"updateStaticTopic", "-b", "broker-a", "-t", scope.name("static"), "-qn", "4"},
            {"addBroker", "-c", masterA, "-b", "/tmp/broker.conf"},
            {"removeBroker", "-c", masterA, "-b", CLUSTER + ":broker-a:1"},
        }) {
            admin.command(command).has("not supported: ");
        }
        for (String[] command : new String[][] {
            {"getParentTopicInfo", "-p", "T"},
            {"getLiteTopicInfo", "-p", "T", "-l", "x"},
            {"getLiteClientInfo", "-p", "T", "-g", "G", "-c", "x"},
            {"getLiteGroupInfo", "-p", "T", "-g", "G"},
        }) {
            admin.command(command).hasNot("not exist.");
        }
    }
}
