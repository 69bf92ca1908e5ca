// A nameserver, a broker, a producer and a consumer in this process.
#include <cstdio>
#include <string>

#include "rmq.hpp"

int main()
{
    try {
        rmq::NameServer namesrv;
        rmq::Broker broker(rmq::Config{{"namesrvAddr", namesrv.address()}});

        rmq::Producer producer("senders", namesrv.address());
        auto sent = producer.send(rmq::Message("Greetings", "hello").tag("english"));
        std::printf("%s is in queue %d\n", sent.msg_id.c_str(), int(sent.queue_id));

        rmq::PushConsumer consumer(rmq::Config{
            {"namesrvAddr", namesrv.address()},
            {"consumerGroup", "readers"},
            {"consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET"},
        });
        consumer.subscribe("Greetings");
        consumer.start();
        for (auto &message : consumer.poll(16, 20000)) {
            std::printf("received: %s\n", std::string(message.body()).c_str());
            message.ack();
        }

        consumer.close();
        producer.close();
        broker.close();
        namesrv.close();
        return 0;
    } catch (const rmq::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
        return 1;
    }
}
