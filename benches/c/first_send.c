/*
 * How long a nameserver and a broker in this process take from nothing to the first acknowledged
 * send, and what the two cost at rest. Against an installed release build:
 *
 *   make install PREFIX=/tmp/rmq
 *   PKG_CONFIG_PATH=/tmp/rmq/lib/pkgconfig
 *   gcc -O2 benches/c/first_send.c $(pkg-config --cflags --libs rmq) -o /tmp/first_send
 *   LD_LIBRARY_PATH=/tmp/rmq/lib /tmp/first_send 51
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rmq.h"

static void check(rmq_status status, rmq_error *error)
{
    if (status != RMQ_OK) {
        fprintf(stderr, "%s: %s\n", rmq_status_name(status), rmq_error_message(error));
        exit(1);
    }
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* A line of /proc/self/status in KiB. */
static long status_kib(const char *name)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtol(line + strlen(name) + 1, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kib;
}

struct pair {
    rmq_namesrv *namesrv;
    rmq_broker *broker;
    rmq_config *config;
};

static void start(struct pair *pair)
{
    rmq_error *error = NULL;
    pair->config = rmq_config_new();
    check(rmq_namesrv_start(NULL, &pair->namesrv, &error), error);
    check(rmq_config_set(pair->config, "namesrvAddr", rmq_namesrv_address(pair->namesrv), &error),
          error);
    check(rmq_broker_start(pair->config, &pair->broker, &error), error);
}

static void end(struct pair *pair)
{
    check(rmq_broker_close(pair->broker, 10000, NULL), NULL);
    check(rmq_namesrv_close(pair->namesrv, 10000, NULL), NULL);
    rmq_broker_free(pair->broker);
    rmq_namesrv_free(pair->namesrv);
    rmq_config_free(pair->config);
}

static int by_size(const void *left, const void *right)
{
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 51, round;
    double *started = malloc(sizeof(double) * (size_t)rounds);
    double *sent = malloc(sizeof(double) * (size_t)rounds);
    struct timespec rest = {3, 0};
    struct pair pair;
    long before = status_kib("VmRSS:"), anonymous = status_kib("RssAnon:");

    start(&pair);
    nanosleep(&rest, NULL);
    printf("idle pair: %ld KiB resident, %ld KiB of it anonymous; the process before: %ld, %ld\n",
           status_kib("VmRSS:"), status_kib("RssAnon:"), before, anonymous);
    end(&pair);

    for (round = 0; round < rounds; round++) {
        rmq_error *error = NULL;
        rmq_producer *producer = NULL;
        rmq_message *message = NULL;
        double begun = now_ms();
        start(&pair);
        started[round] = now_ms() - begun;
        check(rmq_producer_start(pair.config, &producer, &error), error);
        check(rmq_message_new("First", "hello", 5, &message, &error), error);
        check(rmq_producer_send(producer, message, 3000, NULL, &error), error);
        sent[round] = now_ms() - begun;
        rmq_message_free(message);
        check(rmq_producer_close(producer, 10000, &error), error);
        rmq_producer_free(producer);
        end(&pair);
    }
    qsort(started, (size_t)rounds, sizeof *started, by_size);
    qsort(sent, (size_t)rounds, sizeof *sent, by_size);
    printf("both accept: median %.1f ms, worst %.1f ms\n", started[rounds / 2],
           started[rounds - 1]);
    printf("first acknowledged send: median %.1f ms, worst %.1f ms, of %d rounds\n",
           sent[rounds / 2], sent[rounds - 1], rounds);
    free(started);
    free(sent);
    return 0;
}
