/*
 * Rate and latency of the C client: sends that wait, one after the other; asynchronous sends with
 * so many in flight; and messages pushed to a consumer. benches/client.sh runs it beside the same
 * program in Java.
 *
 *   client NAMESRV TOPIC SECONDS BODY_BYTES IN_FLIGHT
 */
#define _POSIX_C_SOURCE 200809L
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rmq.h"

enum { SAMPLES_MAX = 8 << 20, CLOSE_MS = 30000, CONSUME_LIMIT_S = 120 };

static void check(rmq_status status, rmq_error *error)
{
    if (status != RMQ_OK) {
        fprintf(stderr, "%s: %s\n", rmq_status_name(status), rmq_error_message(error));
        exit(1);
    }
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Latencies in us; several threads add to them. */
struct samples {
    float *values;
    long count, failures;
};

static void add(struct samples *samples, double us)
{
    long at = __atomic_fetch_add(&samples->count, 1, __ATOMIC_RELAXED);
    if (at < SAMPLES_MAX)
        samples->values[at] = (float)us;
}

static int by_size(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static void report(const char *row, struct samples *samples, double us)
{
    long kept = samples->count < SAMPLES_MAX ? samples->count : SAMPLES_MAX;
    if (kept == 0) {
        printf("%s 0 0 0 %ld\n", row, samples->failures);
        return;
    }
    qsort(samples->values, (size_t)kept, sizeof *samples->values, by_size);
    printf("%s %.0f %.0f %.0f %ld\n", row, (double)samples->count * 1e6 / us,
           (double)samples->values[kept / 2], (double)samples->values[kept * 99 / 100],
           samples->failures);
    samples->count = samples->failures = 0;
}

static double send_waiting(rmq_producer *producer, const rmq_message *message, double seconds,
                           struct samples *samples)
{
    double begun = now_us(), sent = begun, end = begun + seconds * 1e6;
    while (sent < end) {
        double before = sent;
        if (rmq_producer_send(producer, message, -1, NULL, NULL) != RMQ_OK)
            samples->failures++;
        sent = now_us();
        add(samples, sent - before);
    }
    return sent - begun;
}

struct slot {
    sem_t *free;
    struct samples *samples;
    double begun;
};

static void on_sent(void *user_data, const rmq_send_result *result, const rmq_error *error)
{
    struct slot *slot = user_data;
    (void)result;
    if (error != NULL)
        __atomic_add_fetch(&slot->samples->failures, 1, __ATOMIC_RELAXED);
    else
        add(slot->samples, now_us() - slot->begun);
    sem_post(slot->free);
    free(slot);
}

static double send_in_flight(rmq_producer *producer, const rmq_message *message, double seconds,
                             unsigned in_flight, struct samples *samples)
{
    sem_t free;
    unsigned left;
    double begun = now_us(), end = begun + seconds * 1e6;
    sem_init(&free, 0, in_flight);
    while (now_us() < end) {
        rmq_error *error = NULL;
        struct slot *slot = malloc(sizeof *slot);
        sem_wait(&free);
        slot->free = &free;
        slot->samples = samples;
        slot->begun = now_us();
        check(rmq_producer_send_async(producer, message, -1, on_sent, slot, &error), error);
    }
    for (left = 0; left < in_flight; left++)
        sem_wait(&free);
    end = now_us();
    /* The last callback may still be at its sem_post. */
    check(rmq_producer_flush(producer, -1, NULL), NULL);
    sem_destroy(&free);
    return end - begun;
}

struct taken {
    long count, wanted;
    double first, last;
    sem_t all;
};

static int32_t on_messages(void *user_data, rmq_received *const *messages, size_t count)
{
    struct taken *taken = user_data;
    size_t i, bytes = 0;
    long sum;
    for (i = 0; i < count; i++)
        bytes += rmq_received_body_len(messages[i]);
    if (bytes == 0)
        return RMQ_CONSUME_LATER;
    sum = __atomic_add_fetch(&taken->count, (long)count, __ATOMIC_SEQ_CST);
    if (sum == (long)count)
        taken->first = now_us();
    if (sum >= taken->wanted && sum - (long)count < taken->wanted) {
        taken->last = now_us();
        sem_post(&taken->all);
    }
    return RMQ_CONSUME_OK;
}

static void consume(rmq_config *config, const char *topic, long wanted)
{
    rmq_error *error = NULL;
    rmq_push_consumer *consumer = NULL;
    struct taken taken = {0, wanted, 0, 0, {{0}}};
    struct timespec limit;
    sem_init(&taken.all, 0, 0);
    check(rmq_config_set(config, "consumerGroup", topic, &error), error);
    check(rmq_config_set(config, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", &error), error);
    check(rmq_config_set(config, "consumeMessageBatchMaxSize", "32", &error), error);
    check(rmq_push_consumer_new(config, &consumer, &error), error);
    check(rmq_push_consumer_subscribe(consumer, topic, "*", RMQ_EXPRESSION_TAG, &error), error);
    check(rmq_push_consumer_on_message(consumer, on_messages, &taken, NULL, &error), error);
    check(rmq_push_consumer_start(consumer, RMQ_CONSUME_CONCURRENTLY, &error), error);
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += CONSUME_LIMIT_S;
    if (sem_timedwait(&taken.all, &limit) != 0) {
        fprintf(stderr, "%ld of %ld messages came\n", taken.count, wanted);
        exit(1);
    }
    printf("push %.0f 0 0 0\n", (double)wanted * 1e6 / (taken.last - taken.first));
    check(rmq_push_consumer_close(consumer, CLOSE_MS, &error), error);
    rmq_push_consumer_free(consumer);
    sem_destroy(&taken.all);
}

int main(int argc, char **argv)
{
    rmq_error *error = NULL;
    rmq_producer *producer = NULL;
    rmq_message *message = NULL;
    rmq_config *config = rmq_config_new();
    struct samples samples = {0};
    double seconds, us;
    unsigned in_flight;
    long stored;
    size_t body_bytes;
    char *body;

    if (argc != 6) {
        fprintf(stderr, "usage: client NAMESRV TOPIC SECONDS BODY_BYTES IN_FLIGHT\n");
        return 2;
    }
    seconds = atof(argv[3]);
    body_bytes = strtoul(argv[4], NULL, 10);
    in_flight = (unsigned)atoi(argv[5]);
    body = malloc(body_bytes);
    samples.values = malloc(sizeof *samples.values * SAMPLES_MAX);
    memset(body, 'x', body_bytes);
    check(rmq_config_set(config, "namesrvAddr", argv[1], &error), error);
    check(rmq_producer_start(config, &producer, &error), error);
    check(rmq_message_new(argv[2], body, body_bytes, &message, &error), error);

    /* The first half warms up. */
    send_waiting(producer, message, seconds / 2, &samples);
    stored = samples.count - samples.failures;
    samples.count = samples.failures = 0;
    us = send_waiting(producer, message, seconds, &samples);
    stored += samples.count - samples.failures;
    report("sync", &samples, us);
    send_in_flight(producer, message, seconds / 2, in_flight, &samples);
    stored += samples.count;
    samples.count = samples.failures = 0;
    us = send_in_flight(producer, message, seconds, in_flight, &samples);
    stored += samples.count;
    report("async", &samples, us);
    consume(config, argv[2], stored);

    rmq_message_free(message);
    check(rmq_producer_close(producer, CLOSE_MS, &error), error);
    rmq_producer_free(producer);
    rmq_config_free(config);
    free(samples.values);
    free(body);
    return 0;
}
