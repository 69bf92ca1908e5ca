/* A nameserver, a broker and a producer in this process: one message, and where it is. */
#include <stdio.h>
#include <stdlib.h>

#include "rmq.h"

/* Ends the program with what a failed call says. */
static void check(rmq_status status, rmq_error *error)
{
    if (status != RMQ_OK) {
        fprintf(stderr, "%s: %s\n", rmq_status_name(status), rmq_error_message(error));
        rmq_error_free(error);
        exit(1);
    }
}

int main(void)
{
    rmq_error *error = NULL;
    rmq_namesrv *namesrv = NULL;
    rmq_broker *broker = NULL;
    rmq_producer *producer = NULL;
    rmq_message *message = NULL;
    rmq_send_result *result = NULL;
    rmq_config *config = rmq_config_new();

    check(rmq_namesrv_start(NULL, &namesrv, &error), error);
    check(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(namesrv), &error), error);
    /* Without "storePathRootDir" the broker stores in a folder that goes with it. */
    check(rmq_broker_start(config, &broker, &error), error);
    check(rmq_producer_start(config, &producer, &error), error);

    check(rmq_message_new("Greetings", "hello", 5, &message, &error), error);
    check(rmq_message_set_tag(message, "english", &error), error);
    check(rmq_producer_send(producer, message, 3000, &result, &error), error);
    printf("%s is at %s, queue %d, offset %lld\n", rmq_send_result_msg_id(result),
           rmq_send_result_broker_name(result), (int)rmq_send_result_queue_id(result),
           (long long)rmq_send_result_queue_offset(result));

    rmq_send_result_free(result);
    rmq_message_free(message);
    check(rmq_producer_close(producer, 10000, &error), error);
    check(rmq_broker_close(broker, 10000, &error), error);
    check(rmq_namesrv_close(namesrv, 10000, &error), error);
    rmq_producer_free(producer);
    rmq_broker_free(broker);
    rmq_namesrv_free(namesrv);
    rmq_config_free(config);
    return 0;
}
