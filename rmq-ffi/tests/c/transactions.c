/*
 * Transactions, requests, recalls and the queues of a topic, and everything that a caller can do
 * wrong with them: nothing crashes, is printed or is left behind.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include "rmq.h"

#include "check.h"

enum { WAIT_MS = 20000, HOUR_MS = 3600 * 1000 };

static const char TOPIC[] = "Orders";

struct servers {
    rmq_namesrv *namesrv;
    rmq_broker *broker;
    rmq_admin *admin;
    rmq_config *clients;
};

static void start_servers(struct servers *servers)
{
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_namesrv_start(NULL, &servers->namesrv, NULL), RMQ_OK);
    servers->clients = rmq_config_new();
    CHECK_STATUS(rmq_config_set(servers->clients, "namesrvAddr",
                                rmq_namesrv_address(servers->namesrv), NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(servers->namesrv),
                                NULL),
                 RMQ_OK);
    /* Brokers ask soon. */
    CHECK_STATUS(rmq_config_set(config, "transactionTimeOut", "200", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "transactionCheckInterval", "100", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "transactionCheckMax", "100000", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "recallMessageEnable", "true", NULL), RMQ_OK);
    CHECK_STATUS(rmq_broker_start(config, &servers->broker, NULL), RMQ_OK);
    /* A checker of memory makes everything slow. */
    CHECK_STATUS(rmq_config_set(servers->clients, "mqClientApiTimeout", "20000", NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_start(servers->clients, &servers->admin, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_create_topic(servers->admin, TOPIC, 1, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(servers->clients, "sendMsgTimeout", "20000", NULL), RMQ_OK);
    rmq_config_free(config);
}

static void end_servers(struct servers *servers)
{
    rmq_admin_free(servers->admin);
    CHECK_STATUS(rmq_broker_close(servers->broker, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_namesrv_close(servers->namesrv, WAIT_MS, NULL), RMQ_OK);
    rmq_broker_free(servers->broker);
    rmq_namesrv_free(servers->namesrv);
    rmq_config_free(servers->clients);
}

/* Waits until the topic has so many messages that consumers see. */
static void await_messages(const struct servers *servers, int64_t wanted)
{
    int64_t offset = -1;
    int tries;
    for (tries = 0; tries < 2000 && offset != wanted; tries++) {
        rmq_status status = rmq_admin_max_offset(servers->admin, TOPIC,
                                                 rmq_broker_name(servers->broker), 0, &offset,
                                                 NULL);
        /* The nameserver may not have been told of the topic yet. */
        CHECK(status == RMQ_OK || status == RMQ_E_NOT_FOUND);
        usleep(10 * 1000);
    }
    CHECK(offset == wanted);
}

struct told {
    int checks, destroyed, executed;
    int32_t answer;
    rmq_producer *producer;
};

static int32_t on_check(void *user_data, const rmq_received *message)
{
    struct told *told = (struct told *)user_data;
    rmq_message *reply = NULL;
    rmq_received *kept;
    CHECK(strcmp(rmq_received_topic(message), TOPIC) == 0);
    CHECK(rmq_received_body_len(message) == 5);
    CHECK(memcmp(rmq_received_body(message), "a\0b\xff" "c", 5) == 0);
    CHECK(strcmp(rmq_received_tag(message), "tag") == 0);
    CHECK(strcmp(rmq_received_keys(message), "one") == 0);
    CHECK(strlen(rmq_received_msg_id(message)) == 32);
    CHECK(strlen(rmq_received_offset_msg_id(message)) == 32);
    CHECK(rmq_received_born_timestamp_ms(message) > 0);
    CHECK(rmq_received_store_timestamp_ms(message) > 0);
    CHECK(rmq_received_property(message, "KEYS") == rmq_received_keys(message));
    CHECK(rmq_received_property(message, "none") == NULL);
    CHECK(rmq_received_property(message, NULL) == NULL);
    CHECK(rmq_received_property_count(message) >= 3);
    CHECK(rmq_received_property_name(message, 0) != NULL);
    CHECK(rmq_received_property_name(message, SIZE_MAX) == NULL);
    CHECK(rmq_received_queue_id(message) >= 0 && rmq_received_queue_offset(message) >= 0);
    CHECK(rmq_received_reconsume_times(message) >= 0);
    CHECK(rmq_received_copy(NULL) == NULL);
    kept = rmq_received_copy(message);
    CHECK(kept != message && rmq_received_body(kept) == rmq_received_body(message));
    rmq_received_free(kept);
    CHECK(rmq_received_topic(kept) == NULL && rmq_received_topic(message) != NULL);
    /* It is no request, and this thread is the library's. */
    CHECK_STATUS(rmq_message_new_reply(message, "x", 1, &reply, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_close(told->producer, -1, NULL), RMQ_E_WOULD_DEADLOCK);
    __atomic_add_fetch(&told->checks, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&told->answer, __ATOMIC_SEQ_CST);
}

static int of(const int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static void on_destroy(void *user_data)
{
    __atomic_add_fetch(&((struct told *)user_data)->destroyed, 1, __ATOMIC_SEQ_CST);
}

static int32_t on_execute(void *user_data, const rmq_send_result *sent)
{
    struct told *told = (struct told *)user_data;
    CHECK(rmq_send_result_status(sent) == RMQ_SEND_OK);
    told->executed++;
    return told->answer;
}

static rmq_producer *start_checked(const struct servers *servers, struct told *told)
{
    CHECK_STATUS(rmq_producer_start_with_checker(servers->clients, on_check, told, on_destroy,
                                                 &told->producer, NULL),
                 RMQ_OK);
    return told->producer;
}

static rmq_message *make_message(void)
{
    rmq_message *message = NULL;
    CHECK_STATUS(rmq_message_new(TOPIC, "a\0b\xff" "c", 5, &message, NULL), RMQ_OK);
    CHECK_STATUS(rmq_message_set_tag(message, "tag", NULL), RMQ_OK);
    CHECK_STATUS(rmq_message_set_keys(message, "one", NULL), RMQ_OK);
    return message;
}

static int32_t run(struct told *told, rmq_message *message, int32_t answer)
{
    int32_t state = -1;
    told->answer = answer;
    CHECK_STATUS(rmq_producer_send_in_transaction(told->producer, message, -1, on_execute, told,
                                                  &state, NULL, NULL),
                 RMQ_OK);
    return state;
}

static void transactions_end_as_they_are_told(const struct servers *servers)
{
    static struct told told;
    rmq_producer *producer = start_checked(servers, &told);
    rmq_message *message = make_message();
    rmq_send_result *sent = NULL;
    int tries;
    CHECK(run(&told, message, RMQ_TRANSACTION_COMMIT) == RMQ_TRANSACTION_COMMIT);
    await_messages(servers, 1);
    CHECK(run(&told, message, RMQ_TRANSACTION_ROLLBACK) == RMQ_TRANSACTION_ROLLBACK);
    /* Another number is unknown: the broker asks, until it is told. */
    CHECK(run(&told, message, 77) == RMQ_TRANSACTION_UNKNOWN);
    for (tries = 0; tries < 2000 && of(&told.checks) == 0; tries++)
        usleep(10 * 1000);
    CHECK(of(&told.checks) > 0);
    told.answer = RMQ_TRANSACTION_COMMIT;
    await_messages(servers, 2);
    CHECK(told.executed == 3);
    /* In two steps. */
    CHECK_STATUS(rmq_producer_send_half(producer, message, -1, &sent, NULL), RMQ_OK);
    CHECK(rmq_send_result_status(sent) == RMQ_SEND_OK);
    CHECK_STATUS(rmq_producer_end_transaction(producer, sent, 3, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_end_transaction(producer, sent, -1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_end_transaction(producer, NULL, 1, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_end_transaction(NULL, sent, 1, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_end_transaction(producer, sent, RMQ_TRANSACTION_COMMIT, NULL),
                 RMQ_OK);
    await_messages(servers, 3);
    CHECK_STATUS(rmq_producer_send_half(producer, message, -1, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_send_half(NULL, message, -1, &sent, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_send_half(producer, NULL, -1, &sent, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_send_in_transaction(producer, message, -1, NULL, NULL, NULL, NULL,
                                                  NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_send_in_transaction(producer, NULL, -1, on_execute, &told, NULL, NULL,
                                                  NULL),
                 RMQ_E_HANDLE);
    CHECK(told.destroyed == 0);
    CHECK_STATUS(rmq_producer_close(producer, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_end_transaction(producer, sent, RMQ_TRANSACTION_COMMIT, NULL),
                 RMQ_E_CLOSED);
    CHECK_STATUS(rmq_producer_send_in_transaction(producer, message, -1, on_execute, &told, NULL,
                                                  NULL, NULL),
                 RMQ_E_CLOSED);
    CHECK(told.executed == 3);
    rmq_send_result_free(sent);
    rmq_message_free(message);
    rmq_producer_free(producer);
    for (tries = 0; tries < 2000 && of(&told.destroyed) == 0; tries++)
        usleep(10 * 1000);
    CHECK(of(&told.destroyed) == 1);
}

static void what_is_unknown_is_asked_again(const struct servers *servers)
{
    static struct told told;
    rmq_producer *producer = start_checked(servers, &told);
    rmq_message *message = make_message();
    rmq_send_result *sent = NULL;
    int tries, before;
    /* Until the answer is there. */
    told.answer = RMQ_TRANSACTION_UNKNOWN;
    CHECK_STATUS(rmq_producer_send_half(producer, message, -1, &sent, NULL), RMQ_OK);
    for (tries = 0; tries < 2000 && of(&told.checks) < 3; tries++)
        usleep(10 * 1000);
    CHECK(of(&told.checks) >= 3);
    __atomic_store_n(&told.answer, RMQ_TRANSACTION_COMMIT, __ATOMIC_SEQ_CST);
    await_messages(servers, 4);
    rmq_send_result_free(sent);
    /* Or until the program says it, after it was asked. */
    __atomic_store_n(&told.answer, RMQ_TRANSACTION_UNKNOWN, __ATOMIC_SEQ_CST);
    CHECK_STATUS(rmq_producer_send_half(producer, message, -1, &sent, NULL), RMQ_OK);
    before = of(&told.checks);
    for (tries = 0; tries < 2000 && of(&told.checks) == before; tries++)
        usleep(10 * 1000);
    CHECK(of(&told.checks) > before);
    CHECK_STATUS(rmq_producer_end_transaction(producer, sent, RMQ_TRANSACTION_COMMIT, NULL),
                 RMQ_OK);
    await_messages(servers, 5);
    rmq_send_result_free(sent);
    rmq_message_free(message);
    rmq_producer_free(producer);
}

static void starts_with_a_checker_are_refused(const struct servers *servers)
{
    struct told told;
    rmq_producer *producer = NULL;
    memset(&told, 0, sizeof told);
    CHECK_STATUS(rmq_producer_start_with_checker(servers->clients, NULL, &told, on_destroy,
                                                 &producer, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_start_with_checker(servers->clients, on_check, &told, on_destroy,
                                                 NULL, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_start_with_checker(NULL, on_check, &told, on_destroy, &producer,
                                                 NULL),
                 RMQ_E_INVALID);
    /* Whoever gives data away is told that it is not needed. */
    CHECK(told.destroyed == 3 && producer == NULL);
}

struct asked {
    int timeouts, closed, other;
};

static void on_reply(void *user_data, const rmq_received *reply, const rmq_error *error)
{
    struct asked *asked = (struct asked *)user_data;
    rmq_status status = rmq_error_status(error);
    CHECK(reply == NULL && error != NULL);
    __atomic_add_fetch(status == RMQ_E_TIMEOUT  ? &asked->timeouts
                       : status == RMQ_E_CLOSED ? &asked->closed
                                                : &asked->other,
                       1, __ATOMIC_SEQ_CST);
}

static void asynchronous_requests(rmq_producer *producer, struct asked *asked)
{
    rmq_message *message = make_message();
    int tries;
    CHECK_STATUS(rmq_producer_request_async(producer, message, 50, on_reply, asked, NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_request_async(producer, message, 50, NULL, asked, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_request_async(producer, message, -2, on_reply, asked, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_request_async(producer, NULL, 50, on_reply, asked, NULL),
                 RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_request_async(NULL, message, 50, on_reply, asked, NULL),
                 RMQ_E_HANDLE);
    for (tries = 0; tries < 2000 && of(&asked->timeouts) == 0; tries++)
        usleep(10 * 1000);
    CHECK(of(&asked->timeouts) == 1 && of(&asked->closed) == 0 && of(&asked->other) == 0);
    /* This one is ended by the close that follows. */
    CHECK_STATUS(rmq_producer_request_async(producer, message, WAIT_MS, on_reply, asked, NULL),
                 RMQ_OK);
    rmq_message_free(message);
}

static void *blocked_request(void *user_data)
{
    rmq_message *message = make_message();
    rmq_received *reply = NULL;
    rmq_status status =
        rmq_producer_request((rmq_producer *)user_data, message, WAIT_MS, &reply, NULL);
    CHECK(status == RMQ_E_CLOSED && reply == NULL);
    rmq_message_free(message);
    return NULL;
}

static void requests_recalls_and_queues(const struct servers *servers)
{
    static struct asked asked;
    rmq_producer *producer = NULL;
    rmq_message *message = make_message();
    rmq_received *reply = NULL;
    rmq_send_result *sent = NULL;
    rmq_text *id = NULL;
    rmq_queues *queues = NULL;
    pthread_t thread;
    CHECK_STATUS(rmq_producer_start(servers->clients, &producer, NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_queues(producer, TOPIC, &queues, NULL), RMQ_OK);
    CHECK(rmq_queues_count(queues) == 1 && rmq_queues_queue_id(queues, 0) == 0);
    CHECK(strcmp(rmq_queues_broker_name(queues, 0), rmq_broker_name(servers->broker)) == 0);
    CHECK(rmq_queues_broker_name(queues, 1) == NULL && rmq_queues_queue_id(queues, 1) == -1);
    rmq_queues_free(queues);
    rmq_queues_free(queues);
    CHECK(rmq_queues_count(queues) == 0 && rmq_queues_count(NULL) == 0);
    CHECK_STATUS(rmq_producer_queues(producer, TOPIC, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_queues(producer, NULL, &queues, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_queues(NULL, TOPIC, &queues, NULL), RMQ_E_HANDLE);

    CHECK_STATUS(rmq_producer_request(producer, message, 50, &reply, NULL), RMQ_E_TIMEOUT);
    CHECK_STATUS(rmq_producer_request(producer, message, -2, &reply, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_request(producer, NULL, 50, &reply, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_request(NULL, message, 50, &reply, NULL), RMQ_E_HANDLE);
    CHECK(reply == NULL);
    CHECK_STATUS(rmq_message_new_reply(NULL, "x", 1, &message, NULL), RMQ_E_HANDLE);
    CHECK(rmq_received_topic(NULL) == NULL && rmq_received_body(NULL) == NULL);
    CHECK(rmq_received_body_len(NULL) == 0 && rmq_received_queue_offset(NULL) == -1);
    rmq_received_free(NULL);

    CHECK_STATUS(rmq_message_set_delay_ms(message, HOUR_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_send(producer, message, -1, &sent, NULL), RMQ_OK);
    CHECK(rmq_send_result_recall_handle(sent) != NULL);
    CHECK_STATUS(rmq_producer_recall(producer, TOPIC, rmq_send_result_recall_handle(sent), &id,
                                     NULL),
                 RMQ_OK);
    CHECK(strcmp(rmq_text_data(id), rmq_send_result_msg_id(sent)) == 0);
    CHECK(rmq_text_len(id) == 32);
    rmq_text_free(id);
    rmq_text_free(id);
    CHECK(rmq_text_data(id) == NULL && rmq_text_len(id) == 0 && rmq_text_data(NULL) == NULL);
    CHECK_STATUS(rmq_producer_recall(producer, "Other", rmq_send_result_recall_handle(sent), NULL,
                                     NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_recall(producer, TOPIC, "no handle", NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_recall(producer, TOPIC, NULL, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_recall(producer, NULL, "x", NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_producer_recall(NULL, TOPIC, "x", NULL, NULL), RMQ_E_HANDLE);
    rmq_send_result_free(sent);
    rmq_message_free(message);

    /* Nobody answers; a close ends the wait. */
    asynchronous_requests(producer, &asked);
    CHECK(pthread_create(&thread, NULL, blocked_request, producer) == 0);
    usleep(50 * 1000);
    CHECK_STATUS(rmq_producer_close(producer, 10, NULL), RMQ_OK);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(of(&asked.closed) == 1 && of(&asked.timeouts) == 1 && of(&asked.other) == 0);
    CHECK_STATUS(rmq_producer_request_async(producer, NULL, 50, on_reply, &asked, NULL),
                 RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_queues(producer, TOPIC, &queues, NULL), RMQ_E_CLOSED);
    CHECK_STATUS(rmq_producer_recall(producer, TOPIC, "x", NULL, NULL), RMQ_E_CLOSED);
    rmq_producer_free(producer);
}

int main(void)
{
    struct servers servers;
    long threads = count_entries("/proc/self/task");
    long descriptors = count_entries("/proc/self/fd");
    start_servers(&servers);
    transactions_end_as_they_are_told(&servers);
    what_is_unknown_is_asked_again(&servers);
    starts_with_a_checker_are_refused(&servers);
    requests_recalls_and_queues(&servers);
    end_servers(&servers);
    CHECK(threads_become(threads));
    CHECK(count_entries("/proc/self/fd") == descriptors);
    return 0;
}
