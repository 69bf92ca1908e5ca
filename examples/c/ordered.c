/* Messages of one key in the order in which they were sent, whatever the others do. */
#include "example.h"

enum { USERS = 5, STEPS = 10 };

static void send_steps(const rmq_config *config)
{
    rmq_error *error = NULL;
    rmq_producer *producer = NULL;
    int step, user;

    check(rmq_producer_start(config, &producer, &error), error);
    for (step = 0; step < STEPS; step++) {
        for (user = 0; user < USERS; user++) {
            rmq_message *message = NULL;
            char text[32], key[32];
            snprintf(text, sizeof text, "%d %d", user, step);
            snprintf(key, sizeof key, "user-%d", user);
            check(rmq_message_new("Steps", text, strlen(text), &message, &error), error);
            /* All messages of a key go to one queue, and a queue keeps its order. */
            check(rmq_message_set_sharding_key(message, key, &error), error);
            check(rmq_producer_send(producer, message, -1, NULL, &error), error);
            rmq_message_free(message);
        }
    }
    check(rmq_producer_close(producer, PATIENCE_MS, &error), error);
    rmq_producer_free(producer);
}

int main(void)
{
    rmq_error *error = NULL;
    rmq_cluster *cluster = NULL;
    rmq_push_consumer *consumer = NULL;
    rmq_config *config = rmq_config_new();
    int next[USERS] = {0}, received = 0;

    check(rmq_cluster_start(NULL, &cluster, &error), error);
    check(rmq_config_set(config, "namesrvAddr", rmq_cluster_nameservers(cluster), &error), error);
    send_steps(config);

    check(rmq_config_set(config, "consumerGroup", "readers", &error), error);
    check(rmq_config_set(config, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", &error), error);
    check(rmq_push_consumer_new(config, &consumer, &error), error);
    check(rmq_push_consumer_subscribe(consumer, "Steps", "*", RMQ_EXPRESSION_TAG, &error), error);
    check(rmq_push_consumer_start(consumer, RMQ_CONSUME_ORDERLY, &error), error);
    while (received < USERS * STEPS) {
        rmq_received *message = NULL;
        size_t count = 0;
        int user = 0, step = 0;
        char text[32] = "";
        check(rmq_push_consumer_poll(consumer, &message, 1, PATIENCE_MS, &count, &error), error);
        if (count == 0) {
            fprintf(stderr, "no message came\n");
            return 1;
        }
        /* Bodies are bytes with a length. */
        memcpy(text, rmq_received_body(message), rmq_received_body_len(message));
        if (sscanf(text, "%d %d", &user, &step) != 2 || step != next[user]++) {
            fprintf(stderr, "user %d: %d came out of order\n", user, step);
            return 1;
        }
        /* The next message of this queue comes after this. */
        check(rmq_received_ack(message, &error), error);
        rmq_received_free(message);
        received++;
    }
    printf("%d steps of %d users came in order\n", STEPS, USERS);

    check(rmq_push_consumer_close(consumer, PATIENCE_MS, &error), error);
    check(rmq_cluster_close(cluster, PATIENCE_MS, &error), error);
    rmq_push_consumer_free(consumer);
    rmq_cluster_free(cluster);
    rmq_config_free(config);
    return 0;
}
