import java.lang.reflect.Array;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.broker.offset.ConsumerOffsetManager;
import org.apache.rocketmq.broker.schedule.DelayOffsetSerializeWrapper;
import org.apache.rocketmq.broker.subscription.SubscriptionGroupManager;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageQueueForC;
import org.apache.rocketmq.remoting.protocol.DataVersion;
import org.apache.rocketmq.remoting.protocol.LanguageCode;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.remoting.protocol.admin.ConsumeStats;
import org.apache.rocketmq.remoting.protocol.admin.OffsetWrapper;
import org.apache.rocketmq.remoting.protocol.admin.TopicOffset;
import org.apache.rocketmq.remoting.protocol.admin.TopicStatsTable;
import org.apache.rocketmq.remoting.protocol.body.BrokerMemberGroup;
import org.apache.rocketmq.remoting.protocol.body.BrokerStatsData;
import org.apache.rocketmq.remoting.protocol.body.BrokerStatsItem;
import org.apache.rocketmq.remoting.protocol.body.CheckClientRequestBody;
import org.apache.rocketmq.remoting.protocol.body.ClusterInfo;
import org.apache.rocketmq.remoting.protocol.body.Connection;
import org.apache.rocketmq.remoting.protocol.body.ConsumeQueueData;
import org.apache.rocketmq.remoting.protocol.body.ConsumeStatsList;
import org.apache.rocketmq.remoting.protocol.body.ConsumerConnection;
import org.apache.rocketmq.remoting.protocol.body.ConsumerOffsetSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.body.CreateTopicListRequestBody;
import org.apache.rocketmq.remoting.protocol.body.GetBrokerMemberGroupResponseBody;
import org.apache.rocketmq.remoting.protocol.body.GetConsumerStatusBody;
import org.apache.rocketmq.remoting.protocol.body.GroupList;
import org.apache.rocketmq.remoting.protocol.body.KVTable;
import org.apache.rocketmq.remoting.protocol.body.LockBatchRequestBody;
import org.apache.rocketmq.remoting.protocol.body.LockBatchResponseBody;
import org.apache.rocketmq.remoting.protocol.body.ProducerConnection;
import org.apache.rocketmq.remoting.protocol.body.ProducerInfo;
import org.apache.rocketmq.remoting.protocol.body.ProducerTableInfo;
import org.apache.rocketmq.remoting.protocol.body.QueryConsumeQueueResponseBody;
import org.apache.rocketmq.remoting.protocol.body.QueryConsumeTimeSpanBody;
import org.apache.rocketmq.remoting.protocol.body.QuerySubscriptionResponseBody;
import org.apache.rocketmq.remoting.protocol.body.QueueTimeSpan;
import org.apache.rocketmq.remoting.protocol.body.RegisterBrokerBody;
import org.apache.rocketmq.remoting.protocol.body.ResetOffsetBody;
import org.apache.rocketmq.remoting.protocol.body.ResetOffsetBodyForC;
import org.apache.rocketmq.remoting.protocol.body.SubscriptionGroupList;
import org.apache.rocketmq.remoting.protocol.body.SubscriptionGroupWrapper;
import org.apache.rocketmq.remoting.protocol.body.TopicConfigAndMappingSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.body.TopicConfigSerializeWrapper;
import org.apache.rocketmq.remoting.protocol.body.TopicList;
import org.apache.rocketmq.remoting.protocol.body.UnlockBatchRequestBody;
import org.apache.rocketmq.remoting.protocol.filter.FilterAPI;
import org.apache.rocketmq.remoting.protocol.header.GetConsumerListByGroupResponseBody;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumeType;
import org.apache.rocketmq.remoting.protocol.heartbeat.ConsumerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.HeartbeatData;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;
import org.apache.rocketmq.remoting.protocol.heartbeat.ProducerData;
import org.apache.rocketmq.remoting.protocol.heartbeat.SubscriptionData;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;
import org.apache.rocketmq.remoting.protocol.statictopic.LogicQueueMappingItem;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicQueueMappingDetail;
import org.apache.rocketmq.remoting.protocol.statictopic.TopicQueueMappingInfo;
import org.apache.rocketmq.remoting.protocol.subscription.CustomizedRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.ExponentialRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicy;
import org.apache.rocketmq.remoting.protocol.subscription.GroupRetryPolicyType;
import org.apache.rocketmq.remoting.protocol.subscription.SimpleSubscriptionData;
import org.apache.rocketmq.remoting.protocol.subscription.SubscriptionGroupConfig;

