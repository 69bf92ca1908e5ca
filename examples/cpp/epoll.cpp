// A consumer in the program's own event loop: messages are taken when epoll says that there are
// some.
#include <cstdio>
#include <set>
#include <string>

#include <sys/epoll.h>
#include <unistd.h>

#include "rmq.hpp"

int main()
{
    try {
        rmq::Cluster cluster;
        rmq::PushConsumer consumer(rmq::Config{
            {"namesrvAddr", cluster.nameservers()},
            {"consumerGroup", "loop"},
            {"consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET"},
        });
        consumer.subscribe("Demo");
        consumer.start();

        int loop = epoll_create1(EPOLL_CLOEXEC);
        epoll_event wanted{};
        wanted.events = EPOLLIN;
        epoll_ctl(loop, EPOLL_CTL_ADD, consumer.fd(), &wanted);

        rmq::Producer producer("demo", cluster.nameservers());
        for (int number = 0; number < 100; number++)
            producer.send(rmq::Message("Demo", "message " + std::to_string(number)));

        std::set<std::string> seen;
        while (seen.size() < 100) {
            epoll_event event{};
            if (epoll_wait(loop, &event, 1, 30000) != 1) {
                std::fprintf(stderr, "no message came\n");
                return 1;
            }
            for (auto &delivery : consumer.poll(32, 0)) {
                seen.insert(std::string(delivery.body()));
                delivery.ack();
            }
        }
        std::printf("%zu of 100 consumed\n", seen.size());

        ::close(loop);
        consumer.close();
        producer.close();
        cluster.close();
        return 0;
    } catch (const rmq::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
        return 1;
    }
}
