package rmq.interop;

import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** The cluster under test: its nameservers, its masters, and one admin client shared by all. */
final class Cluster implements AutoCloseable {
    final String namesrv;
    final DefaultMQAdminExt admin;
    /** Broker name to address of its master. */
    final Map<String, String> masters = new TreeMap<>();

    /** Connects and waits until that many masters are registered. */
    Cluster(String namesrv, int brokers) throws Exception {
        this.namesrv = namesrv;
        admin = new DefaultMQAdminExt("interop_admin");
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName("admin-" + ProcessHandle.current().pid() + "-" + System.nanoTime());
        admin.start();
        Check.eventually(30, brokers + " masters registered", () -> {
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

    /** Creates or changes the topic on every master. */
    void createTopic(String topic, int readQueues, int writeQueues, int perm) throws Exception {
        TopicConfig config = new TopicConfig(topic);
        config.setReadQueueNums(readQueues);
        config.setWriteQueueNums(writeQueues);
        config.setPerm(perm);
        for (String address : masters.values()) {
            admin.createAndUpdateTopicConfig(address, config);
        }
        Check.eventually(15, "route of " + topic + " through all masters", () -> {
            try {
                return admin.examineTopicRouteInfo(topic).getQueueDatas().size() == masters.size();
            } catch (Exception absent) {
                return false;
            }
        });
    }

    @Override
    public void close() {
        admin.shutdown();
    }
}
