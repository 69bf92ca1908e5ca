package rmq.interop;

import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** The cluster under test: its nameservers, its masters, and one admin client shared by all. */
final class Cluster implements AutoCloseable {
    final String namesrv;
    final DefaultMQAdminExt admin;
    /** Broker name to address of its master. */
    final Map<String, String> masters = new TreeMap<>();
    /** Whether changes of topics get lost on the way to the nameserver, as with Apache's. */
    boolean forgetful;

    /** Connects and waits until that many masters are registered. */
    Cluster(String namesrv, int brokers) throws Exception {
        this.namesrv = namesrv;
        admin = new DefaultMQAdminExt("interop_admin");
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("admin-" + ProcessHandle.current().pid() + "-" + System.nanoTime());
        admin.start();
        Check.eventually(60, brokers + " masters registered", () -> {
            var table = admin.examineBrokerClusterInfo().getBrokerAddrTable();
            table.forEach((name, data) -> {
                String master = data.getBrokerAddrs().get(0L);
                if (master != null) {
                    masters.put(name, master);
                }
            });
            return masters.size() >= brokers;
        });
    }

    /** Creates or changes the topic on every master, and waits until its route says so. */
    void createTopic(String topic, int readQueues, int writeQueues, int perm) throws Exception {
        TopicConfig config = new TopicConfig(topic);
        config.setReadQueueNums(readQueues);
        config.setWriteQueueNums(writeQueues);
        config.setPerm(perm);
        for (int tries = forgetful ? 5 : 1; tries > 0; tries--) {
            change(config);
            try {
                Check.eventually(tries > 1 ? 4 : 15, "route of " + topic + " as " + config,
                    () -> routeSays(config));
                return;
            } catch (AssertionError late) {
                if (tries == 1) {
                    throw late;
                }
                // The same again would be no change, so nothing would be told to the nameserver.
                config.setReadQueueNums(readQueues + 1);
                change(config);
                config.setReadQueueNums(readQueues);
            }
        }
    }

    private void change(TopicConfig config) throws Exception {
        for (String address : masters.values()) {
            admin.createAndUpdateTopicConfig(address, config);
        }
    }

    private boolean routeSays(TopicConfig config) throws Exception {
        try {
            var queues = admin.examineTopicRouteInfo(config.getTopicName()).getQueueDatas();
            return queues.size() == masters.size() && queues.stream().allMatch(data ->
                data.getReadQueueNums() == config.getReadQueueNums()
                    && data.getWriteQueueNums() == config.getWriteQueueNums()
                    && data.getPerm() == config.getPerm());
        } catch (MQClientException absent) {
            return false;
        }
    }

    @Override
    public void close() {
        admin.shutdown();
    }
}