/** Bodies of requests and responses, and configuration files. */
final class Bodies {
    private static final String ODD = "odd \"\u00e9\u4e2d\ud834\udd1e/\t";
    private static final long TIME = 1795357533837L;
    private final Lines lines;

    private Bodies(Lines lines) {
        this.lines = lines;
    }

    static void write(Path folder) throws Exception {
        try (Lines lines = new Lines(folder, "bodies")) {
            Bodies bodies = new Bodies(lines);
            bodies.routes();
            bodies.clients();
            bodies.registrations();
            bodies.tables();
            bodies.statistics();
            bodies.lists();
        }
    }

    /** Several entries of a map come in the order of their hashes: then exact is false. */
    private void body(String type, Object body, boolean exact) throws Exception {
        line(type, "Fastjson", RemotingSerializable.toJson(body, false), exact);
    }

    /** A body that is also a file, or part of one: with line breaks too. */
    private void file(String type, Object body) throws Exception {
        body(type, body, true);
        line(type, "Pretty", RemotingSerializable.toJson(body, true), true);
    }

    private void line(String type, String flavour, String text, boolean exact) {
        lines.put("type", type).put("flavour", flavour).put("exact", exact).put("text", text);
        lines.end();
    }

    private void routes() throws Exception {
        TopicRouteData route = new TopicRouteData();
        HashMap<Long, String> addresses = new HashMap<>();
        addresses.put(0L, "1.1.1.1:10911");
        addresses.put(1L, "1.1.1.2:10911");
        BrokerData broker = new BrokerData("c", "b-a", addresses);
        HashMap<Long, String> slave = new HashMap<>(Map.of(7L, "[::1]:1"));
        BrokerData other = new BrokerData(ODD, ODD, slave, true, "z");
        route.setBrokerDatas(new ArrayList<>(Arrays.asList(broker, other)));
        QueueData queues = new QueueData();
        queues.setBrokerName("b-a");
        queues.setPerm(6);
        queues.setReadQueueNums(4);
        queues.setWriteQueueNums(8);
        queues.setTopicSysFlag(1);
        route.setQueueDatas(new ArrayList<>(Collections.singletonList(queues)));
        route.setFilterServerTable(new HashMap<>(Map.of("1.1.1.1:10911", Arrays.asList("f"))));
        body("TopicRouteData", route, true);
        line("TopicRouteData", "Standard", standard(route), true);
        route.setOrderTopicConf("b-a:8;b-b:8");
        route.setTopicQueueMappingByBroker(new HashMap<>(Map.of("b-a", mapping())));
        body("TopicRouteData", route, true);
        line("TopicRouteData", "Standard", standard(route), true);
        body("TopicRouteData", new TopicRouteData(), true);

        ClusterInfo cluster = new ClusterInfo();
        cluster.setBrokerAddrTable(new HashMap<>(Map.of("b-a", broker)));
        HashSet<String> names = new HashSet<>(Arrays.asList("b-a"));
        cluster.setClusterAddrTable(new HashMap<>(Map.of("c", names)));
        body("ClusterInfo", cluster, true);
        GetBrokerMemberGroupResponseBody members = new GetBrokerMemberGroupResponseBody();
        BrokerMemberGroup group = new BrokerMemberGroup("c", "b-a");
        group.setBrokerAddrs(addresses);
        members.setBrokerMemberGroup(group);
        body("BrokerMemberGroupResponse", members, true);
    }

