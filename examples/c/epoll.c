/*
 * One event loop for everything: epoll says when messages wait and when sends have an outcome, and
 * nothing here blocks but epoll_wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>
#include <unistd.h>

#include "rmq.h"

enum { COUNT = 100, PATIENCE_MS = 30000 };

static void check(rmq_status status, rmq_error *error)
{
    if (status != RMQ_OK) {
        fprintf(stderr, "%s: %s\n", rmq_status_name(status), rmq_error_message(error));
        exit(1);
    }
}

static void watch(int loop, int fd)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (fd < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) != 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

static rmq_config *keys(const rmq_cluster *cluster, const char *group_key, const char *group)
{
    rmq_error *error = NULL;
    rmq_config *config = rmq_config_new();
    check(rmq_config_set(config, "namesrvAddr", rmq_cluster_nameservers(cluster), &error), error);
    check(rmq_config_set(config, group_key, group, &error), error);
    return config;
}

static rmq_push_consumer *start_consumer(const rmq_cluster *cluster)
{
    rmq_error *error = NULL;
    rmq_push_consumer *consumer = NULL;
    rmq_config *config = keys(cluster, "consumerGroup", "loop");
    check(rmq_config_set(config, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", &error), error);
    check(rmq_push_consumer_new(config, &consumer, &error), error);
    check(rmq_push_consumer_subscribe(consumer, "Demo", "*", RMQ_EXPRESSION_TAG, &error), error);
    check(rmq_push_consumer_start(consumer, RMQ_CONSUME_CONCURRENTLY, &error), error);
    rmq_config_free(config);
    return consumer;
}

static void send_all(rmq_producer *producer, rmq_completion_queue *outcomes)
{
    rmq_error *error = NULL;
    int number;
    for (number = 0; number < COUNT; number++) {
        rmq_message *message = NULL;
        char body[32];
        int length = snprintf(body, sizeof body, "message %d", number);
        check(rmq_message_new("Demo", body, (size_t)length, &message, &error), error);
        check(rmq_producer_send_queued(producer, message, -1, outcomes, NULL, &error), error);
        rmq_message_free(message);
    }
}

static int take_outcomes(rmq_completion_queue *outcomes)
{
    rmq_error *error = NULL;
    rmq_completion done[16];
    size_t count = 0, i;
    check(rmq_completion_queue_poll(outcomes, done, 16, 0, &count, &error), error);
    for (i = 0; i < count; i++) {
        check(done[i].error == NULL ? RMQ_OK : rmq_error_status(done[i].error), done[i].error);
        rmq_send_result_free(done[i].result);
    }
    return (int)count;
}

static int take_messages(rmq_push_consumer *consumer)
{
    rmq_error *error = NULL;
    rmq_received *messages[16];
    size_t count = 0, i;
    check(rmq_push_consumer_poll(consumer, messages, 16, 0, &count, &error), error);
    for (i = 0; i < count; i++) {
        /* One that was freed without an answer would come again. */
        check(rmq_received_ack(messages[i], &error), error);
        rmq_received_free(messages[i]);
    }
    return (int)count;
}

int main(void)
{
    rmq_error *error = NULL;
    rmq_cluster *cluster = NULL;
    rmq_producer *producer = NULL;
    rmq_push_consumer *consumer;
    rmq_completion_queue *outcomes = rmq_completion_queue_new();
    rmq_config *config;
    int loop = epoll_create1(EPOLL_CLOEXEC), sent = 0, consumed = 0;

    check(rmq_cluster_start(NULL, &cluster, &error), error);
    config = keys(cluster, "producerGroup", "demo");
    check(rmq_producer_start(config, &producer, &error), error);
    rmq_config_free(config);
    consumer = start_consumer(cluster);
    watch(loop, rmq_push_consumer_fd(consumer));
    watch(loop, rmq_completion_queue_fd(outcomes));
    send_all(producer, outcomes);
    while (sent < COUNT || consumed < COUNT) {
        struct epoll_event event;
        if (epoll_wait(loop, &event, 1, PATIENCE_MS) != 1) {
            fprintf(stderr, "nothing came\n");
            return 1;
        }
        if (event.data.fd == rmq_push_consumer_fd(consumer))
            consumed += take_messages(consumer);
        else
            sent += take_outcomes(outcomes);
    }
    printf("%d sent, %d of %d consumed\n", sent, consumed, COUNT);

    close(loop);
    check(rmq_push_consumer_close(consumer, 10000, &error), error);
    check(rmq_producer_close(producer, 10000, &error), error);
    check(rmq_cluster_close(cluster, 10000, &error), error);
    rmq_push_consumer_free(consumer);
    rmq_producer_free(producer);
    rmq_completion_queue_free(outcomes);
    rmq_cluster_free(cluster);
    return 0;
}
