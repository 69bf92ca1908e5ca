/*
 * Pull consumers, with a subscription and with assigned queues: positions, pauses and commits, and
 * everything that a caller can do wrong.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

enum { COUNT = 40, SHORT_MS = 200 };

static rmq_pull_consumer *start_pull(const struct pair *pair, const char *group)
{
    rmq_pull_consumer *consumer = NULL;
    rmq_config *config = consumer_config(pair, group);
    CHECK_STATUS(rmq_config_set(config, "autoCommit", "false", NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_start(config, &consumer, NULL), RMQ_OK);
    rmq_config_free(config);
    return consumer;
}

static void poll_ends(rmq_pull_consumer *consumer, rmq_status wanted)
{
    rmq_received *message = NULL;
    size_t polled = 7;
    CHECK_STATUS(rmq_pull_consumer_poll(consumer, &message, 1, -1, &polled, NULL), wanted);
    CHECK(message == NULL && polled == 7);
}

static void consumer_answers(rmq_pull_consumer *consumer, rmq_status wanted)
{
    rmq_queue queue;
    rmq_queues *queues = NULL;
    int64_t offset = 7;
    queue.topic = "T";
    queue.broker_name = "broker-a";
    queue.queue_id = 0;
    CHECK_STATUS(rmq_pull_consumer_subscribe(consumer, "T", "*", RMQ_EXPRESSION_TAG, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_assign(consumer, &queue, 1, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_queues(consumer, "T", &queues, NULL), wanted);
    poll_ends(consumer, wanted);
    CHECK_STATUS(rmq_pull_consumer_seek(consumer, &queue, 0, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_seek_to_begin(consumer, &queue, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_seek_to_end(consumer, &queue, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_pause(consumer, &queue, 1, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_resume(consumer, &queue, 1, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_position(consumer, &queue, &offset, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_committed(consumer, &queue, &offset, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_offset_at(consumer, &queue, 0, &offset, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_commit(consumer, 0, NULL), wanted);
    CHECK(queues == NULL && offset == 7);
    if (wanted == RMQ_E_CLOSED)
        return;
    CHECK_STATUS(rmq_pull_consumer_assignment(consumer, &queues, NULL), wanted);
    CHECK_STATUS(rmq_pull_consumer_close(consumer, 0, NULL), wanted);
    CHECK(rmq_pull_consumer_client_id(consumer) == NULL && queues == NULL);
}

static void arguments_are_checked(rmq_pull_consumer *consumer)
{
    rmq_queue queue;
    rmq_queues *queues = NULL;
    rmq_received *message = NULL;
    size_t polled = 0;
    int64_t offset = 0;
    queue.topic = "T";
    queue.broker_name = NULL;
    queue.queue_id = 0;
    CHECK_STATUS(rmq_pull_consumer_subscribe(consumer, NULL, "*", 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_subscribe(consumer, "T", NULL, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_subscribe(consumer, "T", "*", 9, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_assign(consumer, NULL, 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_assign(consumer, &queue, 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_assign(consumer, &queue, SIZE_MAX, NULL), RMQ_E_LIMIT);
    CHECK_STATUS(rmq_pull_consumer_queues(consumer, NULL, &queues, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_queues(consumer, "T", NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_assignment(consumer, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_poll(consumer, NULL, 1, 0, &polled, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_poll(consumer, &message, 0, 0, &polled, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_poll(consumer, &message, 1, 0, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_poll(consumer, &message, 1, -2, &polled, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_seek(consumer, NULL, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_seek_to_begin(consumer, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_seek_to_end(consumer, &queue, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_pause(consumer, NULL, 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_resume(consumer, NULL, 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_position(consumer, &queue, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_position(consumer, NULL, &offset, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_committed(consumer, NULL, &offset, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_offset_at(consumer, NULL, 0, &offset, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_close(consumer, -2, NULL), RMQ_E_INVALID);
    queue.broker_name = "nobody";
    CHECK_STATUS(rmq_pull_consumer_seek(consumer, &queue, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_seek(consumer, &queue, -1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_pause(consumer, &queue, 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_pause(consumer, NULL, 0, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_start(NULL, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_start(NULL, &consumer, NULL), RMQ_E_INVALID);
    CHECK(rmq_queues_count(NULL) == 0 && rmq_queues_data(NULL) == NULL);
    rmq_queues_free(NULL);
}

/* Polls until each of `count` messages has come once. */
static void take(rmq_pull_consumer *consumer, size_t wanted)
{
    size_t taken = 0;
    while (taken < wanted) {
        rmq_received *messages[7];
        size_t polled = 0, i;
        CHECK_STATUS(rmq_pull_consumer_poll(consumer, messages, 7, WAIT_MS, &polled, NULL), RMQ_OK);
        CHECK(polled > 0);
        for (i = 0; i < polled; i++) {
            CHECK(number_of(messages[i]) < COUNT);
            CHECK_STATUS(rmq_received_ack(messages[i], NULL), RMQ_E_INVALID);
            CHECK(rmq_received_broker_name(messages[i]) == NULL);
            rmq_received_free(messages[i]);
        }
        taken += polled;
    }
    CHECK(taken == wanted);
}

static void take_none(rmq_pull_consumer *consumer)
{
    rmq_received *message = NULL;
    size_t polled = 7;
    CHECK_STATUS(rmq_pull_consumer_poll(consumer, &message, 1, SHORT_MS, &polled, NULL), RMQ_OK);
    CHECK(polled == 0 && message == NULL);
}

