/* A question by message, and its answer. */
#include <ctype.h>

#include "example.h"

/* The side that answers: it is called on a thread of the library, so it does not wait. */
static int32_t answer(void *user_data, rmq_received *const *questions, size_t count)
{
    rmq_producer *producer = (rmq_producer *)user_data;
    size_t i, j;
    for (i = 0; i < count; i++) {
        const char *question = (const char *)rmq_received_body(questions[i]);
        size_t length = rmq_received_body_len(questions[i]);
        rmq_message *reply = NULL;
        char text[64];
        if (length > sizeof text)
            length = sizeof text;
        for (j = 0; j < length; j++)
            text[j] = (char)toupper((unsigned char)question[j]);
        if (rmq_message_new_reply(questions[i], text, length, &reply, NULL) == RMQ_OK)
            rmq_producer_send_oneway(producer, reply, NULL);
        rmq_message_free(reply);
    }
    return RMQ_CONSUME_OK;
}

int main(void)
{
    rmq_error *error = NULL;
    rmq_cluster *cluster = NULL;
    rmq_producer *answering = NULL, *asking = NULL;
    rmq_push_consumer *consumer = NULL;
    rmq_message *question = NULL;
    rmq_received *reply = NULL;
    rmq_config *config = rmq_config_new();

    check(rmq_cluster_start(NULL, &cluster, &error), error);
    check(rmq_config_set(config, "namesrvAddr", rmq_cluster_nameservers(cluster), &error), error);
    check(rmq_producer_start(config, &answering, &error), error);
    check(rmq_producer_start(config, &asking, &error), error);
    check(rmq_config_set(config, "consumerGroup", "answering", &error), error);
    check(rmq_config_set(config, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", &error), error);
    check(rmq_push_consumer_new(config, &consumer, &error), error);
    check(rmq_push_consumer_subscribe(consumer, "Questions", "*", RMQ_EXPRESSION_TAG, &error),
          error);
    check(rmq_push_consumer_on_message(consumer, answer, answering, NULL, &error), error);
    check(rmq_push_consumer_start(consumer, RMQ_CONSUME_CONCURRENTLY, &error), error);

    check(rmq_message_new("Questions", "who is there", 12, &question, &error), error);
    check(rmq_producer_request(asking, question, PATIENCE_MS, &reply, &error), error);
    printf("who is there: %.*s\n", (int)rmq_received_body_len(reply),
           (const char *)rmq_received_body(reply));

    rmq_received_free(reply);
    rmq_message_free(question);
    check(rmq_push_consumer_close(consumer, PATIENCE_MS, &error), error);
    check(rmq_producer_close(asking, PATIENCE_MS, &error), error);
    check(rmq_producer_close(answering, PATIENCE_MS, &error), error);
    check(rmq_cluster_close(cluster, PATIENCE_MS, &error), error);
    rmq_push_consumer_free(consumer);
    rmq_producer_free(asking);
    rmq_producer_free(answering);
    rmq_cluster_free(cluster);
    rmq_config_free(config);
    return 0;
}
