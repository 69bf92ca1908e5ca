/*
 * Sends of every form, and everything that a caller of a producer can do wrong: each accepted
 * asynchronous send is completed exactly once, and nothing crashes, is printed or is left behind.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include "rmq.h"

#include "check.h"

enum { WAIT_MS = 20000, SENDS = 100, BATCH = 8 };

struct pair {
    rmq_namesrv *namesrv;
    rmq_broker *broker;
};

static void start_pair(struct pair *pair)
{
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_namesrv_start(NULL, &pair->namesrv, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(pair->namesrv), NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_broker_start(config, &pair->broker, NULL), RMQ_OK);
    rmq_config_free(config);
}

static void end_pair(struct pair *pair)
{
    CHECK_STATUS(rmq_broker_close(pair->broker, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_namesrv_close(pair->namesrv, WAIT_MS, NULL), RMQ_OK);
    rmq_broker_free(pair->broker);
    rmq_namesrv_free(pair->namesrv);
}

static rmq_producer *start_producer(const char *namesrv)
{
    rmq_producer *producer = NULL;
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", namesrv, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "producerGroup", "c-test", NULL), RMQ_OK);
    /* A checker of memory makes everything slow. */
    CHECK_STATUS(rmq_config_set(config, "sendMsgTimeout", "20000", NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_start(config, &producer, NULL), RMQ_OK);
    rmq_config_free(config);
    return producer;
}

static rmq_message *make_message(const char *topic)
{
    rmq_message *message = NULL;
    unsigned char body[256];
    size_t i;
    for (i = 0; i < sizeof body; i++)
        body[i] = (unsigned char)i;
    CHECK_STATUS(rmq_message_new(topic, body, sizeof body, &message, NULL), RMQ_OK);
    return message;
}