static void assigned_queues_are_polled(const struct pair *pair)
{
    rmq_pull_consumer *consumer = start_pull(pair, "assigned");
    rmq_queues *queues = NULL, *assigned = NULL;
    const rmq_queue *queue;
    int64_t end = -1, offset = -1;
    CHECK(strlen(rmq_pull_consumer_client_id(consumer)) > 0);
    arguments_are_checked(consumer);
    CHECK_STATUS(rmq_pull_consumer_queues(consumer, "Pulled", &queues, NULL), RMQ_OK);
    queue = rmq_queues_data(queues);
    CHECK(rmq_queues_count(queues) == 2 && strcmp(queue->topic, "Pulled") == 0);
    CHECK(strcmp(queue->broker_name, rmq_broker_name(pair->broker)) == 0 && queue[1].queue_id == 1);
    CHECK_STATUS(rmq_pull_consumer_assign(consumer, queue, 2, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_subscribe(consumer, "T", "*", RMQ_EXPRESSION_TAG, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_pull_consumer_assignment(consumer, &assigned, NULL), RMQ_OK);
    CHECK(rmq_queues_count(assigned) == 2);
    take(consumer, COUNT);
    CHECK_STATUS(rmq_pull_consumer_position(consumer, queue, &end, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_committed(consumer, queue, &offset, NULL), RMQ_OK);
    CHECK(end > 0 && offset < end);
    CHECK_STATUS(rmq_pull_consumer_commit(consumer, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_committed(consumer, queue, &offset, NULL), RMQ_OK);
    CHECK(offset == end);
    CHECK_STATUS(rmq_pull_consumer_offset_at(consumer, queue, 0, &offset, NULL), RMQ_OK);
    CHECK(offset == 0);
    take_none(consumer);
    CHECK_STATUS(rmq_pull_consumer_pause(consumer, queue, 2, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_seek_to_begin(consumer, queue, NULL), RMQ_OK);
    take_none(consumer);
    CHECK_STATUS(rmq_pull_consumer_resume(consumer, queue, 2, NULL), RMQ_OK);
    take(consumer, (size_t)end);
    CHECK_STATUS(rmq_pull_consumer_seek(consumer, queue, end - 1, NULL), RMQ_OK);
    take(consumer, 1);
    CHECK_STATUS(rmq_pull_consumer_seek(consumer, queue, 0, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_seek_to_end(consumer, queue, NULL), RMQ_OK);
    take_none(consumer);
    CHECK_STATUS(rmq_pull_consumer_assign(consumer, NULL, 0, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_close(consumer, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_close(consumer, WAIT_MS, NULL), RMQ_OK);
    consumer_answers(consumer, RMQ_E_CLOSED);
    rmq_pull_consumer_free(consumer);
    rmq_pull_consumer_free(consumer);
    rmq_pull_consumer_free(NULL);
    consumer_answers(consumer, RMQ_E_HANDLE);
    consumer_answers(NULL, RMQ_E_HANDLE);
    rmq_queues_free(assigned);
    rmq_queues_free(queues);
    rmq_queues_free(queues);
    CHECK(rmq_queues_count(queues) == 0 && rmq_queues_data(queues) == NULL);
}

static void *blocked_poll(void *consumer)
{
    poll_ends((rmq_pull_consumer *)consumer, RMQ_E_CLOSED);
    return NULL;
}

static void subscriptions_are_polled(const struct pair *pair)
{
    int freed;
    for (freed = 0; freed < 2; freed++) {
        rmq_pull_consumer *consumer = start_pull(pair, "subscribed");
        pthread_t thread;
        CHECK_STATUS(rmq_pull_consumer_subscribe(consumer, "Pulled", "tag", RMQ_EXPRESSION_TAG,
                                                 NULL),
                     RMQ_OK);
        /* Nothing was committed by the first one. */
        take(consumer, COUNT);
        CHECK(pthread_create(&thread, NULL, blocked_poll, consumer) == 0);
        usleep(20 * 1000);
        if (!freed)
            CHECK_STATUS(rmq_pull_consumer_close(consumer, WAIT_MS, NULL), RMQ_OK);
        else
            rmq_pull_consumer_free(consumer);
        CHECK(pthread_join(thread, NULL) == 0);
        rmq_pull_consumer_free(consumer);
    }
}

static void forks_are_told(const struct pair *pair)
{
    rmq_pull_consumer *consumer = start_pull(pair, "forked");
    rmq_queues *queues = NULL;
    int status = -1;
    pid_t child;
    CHECK_STATUS(rmq_pull_consumer_queues(consumer, "Pulled", &queues, NULL), RMQ_OK);
    CHECK_STATUS(rmq_pull_consumer_assign(consumer, rmq_queues_data(queues), 2, NULL), RMQ_OK);
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        consumer_answers(consumer, RMQ_E_FORKED);
        CHECK(rmq_queues_count(queues) == 0 && rmq_queues_data(queues) == NULL);
        rmq_queues_free(queues);
        rmq_pull_consumer_free(consumer);
        /* The end that no checker of memory looks at. */
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    take(consumer, COUNT);
    rmq_queues_free(queues);
    rmq_pull_consumer_free(consumer);
}

int main(void)
{
    struct pair pair;
    rmq_producer *producer;
    long threads = count_entries("/proc/self/task");
    long descriptors = count_entries("/proc/self/fd");
    start_pair(&pair);
    producer = start_producer(&pair);
    send_numbered(producer, "Pulled", COUNT);
    rmq_producer_free(producer);
    assigned_queues_are_polled(&pair);
    subscriptions_are_polled(&pair);
    forks_are_told(&pair);
    end_pair(&pair);
    CHECK(threads_become(threads));
    CHECK(count_entries("/proc/self/fd") == descriptors);
    return 0;
}