    /** As the nameserver writes routes for new clients; the type of the features has moved. */
    private static String standard(RemotingSerializable body) throws Exception {
        for (Method method : RemotingSerializable.class.getMethods()) {
            Class<?>[] types = method.getParameterTypes();
            if (method.getName().equals("encode") && types.length == 1 && types[0].isArray()) {
                List<Object> features = new ArrayList<>();
                for (Object feature : types[0].getComponentType().getEnumConstants()) {
                    if (Arrays.asList("BrowserCompatible", "QuoteFieldNames",
                        "SkipTransientField", "MapSortField").contains(feature.toString())) {
                        features.add(feature);
                    }
                }
                Object array = Array.newInstance(types[0].getComponentType(), features.size());
                for (int i = 0; i < features.size(); i++) {
                    Array.set(array, i, features.get(i));
                }
                byte[] bytes = (byte[]) method.invoke(body, array);
                return new String(bytes, StandardCharsets.UTF_8);
            }
        }
        throw new IllegalStateException("no such method");
    }

    private static SubscriptionData subscription(String expression) throws Exception {
        SubscriptionData data = FilterAPI.buildSubscriptionData("T", expression);
        data.setSubVersion(TIME);
        return data;
    }

    private void clients() throws Exception {
        HeartbeatData heartbeat = new HeartbeatData();
        heartbeat.setClientID("1.1.1.1@1");
        body("HeartbeatData", heartbeat, true);
        ConsumerData consumer = new ConsumerData();
        consumer.setGroupName("cg");
        consumer.setConsumeType(ConsumeType.CONSUME_PASSIVELY);
        consumer.setMessageModel(MessageModel.CLUSTERING);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        consumer.setSubscriptionDataSet(new HashSet<>(Arrays.asList(subscription("A"))));
        heartbeat.setConsumerDataSet(new HashSet<>(Arrays.asList(consumer)));
        ProducerData producer = new ProducerData();
        producer.setGroupName("pg");
        heartbeat.setProducerDataSet(new HashSet<>(Arrays.asList(producer)));
        body("HeartbeatData", heartbeat, true);
        heartbeat.setHeartbeatFingerprint(-5);
        heartbeat.setWithoutSub(true);
        consumer.setSubscriptionDataSet(
            new HashSet<>(Arrays.asList(subscription("A || B"), subscription(ODD))));
        body("HeartbeatData", heartbeat, false);

        CheckClientRequestBody check = new CheckClientRequestBody();
        check.setClientId("id");
        check.setGroup("cg");
        check.setNamespace("ns");
        check.setSubscriptionData(subscription("*"));
        body("CheckClientRequest", check, true);
        LockBatchRequestBody lock = new LockBatchRequestBody();
        lock.setClientId("id");
        lock.setConsumerGroup("cg");
        lock.setMqSet(new HashSet<>(Arrays.asList(new MessageQueue("T", "b-a", 3))));
        body("LockRequest", lock, true);
        UnlockBatchRequestBody unlock = new UnlockBatchRequestBody();
        unlock.setClientId("id");
        unlock.setConsumerGroup("cg");
        unlock.setOnlyThisBroker(true);
        body("LockRequest", unlock, true);
        LockBatchResponseBody locked = new LockBatchResponseBody();
        locked.setLockOKMQSet(lock.getMqSet());
        body("LockResponse", locked, true);

        Connection connection = new Connection();
        connection.setClientAddr("1.1.1.1:5");
        connection.setClientId("id");
        connection.setLanguage(LanguageCode.GO);
        connection.setVersion(317);
        ConsumerConnection consumers = new ConsumerConnection();
        consumers.setConnectionSet(new HashSet<>(Arrays.asList(connection)));
        consumers.getSubscriptionTable().put("T", subscription("A"));
        consumers.setConsumeType(ConsumeType.CONSUME_ACTIVELY);
        consumers.setMessageModel(MessageModel.BROADCASTING);
        consumers.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_TIMESTAMP);
        body("ConsumerConnection", consumers, true);
        ProducerConnection producers = new ProducerConnection();
        producers.setConnectionSet(new HashSet<>(Arrays.asList(connection)));
        body("ProducerConnection", producers, true);
        ProducerInfo info = new ProducerInfo("id", "1.1.1.1:5", LanguageCode.CPP, 353, TIME);
        body("ProducerTable", new ProducerTableInfo(Map.of("pg", Arrays.asList(info))), true);
    }

    private static DataVersion version(long counter) {
        DataVersion version = new DataVersion();
        version.setTimestamp(TIME);
        version.setStateVersion(2);
        version.setCounter(new AtomicLong(counter));
        return version;
    }

    private static TopicConfig topic(String name) {
        TopicConfig topic = new TopicConfig(name, 4, 8, 6, 1);
        topic.setAttributes(new HashMap<>(Map.of("message.type", "FIFO")));
        return topic;
    }

    private static TopicQueueMappingInfo mapping() {
        TopicQueueMappingInfo info = new TopicQueueMappingInfo("T", 4, "b-a", 1);
        info.getCurrIdMap().put(0, 3);
        return info;
    }

    private static TopicConfigAndMappingSerializeWrapper topics(String... names) {
        TopicConfigAndMappingSerializeWrapper topics = new TopicConfigAndMappingSerializeWrapper();
        topics.setDataVersion(version(7));
        topics.setMappingDataVersion(version(8));
        for (String name : names) {
            topics.getTopicConfigTable().put(name, topic(name));
        }
        topics.setTopicQueueMappingInfoMap(new ConcurrentHashMap<>(Map.of("T", mapping())));
        return topics;
    }

    private void registrations() throws Exception {
        for (String[] names : new String[][] {{}, {"T"}, {"T", "U", "%RETRY%g"}}) {
            RegisterBrokerBody body = new RegisterBrokerBody();
            body.setTopicConfigSerializeWrapper(topics(names));
            body.setFilterServerList(new ArrayList<>(Arrays.asList("f:1", ODD)));
            body("RegisterBrokerBody", body, names.length < 2);
            lines.put("type", "compressed").put("text", RemotingSerializable.toJson(body, false))
                .hex("compressed", body.encode(true)).end();
        }
        TopicConfigAndMappingSerializeWrapper topics = topics("T");
        TopicQueueMappingDetail detail = new TopicQueueMappingDetail("T", 4, "b-a", 1);
        LogicQueueMappingItem item = new LogicQueueMappingItem(1, 2, "b-a", 3, 4, 5, 6, 7);
        TopicQueueMappingDetail.putMappingInfo(detail, 0, new ArrayList<>(Arrays.asList(item)));
        topics.setTopicQueueMappingDetailMap(new ConcurrentHashMap<>(Map.of("T", detail)));
        body("TopicAndMappingTable", topics, true);
        file("TopicConfig", topic("T"));
        lines.put("type", "topic text").put("text", topic("T").encode())
            .put("json", RemotingSerializable.toJson(topic("T"), false)).end();
        file("DataVersion", version(3));
    }

    private static SubscriptionGroupConfig group(String name) {
        SubscriptionGroupConfig group = new SubscriptionGroupConfig();
        group.setGroupName(name);
        return group;
    }

    private void tables() throws Exception {
        TopicConfigSerializeWrapper topics = new TopicConfigSerializeWrapper();
        topics.setDataVersion(version(31));
        topics.getTopicConfigTable().put("T", topic("T"));
        file("TopicTable", topics);
        CreateTopicListRequestBody create = new CreateTopicListRequestBody();
        create.setTopicConfigList(new ArrayList<>(Arrays.asList(topic("T"), topic("U"))));
        body("TopicConfigList", create, true);
        create.getTopicConfigList().get(1)
            .setAttributes(create.getTopicConfigList().get(0).getAttributes());
        body("TopicConfigList shared", create, false);

        file("SubscriptionGroupConfig", group("g"));
        SubscriptionGroupConfig full = group(ODD);
        full.setAttributes(new HashMap<>(Map.of("a", "b")));
        full.setSubscriptionDataSet(
            new HashSet<>(Arrays.asList(new SimpleSubscriptionData("T", "TAG", "*", 5))));
        GroupRetryPolicy policy = new GroupRetryPolicy();
        policy.setType(GroupRetryPolicyType.EXPONENTIAL);
        policy.setExponentialRetryPolicy(new ExponentialRetryPolicy(10, 20, 3));
        policy.setCustomizedRetryPolicy(new CustomizedRetryPolicy(new long[] {1, 2, 3}));
        full.setGroupRetryPolicy(policy);
        file("SubscriptionGroupConfig", full);
        SubscriptionGroupWrapper groups = new SubscriptionGroupWrapper();
        groups.setDataVersion(version(9));
        groups.getSubscriptionGroupTable().put("g", group("g"));
        body("GroupTable", groups, false);
        SubscriptionGroupManager manager = new SubscriptionGroupManager();
        manager.getSubscriptionGroupTable().clear();
        manager.getSubscriptionGroupTable().put("g", group("g"));
        manager.getForbiddenTable().put("g", new ConcurrentHashMap<>(Map.of("T", 4)));
        manager.getDataVersion().assignNewOne(version(9));
        line("GroupTable", "Fastjson", manager.encode(false), true);
        line("GroupTable", "Pretty", manager.encode(true), true);
        body("SubscriptionGroupList",
            new SubscriptionGroupList(Arrays.asList(group("g"), group("h"))), true);

        ConcurrentMap<Integer, Long> offsets = new ConcurrentHashMap<>(Map.of(0, 3L, 1, 1L << 40));
        ConsumerOffsetSerializeWrapper wrapper = new ConsumerOffsetSerializeWrapper();
        wrapper.setDataVersion(version(4));
        wrapper.setOffsetTable(new ConcurrentHashMap<>(Map.of("T@g", offsets)));
        body("ConsumerOffsetTable", wrapper, false);
        ConsumerOffsetManager committed = new ConsumerOffsetManager();
        committed.setDataVersion(version(4));
        committed.setOffsetTable(new ConcurrentHashMap<>(Map.of("T@g", offsets)));
        line("ConsumerOffsetTable", "Fastjson", committed.encode(false), true);
        line("ConsumerOffsetTable", "Pretty", committed.encode(true), true);
        DelayOffsetSerializeWrapper delays = new DelayOffsetSerializeWrapper();
        delays.setDataVersion(version(5));
        delays.setOffsetTable(new ConcurrentHashMap<>(Map.of(1, 10L, 3, 5L)));
        file("DelayOffsetTable", delays);
    }

    private void statistics() throws Exception {
        MessageQueue queue = new MessageQueue("T", "b-a", 1);
        MessageQueue other = new MessageQueue(ODD, "b-a", 2);
        ConsumeStats stats = new ConsumeStats();
        stats.setConsumeTps(12345678.5);
        OffsetWrapper offset = new OffsetWrapper();
        offset.setBrokerOffset(5);
        offset.setConsumerOffset(3);
        offset.setPullOffset(4);
        offset.setLastTimestamp(TIME);
        stats.getOffsetTable().put(queue, offset);
        body("ConsumeStats", stats, true);
        ConsumeStatsList list = new ConsumeStatsList();
        list.setBrokerAddr("1.1.1.1:10911");
        list.setTotalDiff(2);
        list.setTotalInflightDiff(1);
        list.setConsumeStatsList(new ArrayList<>(Arrays.asList(Map.of("g", Arrays.asList(stats)))));
        body("ConsumeStatsList", list, true);
        ConsumeStats several = new ConsumeStats();
        several.getOffsetTable().put(queue, offset);
        several.getOffsetTable().put(other, new OffsetWrapper());
        body("ConsumeStats", several, false);

        QueryConsumeQueueResponseBody part = new QueryConsumeQueueResponseBody();
        part.setMaxQueueIndex(7);
        part.setMinQueueIndex(2);
        body("ConsumeQueuePart", part, true);
        ConsumeQueueData entry = new ConsumeQueueData();
        entry.setPhysicOffset(1L << 33);
        entry.setPhysicSize(200);
        entry.setTagsCode(-5);
        part.setQueueData(new ArrayList<>(Arrays.asList(entry, new ConsumeQueueData())));
        part.setFilterData(ODD);
        part.setSubscriptionData(subscription("TagA"));
        body("ConsumeQueuePart", part, true);

        TopicStatsTable topic = new TopicStatsTable();
        TopicOffset range = new TopicOffset();
        range.setMinOffset(1);
        range.setMaxOffset(9);
        range.setLastUpdateTimestamp(TIME);
        topic.setTopicPutTps(0.00015);
        topic.setOffsetTable(new ConcurrentHashMap<>(Map.of(queue, range)));
        body("TopicStatsTable", topic, true);

        ResetOffsetBody reset = new ResetOffsetBody();
        reset.setOffsetTable(new HashMap<>(Map.of(queue, 7L)));
        body("ResetOffset", reset, true);
        ResetOffsetBodyForC resetForC = new ResetOffsetBodyForC();
        resetForC.setOffsetTable(
            new ArrayList<>(Arrays.asList(new MessageQueueForC("T", "b-a", 1, 7))));
        body("ResetOffsetList", resetForC, true);
        GetConsumerStatusBody status = new GetConsumerStatusBody();
        status.setMessageQueueTable(new HashMap<>(Map.of(queue, 7L)));
        status.setConsumerTable(new HashMap<>(Map.of("id", new HashMap<>(Map.of(other, 8L)))));
        body("ConsumerStatus", status, true);

        QueueTimeSpan span = new QueueTimeSpan();
        span.setMessageQueue(queue);
        span.setMinTimeStamp(TIME);
        span.setMaxTimeStamp(TIME + 2);
        span.setConsumeTimeStamp(TIME + 1);
        span.setDelayTime(1);
        QueryConsumeTimeSpanBody spans = new QueryConsumeTimeSpanBody();
        spans.setConsumeTimeSpanSet(new ArrayList<>(Arrays.asList(span)));
        body("ConsumeTimeSpans", spans, false);

        BrokerStatsItem item = new BrokerStatsItem();
        item.setSum(3);
        item.setTps(0.05);
        item.setAvgpt(1.5);
        BrokerStatsData broker = new BrokerStatsData();
        broker.setStatsMinute(item);
        broker.setStatsHour(new BrokerStatsItem());
        broker.setStatsDay(new BrokerStatsItem());
        body("BrokerStatsData", broker, true);
    }

    private void lists() throws Exception {
        GetConsumerListByGroupResponseBody clients = new GetConsumerListByGroupResponseBody();
        clients.setConsumerIdList(new ArrayList<>(Arrays.asList("id-1", ODD)));
        body("ConsumerList", clients, true);
        GroupList groups = new GroupList();
        groups.setGroupList(new HashSet<>(Arrays.asList("g")));
        body("GroupList", groups, true);
        TopicList topics = new TopicList();
        topics.setTopicList(new TreeSet<>(Arrays.asList("T", "U")));
        body("TopicList", topics, true);
        topics.setBrokerAddr("1.1.1.1:10911");
        body("TopicList", topics, true);
        KVTable table = new KVTable();
        table.setTable(new HashMap<>(Map.of("k", ODD)));
        body("KvTable", table, true);
        QuerySubscriptionResponseBody found = new QuerySubscriptionResponseBody();
        found.setGroup("g");
        found.setTopic("T");
        found.setSubscriptionData(subscription("A"));
        body("GroupSubscription", found, true);
    }
}
