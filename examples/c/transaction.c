/*
 * Messages that come if, and only if, the program's own work was done; and a broker that asks when
 * it was not told.
 */
#include "example.h"

/* Does the program's part: here the outcome is known beforehand. */
static int32_t execute(void *user_data, const rmq_send_result *half)
{
    printf("%s waits\n", rmq_send_result_msg_id(half));
    return *(const int32_t *)user_data;
}

/* Answers brokers. A real one looks into the database that the transaction wrote to. */
static int32_t check_transaction(void *user_data, const rmq_received *message)
{
    (void)user_data;
    return strcmp(rmq_received_tag(message), "crashed") == 0 ? RMQ_TRANSACTION_COMMIT
                                                             : RMQ_TRANSACTION_UNKNOWN;
}

static void pay(rmq_producer *producer, const char *tag, int32_t outcome)
{
    rmq_error *error = NULL;
    rmq_message *message = NULL;
    check(rmq_message_new("Payments", tag, strlen(tag), &message, &error), error);
    check(rmq_message_set_tag(message, tag, &error), error);
    check(rmq_producer_send_in_transaction(producer, message, -1, execute, &outcome, NULL, NULL,
                                           &error),
          error);
    rmq_message_free(message);
}

int main(void)
{
    rmq_error *error = NULL;
    rmq_cluster *cluster = NULL;
    rmq_producer *producer = NULL;
    rmq_push_consumer *consumer = NULL;
    rmq_config *servers = rmq_config_new(), *clients = rmq_config_new();
    int delivered;

    /* A broker asks after six seconds; here after a fifth of one. */
    check(rmq_config_set(servers, "transactionTimeOut", "200", &error), error);
    check(rmq_config_set(servers, "transactionCheckInterval", "100", &error), error);
    check(rmq_cluster_start(servers, &cluster, &error), error);
    check(rmq_config_set(clients, "namesrvAddr", rmq_cluster_nameservers(cluster), &error), error);
    check(rmq_producer_start_with_checker(clients, check_transaction, NULL, NULL, &producer,
                                          &error),
          error);
    pay(producer, "paid", RMQ_TRANSACTION_COMMIT);
    pay(producer, "refused", RMQ_TRANSACTION_ROLLBACK);
    /* As if the program had died before it could tell: the broker asks. */
    pay(producer, "crashed", RMQ_TRANSACTION_UNKNOWN);

    check(rmq_config_set(clients, "consumerGroup", "readers", &error), error);
    check(rmq_config_set(clients, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", &error), error);
    check(rmq_push_consumer_new(clients, &consumer, &error), error);
    check(rmq_push_consumer_subscribe(consumer, "Payments", "*", RMQ_EXPRESSION_TAG, &error),
          error);
    check(rmq_push_consumer_start(consumer, RMQ_CONSUME_CONCURRENTLY, &error), error);
    for (delivered = 0; delivered < 2; delivered++) {
        rmq_received *message = NULL;
        size_t count = 0;
        check(rmq_push_consumer_poll(consumer, &message, 1, PATIENCE_MS, &count, &error), error);
        if (count == 0 || strcmp(rmq_received_tag(message), "refused") == 0) {
            fprintf(stderr, "not what was committed\n");
            return 1;
        }
        printf("delivered: %s\n", rmq_received_tag(message));
        check(rmq_received_ack(message, &error), error);
        rmq_received_free(message);
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
