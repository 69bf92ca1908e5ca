// One event loop for everything: epoll says when messages wait and when sends have an outcome.
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

        rmq::CompletionQueue outcomes;
        int loop = epoll_create1(EPOLL_CLOEXEC);
        for (int fd : {consumer.fd(), outcomes.fd()}) {
            epoll_event wanted{};
            wanted.events = EPOLLIN;
            wanted.data.fd = fd;
            epoll_ctl(loop, EPOLL_CTL_ADD, fd, &wanted);
        }

        rmq::Producer producer("demo", cluster.nameservers());
        for (int number = 0; number < 100; number++)
            producer.send_queued(rmq::Message("Demo", "message " + std::to_string(number)),
                                 outcomes);

        int sent = 0;
        std::set<std::string> seen;
        while (sent < 100 || seen.size() < 100) {
            epoll_event event{};
            if (epoll_wait(loop, &event, 1, 30000) != 1) {
                std::fprintf(stderr, "nothing came\n");
                return 1;
            }
            for (auto &outcome : outcomes.poll(32, 0)) {
                if (outcome.error)
                    throw *outcome.error;
                sent++;
            }
            for (auto &delivery : consumer.poll(32, 0)) {
                seen.insert(std::string(delivery.body()));
                delivery.ack();
            }
        }
        std::printf("%d of 100 sent\n", sent);
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
