// A message that is to come in an hour, and a cluster whose clock is moved: it comes at once. And
// one that is taken back before its time.
#include <cstdio>
#include <string>

#include "rmq.hpp"

int main()
{
    const std::uint64_t hour_ms = 3600 * 1000;
    try {
        rmq::Cluster cluster(rmq::Config{
            {"rmq.cluster.clock", "MANUAL"},
            {"recallMessageEnable", "true"},
        });
        rmq::Producer producer("senders", cluster.nameservers());
        producer.send(rmq::Message("Reminders", "tea is ready").delay_ms(hour_ms));
        auto unwanted = producer.send(rmq::Message("Reminders", "never mind").delay_ms(hour_ms));
        producer.recall("Reminders", unwanted.recall_handle);

        rmq::PushConsumer consumer(rmq::Config{
            {"namesrvAddr", cluster.nameservers()},
            {"consumerGroup", "readers"},
            {"consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET"},
        });
        consumer.subscribe("Reminders");
        consumer.start();
        bool early = !consumer.poll(1, 200).empty();
        cluster.advance(hour_ms + 2000);
        int came = 0;
        for (auto &message : consumer.poll(2, 20000)) {
            std::printf("an hour later: %s\n", std::string(message.body()).c_str());
            message.ack();
            came++;
        }
        bool more = !consumer.poll(1, 500).empty();

        consumer.close();
        producer.close();
        cluster.close();
        return early || more || came != 1;
    } catch (const rmq::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
        return 1;
    }
}
