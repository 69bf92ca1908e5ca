// Messages of one key in the order in which they were sent, whatever the others do.
#include <chrono>
#include <cstdio>
#include <future>
#include <map>
#include <string>

#include "rmq.hpp"

static const int USERS = 5, STEPS = 10;

int main()
{
    try {
        rmq::Cluster cluster;
        rmq::Producer producer("senders", cluster.nameservers());
        for (int step = 0; step < STEPS; step++) {
            for (int user = 0; user < USERS; user++) {
                std::string key = "user-" + std::to_string(user);
                rmq::Message message("Steps", std::to_string(step));
                // All messages of a key go to one queue, and a queue keeps its order.
                producer.send(message.sharding_key(key).tag(key));
            }
        }

        std::map<std::string, int> next;
        std::promise<bool> done;
        int received = 0;
        bool in_order = true;
        rmq::PushConsumer consumer(rmq::Config{
            {"namesrvAddr", cluster.nameservers()},
            {"consumerGroup", "readers"},
            {"consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET"},
            // One thread, so that the handler needs no lock.
            {"consumeThreadMax", "1"},
        });
        consumer.subscribe("Steps");
        consumer.on_message([&](const rmq::ReceivedView &message) {
            std::string user(message.tag());
            in_order = in_order && message.body() == std::to_string(next[user]++);
            if (++received == USERS * STEPS)
                done.set_value(in_order);
            return rmq::Consume::Ok;
        });
        consumer.start(rmq::Mode::Orderly);
        auto came = done.get_future();
        if (came.wait_for(std::chrono::seconds(20)) != std::future_status::ready || !came.get()) {
            std::fprintf(stderr, "not in order\n");
            return 1;
        }
        std::printf("%d steps of %d users came in order\n", STEPS, USERS);

        consumer.close();
        producer.close();
        cluster.close();
        return 0;
    } catch (const rmq::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
        return 1;
    }
}
