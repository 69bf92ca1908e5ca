/* A nameserver and a broker in this process, and what the tests of consumers need of a producer. */
#ifndef PAIR_H
#define PAIR_H

#include <stdint.h>

#include "rmq.h"

#include "check.h"

/* A checker of memory makes everything slow. */
enum { WAIT_MS = 60000 };

struct pair {
    rmq_namesrv *namesrv;
    rmq_broker *broker;
};

static inline void start_pair(struct pair *pair)
{
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_namesrv_start(NULL, &pair->namesrv, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(pair->namesrv), NULL),
                 RMQ_OK);
    /* Retries come at once. */
    CHECK_STATUS(rmq_config_set(config, "messageDelayLevel", "0s 0s 0s 0s", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "defaultTopicQueueNums", "2", NULL), RMQ_OK);
    CHECK_STATUS(rmq_broker_start(config, &pair->broker, NULL), RMQ_OK);
    rmq_config_free(config);
}

static inline void end_pair(struct pair *pair)
{
    CHECK_STATUS(rmq_broker_close(pair->broker, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_namesrv_close(pair->namesrv, WAIT_MS, NULL), RMQ_OK);
    rmq_broker_free(pair->broker);
    rmq_namesrv_free(pair->namesrv);
}

static inline rmq_producer *start_producer(const struct pair *pair)
{
    rmq_producer *producer = NULL;
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(pair->namesrv), NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "producerGroup", "c-test", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "sendMsgTimeout", "20000", NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_start(config, &producer, NULL), RMQ_OK);
    rmq_config_free(config);
    return producer;
}

/* The configuration of a consumer that begins with the first message. */
static inline rmq_config *consumer_config(const struct pair *pair, const char *group)
{
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(pair->namesrv), NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "consumerGroup", group, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "suspendCurrentQueueTimeMillis", "10", NULL), RMQ_OK);
    return config;
}

/* Sends `count` messages with every byte value in the body, the number last. */
static inline void send_numbered(rmq_producer *producer, const char *topic, int count)
{
    unsigned char body[257];
    int i, number;
    for (i = 0; i < 256; i++)
        body[i] = (unsigned char)i;
    for (number = 0; number < count; number++) {
        rmq_message *message = NULL;
        body[256] = (unsigned char)number;
        CHECK_STATUS(rmq_message_new(topic, body, sizeof body, &message, NULL), RMQ_OK);
        CHECK_STATUS(rmq_message_set_tag(message, "tag", NULL), RMQ_OK);
        CHECK_STATUS(rmq_message_set_keys(message, "one two", NULL), RMQ_OK);
        CHECK_STATUS(rmq_message_set_property(message, "colour", "green", NULL), RMQ_OK);
        CHECK_STATUS(rmq_producer_send(producer, message, -1, NULL, NULL), RMQ_OK);
        rmq_message_free(message);
    }
}

/* The number of a message of `send_numbered`, after a look at the rest of its body. */
static inline int number_of(const rmq_received *message)
{
    const unsigned char *body = (const unsigned char *)rmq_received_body(message);
    int i;
    CHECK(body != NULL && rmq_received_body_len(message) == 257);
    for (i = 0; i < 256; i++)
        CHECK(body[i] == i);
    return body[256];
}

#endif
