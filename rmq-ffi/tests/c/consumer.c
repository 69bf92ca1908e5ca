/*
 * Push consumers, with a callback and polled: every message comes and is answered for from any
 * thread, and nothing that a caller does wrong crashes, is printed or leaves anything behind.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

enum { COUNT = 60, SHORT_MS = 200 };

static rmq_push_consumer *new_consumer(const struct pair *pair, const char *group,
                                       const char *topic)
{
    rmq_push_consumer *consumer = NULL;
    rmq_config *config = consumer_config(pair, group);
    CHECK_STATUS(rmq_push_consumer_new(config, &consumer, NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, topic, "tag || other", RMQ_EXPRESSION_TAG,
                                             NULL),
                 RMQ_OK);
    rmq_config_free(config);
    return consumer;
}

static rmq_push_consumer *start_polled(const struct pair *pair, const char *group,
                                       const char *topic, int mode)
{
    rmq_push_consumer *consumer = new_consumer(pair, group, topic);
    CHECK_STATUS(rmq_push_consumer_start(consumer, mode, NULL), RMQ_OK);
    return consumer;
}

static rmq_received *poll_one(rmq_push_consumer *consumer)
{
    rmq_received *message = NULL;
    size_t count = 9;
    CHECK_STATUS(rmq_push_consumer_poll(consumer, &message, 1, WAIT_MS, &count, NULL), RMQ_OK);
    CHECK(count == 1);
    return message;
}

static int32_t refuse_all(void *user_data, rmq_received *const *messages, size_t count)
{
    (void)user_data, (void)messages, (void)count;
    return RMQ_CONSUME_LATER;
}

static void count(void *user_data)
{
    __atomic_add_fetch((int *)user_data, 1, __ATOMIC_SEQ_CST);
}

/* What every function of a consumer answers; a consumer that answers something else is no good. */
static void consumer_answers(rmq_push_consumer *consumer, rmq_status wanted)
{
    rmq_received *message = NULL;
    size_t polled = 7;
    int destroyed = 0;
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, "T", "*", RMQ_EXPRESSION_TAG, NULL), wanted);
    CHECK_STATUS(rmq_push_consumer_unsubscribe(consumer, "T", NULL), wanted);
    CHECK_STATUS(rmq_push_consumer_on_message(consumer, refuse_all, &destroyed, count, NULL),
                 wanted);
    CHECK(destroyed == 1);
    CHECK_STATUS(rmq_push_consumer_start(consumer, RMQ_CONSUME_ORDERLY, NULL), wanted);
    CHECK_STATUS(rmq_push_consumer_poll(consumer, &message, 1, 0, &polled, NULL), wanted);
    CHECK_STATUS(rmq_push_consumer_suspend(consumer, NULL), wanted);
    CHECK_STATUS(rmq_push_consumer_resume(consumer, NULL), wanted);
    CHECK(message == NULL && polled == 7);
    if (wanted == RMQ_E_CLOSED)
        return;
    CHECK(rmq_push_consumer_fd(consumer) == -1);
    CHECK(rmq_push_consumer_client_id(consumer) == NULL);
    rmq_push_consumer_wake(consumer);
    CHECK_STATUS(rmq_push_consumer_close(consumer, 0, NULL), wanted);
}

