// A question by message, and its answer.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <string>

#include "rmq.hpp"

int main()
{
    try {
        rmq::Cluster cluster;
        // The side that answers: its handler runs on a thread of the library and does not wait.
        rmq::Producer answering("answering", cluster.nameservers());
        rmq::PushConsumer consumer(rmq::Config{
            {"namesrvAddr", cluster.nameservers()},
            {"consumerGroup", "answering"},
            {"consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET"},
        });
        consumer.subscribe("Questions");
        consumer.on_message([&](const rmq::ReceivedView &question) {
            std::string text(question.body());
            std::transform(text.begin(), text.end(), text.begin(),
                           [](unsigned char c) { return char(std::toupper(c)); });
            answering.send_oneway(rmq::Message::reply_to(question, text));
            return rmq::Consume::Ok;
        });
        consumer.start();

        // The side that asks.
        rmq::Producer asking("asking", cluster.nameservers());
        auto reply = asking.request(rmq::Message("Questions", "who is there"), 20000);
        std::printf("who is there: %s\n", std::string(reply.body()).c_str());
        auto later = asking.request_async(rmq::Message("Questions", "who else"), 20000);
        std::printf("who else: %s\n", std::string(later.get().body()).c_str());

        consumer.close();
        asking.close();
        answering.close();
        cluster.close();
        return 0;
    } catch (const rmq::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
        return 1;
    }
}
