/*
 * Loads the library (argv[1]), has a nameserver, a broker, a producer and a push consumer work in
 * it, and unloads it: while they work and send, with nothing closed ("busy"), or after everything
 * was freed ("freed"). Either way the program goes on and ends well.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <unistd.h>

#include "rmq.h"

#include "check.h"

enum { COUNT = 200, WAIT_MS = 60000 };

/* Every function that is used; the program is not linked with the library. */
#define FUNCTIONS(X)                                                                        \
    X(rmq_config_new)                                                                       \
    X(rmq_config_set)                                                                       \
    X(rmq_config_free)                                                                      \
    X(rmq_namesrv_start)                                                                    \
    X(rmq_namesrv_address)                                                                  \
    X(rmq_namesrv_close)                                                                    \
    X(rmq_namesrv_free)                                                                     \
    X(rmq_broker_start)                                                                     \
    X(rmq_broker_close)                                                                     \
    X(rmq_broker_free)                                                                      \
    X(rmq_message_new)                                                                      \
    X(rmq_message_free)                                                                     \
    X(rmq_producer_start)                                                                   \
    X(rmq_producer_send_async)                                                              \
    X(rmq_producer_close)                                                                   \
    X(rmq_producer_free)                                                                    \
    X(rmq_push_consumer_new)                                                                \
    X(rmq_push_consumer_subscribe)                                                          \
    X(rmq_push_consumer_on_message)                                                         \
    X(rmq_push_consumer_start)                                                              \
    X(rmq_push_consumer_close)                                                              \
    X(rmq_push_consumer_free)

static struct {
#define POINTER(name) __typeof__(name) *name;
    FUNCTIONS(POINTER)
} rmq;

static struct counters {
    int sent, failed, received, destroyed;
} told;

static void add(int *counter, int more)
{
    __atomic_add_fetch(counter, more, __ATOMIC_SEQ_CST);
}

static int becomes(const int *counter, int wanted)
{
    int tries;
    for (tries = 0; tries < WAIT_MS / 10; tries++) {
        if (__atomic_load_n(counter, __ATOMIC_SEQ_CST) >= wanted)
            return 1;
        usleep(10 * 1000);
    }
    return 0;
}

static void *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    /* ISO C has no cast from an object to a function. */
#define FIND(name)                                                                          \
    {                                                                                       \
        void *symbol = dlsym(library, #name);                                               \
        CHECK(symbol != NULL);                                                              \
        memcpy(&rmq.name, &symbol, sizeof symbol);                                          \
    }
    FUNCTIONS(FIND)
    return library;
}

static void on_sent(void *user_data, const rmq_send_result *result, const rmq_error *error)
{
    struct counters *counters = (struct counters *)user_data;
    add(error == NULL && result != NULL ? &counters->sent : &counters->failed, 1);
}

static int32_t on_messages(void *user_data, rmq_received *const *messages, size_t count)
{
    (void)messages;
    add(&((struct counters *)user_data)->received, (int)count);
    return RMQ_CONSUME_OK;
}

static void on_destroy(void *user_data)
{
    add(&((struct counters *)user_data)->destroyed, 1);
}

struct all {
    rmq_namesrv *namesrv;
    rmq_broker *broker;
    rmq_producer *producer;
    rmq_push_consumer *consumer;
};

static void start(struct all *all)
{
    rmq_config *config = rmq.rmq_config_new();
    rmq_config *of_consumer = rmq.rmq_config_new();
    const char *address;
    CHECK(rmq.rmq_namesrv_start(NULL, &all->namesrv, NULL) == RMQ_OK);
    address = rmq.rmq_namesrv_address(all->namesrv);
    CHECK(rmq.rmq_config_set(config, "namesrvAddr", address, NULL) == RMQ_OK);
    CHECK(rmq.rmq_broker_start(config, &all->broker, NULL) == RMQ_OK);
    CHECK(rmq.rmq_config_set(config, "sendMsgTimeout", "20000", NULL) == RMQ_OK);
    CHECK(rmq.rmq_producer_start(config, &all->producer, NULL) == RMQ_OK);
    CHECK(rmq.rmq_config_set(of_consumer, "namesrvAddr", address, NULL) == RMQ_OK);
    CHECK(rmq.rmq_config_set(of_consumer, "consumerGroup", "unloaded", NULL) == RMQ_OK);
    CHECK(rmq.rmq_config_set(of_consumer, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", NULL)
          == RMQ_OK);
    CHECK(rmq.rmq_push_consumer_new(of_consumer, &all->consumer, NULL) == RMQ_OK);
    CHECK(rmq.rmq_push_consumer_subscribe(all->consumer, "T", "*", RMQ_EXPRESSION_TAG, NULL)
          == RMQ_OK);
    CHECK(rmq.rmq_push_consumer_on_message(all->consumer, on_messages, &told, on_destroy, NULL)
          == RMQ_OK);
    CHECK(rmq.rmq_push_consumer_start(all->consumer, RMQ_CONSUME_CONCURRENTLY, NULL) == RMQ_OK);
    rmq.rmq_config_free(config);
    rmq.rmq_config_free(of_consumer);
}

static void send_all(const struct all *all)
{
    int number;
    for (number = 0; number < COUNT; number++) {
        rmq_message *message = NULL;
        CHECK(rmq.rmq_message_new("T", "body", 4, &message, NULL) == RMQ_OK);
        CHECK(rmq.rmq_producer_send_async(all->producer, message, -1, on_sent, &told, NULL)
              == RMQ_OK);
        rmq.rmq_message_free(message);
    }
}

static void free_all(const struct all *all)
{
    CHECK(rmq.rmq_push_consumer_close(all->consumer, WAIT_MS, NULL) == RMQ_OK);
    CHECK(rmq.rmq_producer_close(all->producer, WAIT_MS, NULL) == RMQ_OK);
    CHECK(rmq.rmq_broker_close(all->broker, WAIT_MS, NULL) == RMQ_OK);
    CHECK(rmq.rmq_namesrv_close(all->namesrv, WAIT_MS, NULL) == RMQ_OK);
    rmq.rmq_push_consumer_free(all->consumer);
    rmq.rmq_producer_free(all->producer);
    rmq.rmq_broker_free(all->broker);
    rmq.rmq_namesrv_free(all->namesrv);
}

int main(int argc, char **argv)
{
    long threads = count_entries("/proc/self/task");
    long descriptors = count_entries("/proc/self/fd");
    int busy, round;
    CHECK(argc == 3);
    busy = strcmp(argv[2], "busy") == 0;
    CHECK(dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL);
    for (round = 1; round <= 2; round++) {
        struct all all;
        void *library = load(argv[1]);
        start(&all);
        send_all(&all);
        if (!busy) {
            CHECK(becomes(&told.received, round * COUNT));
            free_all(&all);
            CHECK(becomes(&told.destroyed, round));
        }
        CHECK(dlclose(library) == 0);
        if (busy) {
            /* Whoever works goes on: each message is acknowledged, and comes. */
            CHECK(becomes(&told.sent, round * COUNT));
            CHECK(becomes(&told.received, round * COUNT));
            CHECK(count_entries("/proc/self/task") > threads);
        } else {
            CHECK(threads_become(threads));
            CHECK(count_entries("/proc/self/fd") == descriptors);
        }
        CHECK(told.failed == 0);
    }
    return 0;
}