static void arguments_are_checked(void)
{
    rmq_push_consumer *consumer = NULL;
    rmq_received *message = NULL;
    rmq_error *error = NULL;
    size_t polled = 0;
    int destroyed = 0;
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_push_consumer_new(NULL, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "messageModel", "SHOUTING", NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_new(config, &consumer, &error), RMQ_E_INVALID);
    CHECK(strstr(rmq_error_message(error), "messageModel") != NULL && consumer == NULL);
    rmq_error_free(error);
    rmq_config_free(config);
    CHECK_STATUS(rmq_push_consumer_new(config, &consumer, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_push_consumer_new(NULL, &consumer, NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, NULL, "*", 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, "", "*", 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, "a b", "*", 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, "T", NULL, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, "T", "||", 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, "T", "*", 2, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, "T", "*", -1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_unsubscribe(consumer, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_unsubscribe(consumer, "T", NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_on_message(consumer, NULL, &destroyed, count, NULL),
                 RMQ_E_INVALID);
    CHECK(destroyed == 1);
    CHECK_STATUS(rmq_push_consumer_on_message(consumer, refuse_all, &destroyed, count, NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_on_message(consumer, refuse_all, &destroyed, count, NULL),
                 RMQ_OK);
    CHECK(destroyed == 2);
    CHECK_STATUS(rmq_push_consumer_start(consumer, 2, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_start(consumer, -1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_start(consumer, RMQ_CONSUME_CONCURRENTLY, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_poll(consumer, NULL, 1, 0, &polled, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_poll(consumer, &message, 0, 0, &polled, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_poll(consumer, &message, 1, 0, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_poll(consumer, &message, 1, -2, &polled, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_poll(consumer, &message, 1, 0, &polled, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_suspend(consumer, NULL), RMQ_E_INVALID);
    CHECK(rmq_push_consumer_fd(consumer) == -1 && rmq_push_consumer_client_id(consumer) == NULL);
    CHECK_STATUS(rmq_push_consumer_close(consumer, -2, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_push_consumer_close(consumer, 0, NULL), RMQ_OK);
    CHECK(destroyed == 3);
    consumer_answers(consumer, RMQ_E_CLOSED);
    CHECK_STATUS(rmq_push_consumer_close(consumer, 0, NULL), RMQ_OK);
    rmq_push_consumer_free(consumer);
    rmq_push_consumer_free(consumer);
    rmq_push_consumer_free(NULL);
    consumer_answers(consumer, RMQ_E_HANDLE);
    consumer_answers(NULL, RMQ_E_HANDLE);
}

static void received_is_none(rmq_received *message, rmq_status wanted)
{
    CHECK_STATUS(rmq_received_ack(message, NULL), wanted);
    CHECK_STATUS(rmq_received_later(message, 0, NULL), wanted);
    CHECK(rmq_received_body(message) == NULL && rmq_received_body_len(message) == 0);
    CHECK(rmq_received_topic(message) == NULL && rmq_received_msg_id(message) == NULL);
    CHECK(rmq_received_offset_msg_id(message) == NULL && rmq_received_tag(message) == NULL);
    CHECK(rmq_received_keys(message) == NULL && rmq_received_property(message, "a") == NULL);
    CHECK(rmq_received_property_count(message) == 0);
    CHECK(rmq_received_property_name(message, 0) == NULL);
    CHECK(rmq_received_broker_name(message) == NULL && rmq_received_born_host(message) == NULL);
    CHECK(rmq_received_store_host(message) == NULL && rmq_received_queue_id(message) == -1);
    CHECK(rmq_received_queue_offset(message) == -1);
    CHECK(rmq_received_born_timestamp_ms(message) == -1);
    CHECK(rmq_received_store_timestamp_ms(message) == -1);
    CHECK(rmq_received_reconsume_times(message) == -1);
}

static void messages_are_read(const struct pair *pair, rmq_received *message, const char *topic)
{
    CHECK(strcmp(rmq_received_topic(message), topic) == 0);
    CHECK(strcmp(rmq_received_tag(message), "tag") == 0);
    CHECK(strcmp(rmq_received_keys(message), "one two") == 0);
    CHECK(strcmp(rmq_received_property(message, "colour"), "green") == 0);
    CHECK(rmq_received_property(message, "other") == NULL);
    CHECK(rmq_received_property(message, NULL) == NULL);
    CHECK(rmq_received_property_count(message) >= 3);
    CHECK(rmq_received_property_name(message, 0) != NULL);
    CHECK(rmq_received_property_name(message, 1000) == NULL);
    CHECK(strlen(rmq_received_msg_id(message)) == 32);
    CHECK(strlen(rmq_received_offset_msg_id(message)) == 32);
    CHECK(strcmp(rmq_received_broker_name(message), rmq_broker_name(pair->broker)) == 0);
    CHECK(strcmp(rmq_received_store_host(message), rmq_broker_address(pair->broker)) == 0);
    CHECK(strchr(rmq_received_born_host(message), ':') != NULL);
    CHECK(rmq_received_queue_id(message) >= 0 && rmq_received_queue_offset(message) >= 0);
    CHECK(rmq_received_born_timestamp_ms(message) > 0);
    CHECK(rmq_received_store_timestamp_ms(message) > 0);
    CHECK(rmq_received_reconsume_times(message) == 0);
}

static void *ack_and_free(void *message)
{
    CHECK_STATUS(rmq_received_ack((rmq_received *)message, NULL), RMQ_OK);
    rmq_received_free((rmq_received *)message);
    return NULL;
}

/* Each number once; those of `put_off` came again after they were put off or freed. */
static void polled_messages_are_answered_for(const struct pair *pair, rmq_producer *producer)
{
    rmq_push_consumer *consumer =
        start_polled(pair, "polled", "Polled", RMQ_CONSUME_CONCURRENTLY);
    struct pollfd watched;
    pthread_t thread;
    int done[COUNT] = {0}, seen[COUNT] = {0}, left = COUNT;
    size_t polled = 9;
    CHECK(strlen(rmq_push_consumer_client_id(consumer)) > 0);
    watched.fd = rmq_push_consumer_fd(consumer);
    watched.events = POLLIN;
    CHECK(watched.fd >= 0 && rmq_push_consumer_fd(consumer) == watched.fd);
    CHECK(poll(&watched, 1, 0) == 0);
    send_numbered(producer, "Polled", COUNT);
    while (left > 0) {
        rmq_received *messages[8];
        size_t i;
        CHECK(poll(&watched, 1, WAIT_MS) == 1);
        CHECK_STATUS(rmq_push_consumer_poll(consumer, messages, 8, 0, &polled, NULL), RMQ_OK);
        for (i = 0; i < polled; i++) {
            int number = number_of(messages[i]);
            CHECK(!done[number]);
            if (seen[number]++ == 0) {
                messages_are_read(pair, messages[i], "Polled");
            } else {
                CHECK(rmq_received_reconsume_times(messages[i]) == 1);
            }
            if (seen[number] == 1 && number % 10 == 0) {
                CHECK_STATUS(rmq_received_later(messages[i], 1, NULL), RMQ_OK);
                CHECK_STATUS(rmq_received_ack(messages[i], NULL), RMQ_OK);
                rmq_received_free(messages[i]);
            } else if (seen[number] == 1 && number % 10 == 1) {
                rmq_received_free(messages[i]);
                rmq_received_free(messages[i]);
                received_is_none(messages[i], RMQ_E_HANDLE);
            } else {
                CHECK(pthread_create(&thread, NULL, ack_and_free, messages[i]) == 0);
                CHECK(pthread_join(thread, NULL) == 0);
                done[number] = 1;
                left--;
            }
        }
    }
    /* Nothing is left, and a wake is told once. */
    CHECK(poll(&watched, 1, SHORT_MS) == 0);
    rmq_push_consumer_wake(consumer);
    CHECK(poll(&watched, 1, 0) == 1);
    {
        rmq_received *message = NULL;
        CHECK_STATUS(rmq_push_consumer_poll(consumer, &message, 1, -1, &polled, NULL), RMQ_OK);
        CHECK(polled == 0 && message == NULL && poll(&watched, 1, 0) == 0);
    }
    CHECK_STATUS(rmq_push_consumer_close(consumer, WAIT_MS, NULL), RMQ_OK);
    CHECK(poll(&watched, 1, 0) == 1);
    rmq_push_consumer_free(consumer);
}

static void an_answer_is_waited_for(const struct pair *pair, rmq_producer *producer)
{
    rmq_push_consumer *consumer = start_polled(pair, "ends", "Ends", RMQ_CONSUME_ORDERLY);
    rmq_received *message;
    send_numbered(producer, "Ends", 1);
    message = poll_one(consumer);
    CHECK_STATUS(rmq_push_consumer_close(consumer, 50, NULL), RMQ_E_TIMEOUT);
    consumer_answers(consumer, RMQ_E_CLOSED);
    CHECK(number_of(message) == 0);
    CHECK_STATUS(rmq_received_ack(message, NULL), RMQ_OK);
    rmq_push_consumer_free(consumer);
    CHECK_STATUS(rmq_received_later(message, 0, NULL), RMQ_OK);
    rmq_received_free(message);
    /* The answer came too late. */
    consumer = start_polled(pair, "ends", "Ends", RMQ_CONSUME_CONCURRENTLY);
    message = poll_one(consumer);
    CHECK(number_of(message) == 0);
    ack_and_free(message);
    CHECK_STATUS(rmq_push_consumer_close(consumer, WAIT_MS, NULL), RMQ_OK);
    rmq_push_consumer_free(consumer);
}

static void an_answer_comes_too_late(const struct pair *pair, rmq_producer *producer)
{
    rmq_push_consumer *consumer = NULL;
    rmq_received *late, *again;
    rmq_status status;
    rmq_error *error = NULL;
    rmq_config *config = consumer_config(pair, "late");
    CHECK_STATUS(rmq_config_set(config, "rmq.consumeTimeoutMillis", "1000", NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_new(config, &consumer, NULL), RMQ_OK);
    rmq_config_free(config);
    CHECK_STATUS(rmq_push_consumer_subscribe(consumer, "Late", "*", RMQ_EXPRESSION_TAG, NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_start(consumer, RMQ_CONSUME_CONCURRENTLY, NULL), RMQ_OK);
    send_numbered(producer, "Late", 1);
    late = poll_one(consumer);
    do {
        /* On a machine that stands still this may be too late, too. */
        again = poll_one(consumer);
        CHECK(number_of(again) == 0 && rmq_received_reconsume_times(again) > 0);
        status = rmq_received_ack(again, NULL);
        rmq_received_free(again);
    } while (status == RMQ_E_TIMEOUT);
    CHECK_STATUS(status, RMQ_OK);
    CHECK_STATUS(rmq_received_ack(late, &error), RMQ_E_TIMEOUT);
    CHECK(strlen(rmq_error_message(error)) > 0 && !rmq_error_is_retriable(error));
    CHECK(!rmq_error_is_fatal(error) && number_of(late) == 0);
    rmq_error_free(error);
    CHECK_STATUS(rmq_received_later(late, 0, NULL), RMQ_E_TIMEOUT);
    CHECK_STATUS(rmq_push_consumer_close(consumer, WAIT_MS, NULL), RMQ_OK);
    rmq_received_free(late);
    rmq_push_consumer_free(consumer);
}

static void *blocked_poll(void *consumer)
{
    rmq_received *message = NULL;
    size_t polled = 0;
    CHECK_STATUS(
        rmq_push_consumer_poll((rmq_push_consumer *)consumer, &message, 1, -1, &polled, NULL),
        RMQ_E_CLOSED);
    return NULL;
}

static void an_end_ends_polls(const struct pair *pair)
{
    int freed;
    for (freed = 0; freed < 2; freed++) {
        rmq_push_consumer *consumer =
            start_polled(pair, "blocked", "Blocked", RMQ_CONSUME_CONCURRENTLY);
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, blocked_poll, consumer) == 0);
        usleep(20 * 1000);
        if (!freed)
            CHECK_STATUS(rmq_push_consumer_close(consumer, WAIT_MS, NULL), RMQ_OK);
        else
            rmq_push_consumer_free(consumer);
        CHECK(pthread_join(thread, NULL) == 0);
        rmq_push_consumer_free(consumer);
    }
}

struct work {
    rmq_push_consumer *consumer;
    int mode, ok, later, async, deadlocks, destroyed;
    int last[2];
};

static int32_t on_messages(void *user_data, rmq_received *const *messages, size_t count)
{
    struct work *work = (struct work *)user_data;
    int number = number_of(messages[0]), again = rmq_received_reconsume_times(messages[0]);
    int queue = rmq_received_queue_id(messages[0]);
    rmq_received *polled = NULL;
    size_t polled_count = 0;
    pthread_t thread;
    CHECK(count == 1);
    if (rmq_push_consumer_close(work->consumer, -1, NULL) == RMQ_E_WOULD_DEADLOCK
        && rmq_push_consumer_poll(work->consumer, &polled, 1, -1, &polled_count, NULL)
               == RMQ_E_WOULD_DEADLOCK)
        __atomic_add_fetch(&work->deadlocks, 1, __ATOMIC_SEQ_CST);
    if (work->mode == RMQ_CONSUME_ORDERLY) {
        /* A message that is put off holds its queue up. */
        CHECK(work->last[queue] < number);
        if (again > 0 || number % 10 != 3)
            work->last[queue] = number;
    }
    if (number % 10 == 3 && again == 0) {
        __atomic_add_fetch(&work->later, 1, __ATOMIC_SEQ_CST);
        return number % 20 == 3 ? RMQ_CONSUME_LATER : 77;
    }
    if (number % 2 == 0) {
        __atomic_add_fetch(&work->ok, 1, __ATOMIC_SEQ_CST);
        return RMQ_CONSUME_OK;
    }
    __atomic_add_fetch(&work->async, 1, __ATOMIC_SEQ_CST);
    CHECK(pthread_create(&thread, NULL, ack_and_free, messages[0]) == 0);
    CHECK(pthread_detach(thread) == 0);
    return RMQ_CONSUME_ASYNC;
}

static void destroy_work(void *user_data)
{
    __atomic_add_fetch(&((struct work *)user_data)->destroyed, 1, __ATOMIC_SEQ_CST);
}

static int becomes(const int *place, int wanted)
{
    int tries;
    for (tries = 0; tries < WAIT_MS / 10; tries++) {
        if (__atomic_load_n(place, __ATOMIC_SEQ_CST) == wanted)
            return 1;
        usleep(10 * 1000);
    }
    return 0;
}

static void callbacks_answer(const struct pair *pair, rmq_producer *producer, int mode)
{
    const char *topic = mode == RMQ_CONSUME_ORDERLY ? "InOrder" : "Called";
    struct work *work = (struct work *)calloc(1, sizeof *work);
    CHECK(work != NULL);
    work->mode = mode;
    work->last[0] = work->last[1] = -1;
    work->consumer = new_consumer(pair, "called", topic);
    CHECK_STATUS(
        rmq_push_consumer_on_message(work->consumer, on_messages, work, destroy_work, NULL),
        RMQ_OK);
    send_numbered(producer, topic, COUNT);
    CHECK_STATUS(rmq_push_consumer_start(work->consumer, mode, NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_start(work->consumer, mode, NULL), RMQ_E_INVALID);
    CHECK(rmq_push_consumer_fd(work->consumer) == -1);
    CHECK(becomes(&work->ok, COUNT / 2) && becomes(&work->async, COUNT / 2));
    CHECK(work->later == COUNT / 10 && work->deadlocks == COUNT + COUNT / 10);
    CHECK_STATUS(rmq_push_consumer_suspend(work->consumer, NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_resume(work->consumer, NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_close(work->consumer, WAIT_MS, NULL), RMQ_OK);
    CHECK(work->destroyed == 0);
    rmq_push_consumer_free(work->consumer);
    CHECK(becomes(&work->destroyed, 1));
    free(work);
}

/* A callback may free its consumer: it ends when the callback has returned. */
static int32_t free_own(void *user_data, rmq_received *const *messages, size_t count)
{
    struct work *work = (struct work *)user_data;
    (void)messages, (void)count;
    rmq_push_consumer_free(work->consumer);
    __atomic_add_fetch(&work->ok, 1, __ATOMIC_SEQ_CST);
    return RMQ_CONSUME_OK;
}

static void a_callback_frees_its_consumer(const struct pair *pair, rmq_producer *producer)
{
    static struct work work;
    work.consumer = new_consumer(pair, "frees", "Frees");
    CHECK_STATUS(
        rmq_push_consumer_on_message(work.consumer, free_own, &work, destroy_work, NULL), RMQ_OK);
    CHECK_STATUS(rmq_push_consumer_start(work.consumer, RMQ_CONSUME_CONCURRENTLY, NULL), RMQ_OK);
    send_numbered(producer, "Frees", 1);
    CHECK(becomes(&work.ok, 1));
    /* Any call that may wait ends what callbacks freed. */
    CHECK_STATUS(rmq_producer_flush(producer, WAIT_MS, NULL), RMQ_OK);
    CHECK(becomes(&work.destroyed, 1));
}

static void forks_are_told(const struct pair *pair, rmq_producer *producer)
{
    rmq_push_consumer *consumer =
        start_polled(pair, "forked", "Forked", RMQ_CONSUME_CONCURRENTLY);
    rmq_received *message;
    int status = -1;
    pid_t child;
    send_numbered(producer, "Forked", 1);
    message = poll_one(consumer);
    CHECK(rmq_push_consumer_fd(consumer) >= 0);
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        consumer_answers(consumer, RMQ_E_FORKED);
        received_is_none(message, RMQ_E_FORKED);
        rmq_received_free(message);
        rmq_push_consumer_free(consumer);
        /* The end that no checker of memory looks at. */
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK(number_of(message) == 0);
    ack_and_free(message);
    CHECK_STATUS(rmq_push_consumer_close(consumer, WAIT_MS, NULL), RMQ_OK);
    rmq_push_consumer_free(consumer);
}

int main(void)
{
    struct pair pair;
    rmq_producer *producer;
    long threads = count_entries("/proc/self/task");
    long descriptors = count_entries("/proc/self/fd");
    arguments_are_checked();
    received_is_none(NULL, RMQ_E_HANDLE);
    start_pair(&pair);
    producer = start_producer(&pair);
    polled_messages_are_answered_for(&pair, producer);
    an_answer_is_waited_for(&pair, producer);
    an_answer_comes_too_late(&pair, producer);
    an_end_ends_polls(&pair);
    callbacks_answer(&pair, producer, RMQ_CONSUME_CONCURRENTLY);
    callbacks_answer(&pair, producer, RMQ_CONSUME_ORDERLY);
    a_callback_frees_its_consumer(&pair, producer);
    forks_are_told(&pair, producer);
    CHECK_STATUS(rmq_producer_close(producer, WAIT_MS, NULL), RMQ_OK);
    rmq_producer_free(producer);
    end_pair(&pair);
    CHECK(threads_become(threads));
    CHECK(count_entries("/proc/self/fd") == descriptors);
    return 0;
}
