/*
 * A message that is to come in an hour, and a cluster whose clock is moved: it comes at once. And
 * one that is taken back before its time.
 */
#include "example.h"

static const uint64_t HOUR_MS = 3600 * 1000;

/* Prints the next message; 0 if none comes in time. */
static int print_next(rmq_push_consumer *consumer, int64_t timeout_ms)
{
    rmq_error *error = NULL;
    rmq_received *message = NULL;
    size_t count = 0;
    check(rmq_push_consumer_poll(consumer, &message, 1, timeout_ms, &count, &error), error);
    if (count == 0)
        return 0;
    printf("an hour later: %.*s\n", (int)rmq_received_body_len(message),
           (const char *)rmq_received_body(message));
    check(rmq_received_ack(message, &error), error);
    rmq_received_free(message);
    return 1;
}

static void send(rmq_producer *producer, const char *text, rmq_send_result **result)
{
    rmq_error *error = NULL;
    rmq_message *message = NULL;
    check(rmq_message_new("Reminders", text, strlen(text), &message, &error), error);
    check(rmq_message_set_delay_ms(message, HOUR_MS, &error), error);
    check(rmq_producer_send(producer, message, -1, result, &error), error);
    rmq_message_free(message);
}

int main(void)
{
    rmq_error *error = NULL;
    rmq_cluster *cluster = NULL;
    rmq_producer *producer = NULL;
    rmq_push_consumer *consumer = NULL;
    rmq_send_result *unwanted = NULL;
    rmq_config *servers = rmq_config_new(), *clients = rmq_config_new();

    check(rmq_config_set(servers, "rmq.cluster.clock", "MANUAL", &error), error);
    check(rmq_config_set(servers, "recallMessageEnable", "true", &error), error);
    check(rmq_cluster_start(servers, &cluster, &error), error);
    check(rmq_config_set(clients, "namesrvAddr", rmq_cluster_nameservers(cluster), &error), error);
    check(rmq_producer_start(clients, &producer, &error), error);
    send(producer, "tea is ready", NULL);
    send(producer, "never mind", &unwanted);
    check(rmq_producer_recall(producer, "Reminders", rmq_send_result_recall_handle(unwanted), NULL,
                              &error),
          error);
    rmq_send_result_free(unwanted);

    check(rmq_config_set(clients, "consumerGroup", "readers", &error), error);
    check(rmq_config_set(clients, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", &error), error);
    check(rmq_push_consumer_new(clients, &consumer, &error), error);
    check(rmq_push_consumer_subscribe(consumer, "Reminders", "*", RMQ_EXPRESSION_TAG, &error),
          error);
    check(rmq_push_consumer_start(consumer, RMQ_CONSUME_CONCURRENTLY, &error), error);
    if (print_next(consumer, 200)) {
        fprintf(stderr, "a message came before its time\n");
        return 1;
    }
    check(rmq_cluster_advance(cluster, HOUR_MS + 2000, &error), error);
    if (!print_next(consumer, PATIENCE_MS) || print_next(consumer, 500)) {
        fprintf(stderr, "not the one message that was wanted\n");
        return 1;
    }

    check(rmq_push_consumer_close(consumer, PATIENCE_MS, &error), error);
    check(rmq_producer_close(producer, PATIENCE_MS, &error), error);
    check(rmq_cluster_close(cluster, PATIENCE_MS, &error), error);
    rmq_push_consumer_free(consumer);
    rmq_producer_free(producer);
    rmq_cluster_free(cluster);
    rmq_config_free(servers);
    rmq_config_free(clients);
    return 0;
}
