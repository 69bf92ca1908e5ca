// Messages that come if, and only if, the program's own work was done; and a broker that asks when
// it was not told.
#include <cstdio>
#include <string>

#include "rmq.hpp"

int main()
{
    try {
        rmq::Cluster cluster(rmq::Config{
            // A broker asks after six seconds; here after a fifth of one.
            {"transactionTimeOut", "200"},
            {"transactionCheckInterval", "100"},
        });
        // A real checker looks into the database that the transaction wrote to.
        auto checker = [](const rmq::ReceivedView &message) {
            return message.tag() == "crashed" ? rmq::Transaction::Commit
                                              : rmq::Transaction::Unknown;
        };
        rmq::Producer producer(rmq::Config{{"namesrvAddr", cluster.nameservers()}}, checker);
        auto pay = [&](const std::string &tag, rmq::Transaction outcome) {
            rmq::Message message("Payments", tag);
            producer.send_in_transaction(message.tag(tag), [&](const rmq::SendResult &half) {
                std::printf("%s: %s waits\n", tag.c_str(), half.msg_id.c_str());
                return outcome;
            });
        };
        pay("paid", rmq::Transaction::Commit);
        pay("refused", rmq::Transaction::Rollback);
        // As if the program had died before it could tell: the broker asks the checker.
        pay("crashed", rmq::Transaction::Unknown);

        rmq::PushConsumer consumer(rmq::Config{
            {"namesrvAddr", cluster.nameservers()},
            {"consumerGroup", "readers"},
            {"consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET"},
        });
        consumer.subscribe("Payments");
        consumer.start();
        for (int delivered = 0; delivered < 2; delivered++) {
            auto messages = consumer.poll(1, 20000);
            if (messages.empty() || messages[0].tag() == "refused") {
                std::fprintf(stderr, "not what was committed\n");
                return 1;
            }
            std::printf("delivered: %s\n", std::string(messages[0].tag()).c_str());
            messages[0].ack();
        }

        consumer.close();
        producer.close();
        cluster.close();
        return 0;
    } catch (const rmq::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
        return 1;
    }
}