static void messages_check_their_arguments(void)
{
    rmq_message *message = NULL, *empty = NULL;
    CHECK_STATUS(rmq_message_new(NULL, "b", 1, &message, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_new("", "b", 1, &message, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_new("T", NULL, 1, &message, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_new("T", "b", SIZE_MAX, &message, NULL), RMQ_E_LIMIT);
    CHECK_STATUS(rmq_message_new("T", "b", 1, NULL, NULL), RMQ_E_INVALID);
    CHECK(message == NULL);
    CHECK_STATUS(rmq_message_new("T", NULL, 0, &empty, NULL), RMQ_OK);
    message = make_message("T");
    CHECK_STATUS(rmq_message_set_tag(message, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_set_keys(message, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_set_property(message, NULL, "v", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_set_property(message, "n", NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_set_delay_level(message, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_set_sharding_key(message, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_set_queue(message, NULL, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_message_set_queue(message, "broker", -1, NULL), RMQ_E_INVALID);
    rmq_message_free(message);
    rmq_message_free(message);
    rmq_message_free(empty);
    rmq_message_free(NULL);
    CHECK_STATUS(rmq_message_set_tag(message, "t", NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_message_set_delay_ms(message, 1, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_message_set_deliver_at_ms(NULL, 1, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_message_set_queue(NULL, "b", 0, NULL), RMQ_E_HANDLE);
}

static void sends_are_acknowledged(rmq_producer *producer, const char *broker_name)
{
    rmq_message *message = make_message("Sends"), *batch[BATCH];
    rmq_send_result *result = NULL;
    int64_t first;
    int i;
    CHECK_STATUS(rmq_message_set_tag(message, "tag", NULL), RMQ_OK);
    CHECK_STATUS(rmq_message_set_keys(message, "one  two", NULL), RMQ_OK);
    CHECK_STATUS(rmq_message_set_property(message, "colour", "green", NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_send(producer, message, -1, &result, NULL), RMQ_OK);
    CHECK(rmq_send_result_status(result) == RMQ_SEND_OK);
    CHECK(strlen(rmq_send_result_msg_id(result)) == 32);
    CHECK(strlen(rmq_send_result_offset_msg_id(result)) == 32);
    CHECK(strcmp(rmq_send_result_broker_name(result), broker_name) == 0);
    CHECK(rmq_send_result_recall_handle(result) == NULL);
    rmq_send_result_free(result);
    rmq_send_result_free(result);
    CHECK(rmq_send_result_status(result) == -1 && rmq_send_result_msg_id(result) == NULL);
    CHECK(rmq_send_result_queue_id(NULL) == -1 && rmq_send_result_queue_offset(NULL) == -1);
    /* One queue: offsets follow each other. */
    CHECK_STATUS(rmq_message_set_queue(message, broker_name, 2, NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_send(producer, message, WAIT_MS, &result, NULL), RMQ_OK);
    CHECK(rmq_send_result_queue_id(result) == 2);
    first = rmq_send_result_queue_offset(result);
    rmq_send_result_free(result);
    CHECK_STATUS(rmq_producer_send(producer, message, WAIT_MS, &result, NULL), RMQ_OK);
    CHECK(rmq_send_result_queue_offset(result) == first + 1);
    rmq_send_result_free(result);
    CHECK_STATUS(rmq_message_set_sharding_key(message, "user-7", NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_send(producer, message, -1, NULL, NULL), RMQ_OK);
    rmq_message_free(message);
    for (i = 0; i < BATCH; i++)
        batch[i] = make_message("Sends");
    CHECK_STATUS(rmq_producer_send_batch(producer, (const rmq_message *const *)batch, BATCH, -1,
                                         &result, NULL),
                 RMQ_OK);
    CHECK(strlen(rmq_send_result_msg_id(result)) == BATCH * 33 - 1);
    rmq_send_result_free(result);
    CHECK_STATUS(rmq_producer_send_oneway(producer, batch[0], NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_flush(producer, WAIT_MS, NULL), RMQ_OK);
    for (i = 0; i < BATCH; i++)
        rmq_message_free(batch[i]);
}

struct told {
    rmq_producer *producer;
    int results, closed, other, deadlocks, again;
};

static void count(int *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static void on_sent(void *user_data, const rmq_send_result *result, const rmq_error *error)
{
    struct told *told = (struct told *)user_data;
    CHECK((result == NULL) != (error == NULL));
    if (rmq_producer_close(told->producer, -1, NULL) == RMQ_E_WOULD_DEADLOCK)
        count(&told->deadlocks);
    if (result != NULL) {
        CHECK(rmq_send_result_status(result) == RMQ_SEND_OK);
        /* A callback may send more. */
        if (__atomic_add_fetch(&told->results, 1, __ATOMIC_SEQ_CST) <= SENDS) {
            rmq_message *more = make_message("Sends");
            CHECK_STATUS(
                rmq_producer_send_async(told->producer, more, -1, on_sent, told, NULL), RMQ_OK);
            rmq_message_free(more);
            count(&told->again);
        }
    } else {
        count(rmq_error_status(error) == RMQ_E_CLOSED ? &told->closed : &told->other);
    }
}

static void callbacks_come_once(rmq_producer *producer)
{
    static struct told told;
    rmq_message *message = make_message("Sends");
    int i;
    told.producer = producer;
    for (i = 0; i < SENDS; i++)
        CHECK_STATUS(rmq_producer_send_async(producer, message, -1, on_sent, &told, NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_send_async(producer, message, -1, NULL, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_send_async(producer, NULL, -1, on_sent, &told, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_send_async(producer, message, -2, on_sent, &told, NULL),
                 RMQ_E_INVALID);
    rmq_message_free(message);
    CHECK_STATUS(rmq_producer_flush(producer, WAIT_MS, NULL), RMQ_OK);
    CHECK(told.results == 2 * SENDS && told.again == SENDS);
    CHECK(told.deadlocks == 2 * SENDS && told.closed == 0 && told.other == 0);
}

static void producers_refuse(rmq_producer *producer, rmq_status wanted)
{
    struct told told;
    rmq_message *message = make_message("Sends");
    const rmq_message *batch[1];
    memset(&told, 0, sizeof told);
    batch[0] = message;
    CHECK_STATUS(rmq_producer_send(producer, message, -1, NULL, NULL), wanted);
    CHECK_STATUS(rmq_producer_send_batch(producer, batch, 1, -1, NULL, NULL), wanted);
    CHECK_STATUS(rmq_producer_send_async(producer, message, -1, on_sent, &told, NULL), wanted);
    CHECK_STATUS(rmq_producer_send_oneway(producer, message, NULL), wanted);
    rmq_message_free(message);
    CHECK(told.results == 0 && told.closed == 0 && told.other == 0);
}

static void *blocked_send(void *user_data)
{
    rmq_message *message = make_message("Nowhere");
    rmq_status status = rmq_producer_send((rmq_producer *)user_data, message, WAIT_MS, NULL, NULL);
    rmq_message_free(message);
    CHECK(status != RMQ_OK);
    return NULL;
}

/* Sends to a nameserver that takes connections and says nothing. */
static void a_close_ends_what_is_blocked(void)
{
    static struct told told;
    rmq_cluster *cluster = NULL;
    rmq_producer *producer;
    rmq_message *message = make_message("Nowhere");
    pthread_t thread;
    CHECK_STATUS(rmq_cluster_start(NULL, &cluster, NULL), RMQ_OK);
    CHECK_STATUS(rmq_cluster_pause(cluster, "namesrv-0", NULL), RMQ_OK);
    producer = start_producer(rmq_cluster_nameservers(cluster));
    told.producer = producer;
    CHECK_STATUS(rmq_producer_send_async(producer, message, WAIT_MS, on_sent, &told, NULL), RMQ_OK);
    CHECK(pthread_create(&thread, NULL, blocked_send, producer) == 0);
    usleep(50 * 1000);
    CHECK_STATUS(rmq_producer_close(producer, 10, NULL), RMQ_OK);
    CHECK(told.closed + told.other == 1 && told.results == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(rmq_producer_close(producer, 10, NULL), RMQ_OK);
    producers_refuse(producer, RMQ_E_CLOSED);
    rmq_message_free(message);
    rmq_producer_free(producer);
    CHECK_STATUS(rmq_cluster_close(cluster, WAIT_MS, NULL), RMQ_OK);
    rmq_cluster_free(cluster);
}

static void starts_check_their_configuration(void)
{
    rmq_producer *producer = NULL;
    rmq_error *error = NULL;
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_producer_start(NULL, &producer, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_start(config, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", "127.0.0.1:1", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "producerGroup", "spaces are wrong", NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_start(config, &producer, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "sendMsgTimeot", "1", NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_start(config, &producer, &error), RMQ_E_INVALID);
    CHECK(strstr(rmq_error_message(error), "sendMsgTimeot") != NULL && producer == NULL);
    rmq_error_free(error);
    rmq_config_free(config);
}

int main(void)
{
    struct pair pair;
    rmq_producer *producer;
    long threads = count_entries("/proc/self/task");
    long descriptors = count_entries("/proc/self/fd");
    messages_check_their_arguments();
    starts_check_their_configuration();
    start_pair(&pair);
    producer = start_producer(rmq_namesrv_address(pair.namesrv));
    CHECK(rmq_producer_client_id(producer) != NULL && rmq_producer_client_id(NULL) == NULL);
    sends_are_acknowledged(producer, rmq_broker_name(pair.broker));
    CHECK_STATUS(rmq_producer_send(producer, NULL, -1, NULL, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_send_batch(producer, NULL, 1, -1, NULL, NULL), RMQ_E_INVALID);
    callbacks_come_once(producer);
    CHECK_STATUS(rmq_producer_close(producer, -2, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_close(producer, WAIT_MS, NULL), RMQ_OK);
    producers_refuse(producer, RMQ_E_CLOSED);
    rmq_producer_free(producer);
    rmq_producer_free(producer);
    rmq_producer_free(NULL);
    producers_refuse(producer, RMQ_E_HANDLE);
    producers_refuse(NULL, RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_flush(producer, 0, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_close(NULL, 0, NULL), RMQ_E_HANDLE);
    end_pair(&pair);
    a_close_ends_what_is_blocked();
    CHECK(threads_become(threads));
    CHECK(count_entries("/proc/self/fd") == descriptors);
    return 0;
}
