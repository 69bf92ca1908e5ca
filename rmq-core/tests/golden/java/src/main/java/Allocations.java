import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMachineRoomNearby;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueByMachineRoom;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.common.message.MessageQueue;

/** Which queues each member of a group has, by every strategy. */
final class Allocations {
    private static final List<String> ROOMS = List.of("", "east", "west");
    private static final String[] BROKERS = {
        "broker-a", "broker-b", "east@a", "east@b", "west@a", "north@a", "@a", "a", "east@",
        "east@a@", "east@a@b", "east-a", "east-b", "west-a", "\u00e9t\u00e9-1",
    };
    private static final String[] MEMBERS = {
        "10.0.0.1@7#1", "10.0.0.2@7#1", "10.0.0.2@8#12345678901", "east-10.0.0.3@1",
        "west-10.0.0.4@2", "south-10.0.0.5@3", "192.168.100.200@DEFAULT", "c", "\u4e2d\u6587",
        "172.17.0.2@99@unit", "east-10.0.0.9@1", "b",
    };

    private Allocations() {
    }

    private static AllocateMessageQueueStrategy nearby(AllocateMessageQueueStrategy inner) {
        var rooms = new AllocateMachineRoomNearby.MachineRoomResolver() {
            @Override
            public String brokerDeployIn(MessageQueue queue) {
                return queue.getBrokerName().split("-")[0];
            }

            @Override
            public String consumerDeployIn(String member) {
                return member.split("-")[0];
            }
        };
        return new AllocateMachineRoomNearby(inner, rooms);
    }

    private static List<String> some(Random random, String[] from, int most) {
        List<String> all = new ArrayList<>(Arrays.asList(from));
        Collections.shuffle(all, random);
        return new ArrayList<>(new TreeSet<>(all.subList(0, 1 + random.nextInt(most))));
    }

    static void write(Path folder) throws Exception {
        AllocateMessageQueueByMachineRoom rooms = new AllocateMessageQueueByMachineRoom();
        Set<String> known = new HashSet<>(ROOMS);
        rooms.setConsumeridcs(known);
        List<AllocateMessageQueueStrategy> strategies = List.of(
            new AllocateMessageQueueAveragely(), new AllocateMessageQueueAveragelyByCircle(), rooms,
            new AllocateMessageQueueConsistentHash(), new AllocateMessageQueueConsistentHash(1),
            new AllocateMessageQueueConsistentHash(0), new AllocateMessageQueueConsistentHash(300),
            nearby(new AllocateMessageQueueAveragely()),
            nearby(new AllocateMessageQueueConsistentHash()));
        int[] nodes = {0, 0, 0, 10, 1, 0, 300, 0, 10};
        Random random = new Random(7);
        try (Lines lines = new Lines(folder, "allocations")) {
            for (int i = 0; i < 12 * strategies.size(); i++) {
                AllocateMessageQueueStrategy strategy = strategies.get(i % strategies.size());
                List<MessageQueue> queues = new ArrayList<>();
                for (String broker : some(random, BROKERS, 6)) {
                    for (int id = random.nextInt(14); id >= 0; id--) {
                        queues.add(new MessageQueue("T" + i, broker, id));
                    }
                }
                Collections.sort(queues);
                List<String> members = some(random, MEMBERS, MEMBERS.length);
                List<String> names = new ArrayList<>();
                for (MessageQueue queue : queues) {
                    names.add(queue.getBrokerName() + " " + queue.getQueueId());
                }
                List<List<Integer>> shares = new ArrayList<>();
                for (String member : members) {
                    List<Integer> share = new ArrayList<>();
                    for (MessageQueue queue : strategy.allocate("g", member, queues, members)) {
                        share.add(queues.indexOf(queue));
                    }
                    shares.add(share);
                }
                lines.put("strategy", strategy.getName()).put("nodes", nodes[i % nodes.length])
                    .put("topic", "T" + i).put("queues", names).put("members", members)
                    .put("shares", shares).end();
            }
        }
    }
}
