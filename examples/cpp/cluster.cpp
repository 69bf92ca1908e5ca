// Synchronous double write in this process: a master and its slave, and messages on their way while
// others are sent.
#include <cstdio>
#include <future>
#include <vector>

#include "rmq.hpp"

int main()
{
    try {
        rmq::Cluster cluster(rmq::Config{
            {"rmq.cluster.deployment", "SYNC_DOUBLE_WRITE"},
            {"rmq.cluster.masters", "1"},
            {"rmq.cluster.storage", "MEMORY"},
        });
        for (const auto &member : cluster.members())
            std::printf("%-12s %s\n", member.c_str(), cluster.address(member).c_str());

        rmq::Producer producer("demo", cluster.nameservers());
        producer.send(rmq::Message("Demo", "the first makes the topic"));
        // On a machine that is busy the slave may fall behind for a moment.
        cluster.await_ready(10000);
        std::vector<std::future<rmq::SendResult>> sends;
        for (int number = 0; number < 100; number++) {
            rmq::Message message("Demo", "message " + std::to_string(number));
            message.sharding_key("user-" + std::to_string(number % 10));
            sends.push_back(producer.send_async(message));
        }
        int safe = 0;
        for (auto &send : sends)
            safe += send.get().status == RMQ_SEND_OK;
        std::printf("%d of 100 are on both\n", safe);

        cluster.kill("broker-a-s");
        auto alone = producer.send(rmq::Message("Demo", "one more"));
        std::printf("without a slave: %s\n",
                    alone.status == RMQ_SEND_SLAVE_NOT_AVAILABLE ? "told so" : "stored");

        producer.close();
        cluster.close();
        return 0;
    } catch (const rmq::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
        return 1;
    }
}
