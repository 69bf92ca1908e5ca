/*
 * Asynchronous sends whose outcomes wait in a queue: exactly one for each send that was accepted,
 * told by a descriptor, whatever is closed or freed meanwhile.
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

enum { SENDS = 200, SHORT_MS = 200 };

static rmq_message *make_message(const char *topic)
{
    rmq_message *message = NULL;
    CHECK_STATUS(rmq_message_new(topic, "body", 4, &message, NULL), RMQ_OK);
    return message;
}

static void queue_answers(rmq_completion_queue *queue, rmq_producer *producer, rmq_status wanted)
{
    rmq_message *message = make_message("T");
    rmq_completion completion;
    size_t count = 7;
    CHECK_STATUS(rmq_completion_queue_poll(queue, &completion, 1, 0, &count, NULL), wanted);
    CHECK(count == 7 && rmq_completion_queue_fd(queue) == -1);
    rmq_completion_queue_wake(queue);
    CHECK_STATUS(rmq_producer_send_queued(producer, message, -1, queue, NULL, NULL), wanted);
    rmq_message_free(message);
}

static void arguments_are_checked(rmq_producer *producer)
{
    rmq_completion_queue *queue = rmq_completion_queue_new();
    rmq_message *message = make_message("T");
    rmq_completion completion;
    size_t count = 7;
    CHECK(queue != NULL);
    CHECK_STATUS(rmq_completion_queue_poll(queue, NULL, 1, 0, &count, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_completion_queue_poll(queue, &completion, 0, 0, &count, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_completion_queue_poll(queue, &completion, 1, 0, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_completion_queue_poll(queue, &completion, 1, -2, &count, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_completion_queue_poll(queue, &completion, 1, 1, &count, NULL), RMQ_OK);
    CHECK(count == 0);
    CHECK_STATUS(rmq_producer_send_queued(NULL, message, -1, queue, NULL, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_send_queued(producer, NULL, -1, queue, NULL, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_send_queued(producer, message, -1, NULL, NULL, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_producer_send_queued(producer, message, -2, queue, NULL, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_completion_queue_poll(queue, &completion, 1, SHORT_MS, &count, NULL), RMQ_OK);
    CHECK(count == 0);
    rmq_message_free(message);
    rmq_completion_queue_free(queue);
    rmq_completion_queue_free(queue);
    rmq_completion_queue_free(NULL);
    queue_answers(queue, producer, RMQ_E_HANDLE);
    queue_answers(NULL, producer, RMQ_E_HANDLE);
}

/* Takes an outcome for each of `seen`, which are told apart by where they point to. */
static int take(rmq_completion_queue *queue, char *seen, int wanted, rmq_status failed)
{
    struct pollfd watched;
    int taken = 0, errors = 0;
    watched.fd = rmq_completion_queue_fd(queue);
    watched.events = POLLIN;
    CHECK(watched.fd >= 0);
    while (taken < wanted) {
        rmq_completion completions[16];
        size_t count = 0, i;
        CHECK(poll(&watched, 1, WAIT_MS) == 1);
        CHECK_STATUS(rmq_completion_queue_poll(queue, completions, 16, 0, &count, NULL), RMQ_OK);
        for (i = 0; i < count; i++) {
            char *place = (char *)completions[i].user_data;
            CHECK(place >= seen && place < seen + wanted && (*place)++ == 0);
            CHECK((completions[i].result == NULL) != (completions[i].error == NULL));
            if (completions[i].result != NULL) {
                CHECK(rmq_send_result_status(completions[i].result) == RMQ_SEND_OK);
            } else {
                CHECK_STATUS(rmq_error_status(completions[i].error), failed);
                errors++;
            }
            rmq_send_result_free(completions[i].result);
            rmq_error_free(completions[i].error);
        }
        taken += (int)count;
    }
    CHECK(poll(&watched, 1, SHORT_MS) == 0);
    return errors;
}

static void send_all(rmq_producer *producer, const char *topic, rmq_completion_queue *queue,
                     char *seen, int count)
{
    rmq_message *message = make_message(topic);
    int i;
    for (i = 0; i < count; i++)
        CHECK_STATUS(rmq_producer_send_queued(producer, message, WAIT_MS, queue, seen + i, NULL),
                     RMQ_OK);
    rmq_message_free(message);
}

static void outcomes_come_once(rmq_producer *producer)
{
    static char seen[SENDS];
    rmq_completion_queue *queue = rmq_completion_queue_new();
    send_all(producer, "Sends", queue, seen, SENDS);
    CHECK(take(queue, seen, SENDS, RMQ_OK) == 0);
    rmq_completion_queue_free(queue);
}

/* The nameserver takes connections and says nothing. */
static void closed_producers_tell_too(void)
{
    static char seen[SENDS];
    rmq_cluster *cluster = NULL;
    rmq_config *config = rmq_config_new();
    rmq_producer *producer = NULL;
    rmq_completion_queue *queue = rmq_completion_queue_new();
    CHECK_STATUS(rmq_cluster_start(NULL, &cluster, NULL), RMQ_OK);
    CHECK_STATUS(rmq_cluster_pause(cluster, "namesrv-0", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_cluster_nameservers(cluster), NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "producerGroup", "c-test", NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_start(config, &producer, NULL), RMQ_OK);
    rmq_config_free(config);
    send_all(producer, "Nowhere", queue, seen, SENDS);
    CHECK_STATUS(rmq_producer_close(producer, 10, NULL), RMQ_OK);
    CHECK(take(queue, seen, SENDS, RMQ_E_CLOSED) == SENDS);
    rmq_producer_free(producer);
    rmq_completion_queue_free(queue);
    CHECK_STATUS(rmq_cluster_close(cluster, WAIT_MS, NULL), RMQ_OK);
    rmq_cluster_free(cluster);
}

static void *blocked_poll(void *queue)
{
    rmq_completion completion;
    size_t count = 7;
    CHECK_STATUS(
        rmq_completion_queue_poll((rmq_completion_queue *)queue, &completion, 1, -1, &count, NULL),
        RMQ_OK);
    CHECK(count == 0);
    CHECK_STATUS(
        rmq_completion_queue_poll((rmq_completion_queue *)queue, &completion, 1, -1, &count, NULL),
        RMQ_E_CLOSED);
    return NULL;
}

/* Freed while somebody waits and sends are under way. */
static void a_freed_queue_ends_polls(rmq_producer *producer)
{
    static char seen[SENDS];
    rmq_completion_queue *idle = rmq_completion_queue_new(), *used = rmq_completion_queue_new();
    struct pollfd watched;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, blocked_poll, idle) == 0);
    rmq_completion_queue_wake(idle);
    watched.fd = rmq_completion_queue_fd(idle);
    watched.events = POLLIN;
    while (poll(&watched, 1, 0) == 1)
        usleep(1000);
    usleep(20 * 1000);
    rmq_completion_queue_free(idle);
    CHECK(pthread_join(thread, NULL) == 0);
    send_all(producer, "Sends", used, seen, SENDS);
    rmq_completion_queue_free(used);
    CHECK_STATUS(rmq_producer_flush(producer, WAIT_MS, NULL), RMQ_OK);
}

static void forks_are_told(rmq_producer *producer)
{
    static char seen[SENDS];
    rmq_completion_queue *queue = rmq_completion_queue_new();
    int status = -1;
    pid_t child;
    send_all(producer, "Sends", queue, seen, SENDS);
    CHECK(rmq_completion_queue_fd(queue) >= 0);
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        rmq_completion completion;
        size_t count = 7;
        CHECK_STATUS(rmq_completion_queue_poll(queue, &completion, 1, 0, &count, NULL),
                     RMQ_E_FORKED);
        CHECK(rmq_completion_queue_fd(queue) == -1 && count == 7);
        rmq_completion_queue_wake(queue);
        rmq_completion_queue_free(queue);
        rmq_producer_free(producer);
        /* The end that no checker of memory looks at. */
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    CHECK(take(queue, seen, SENDS, RMQ_OK) == 0);
    rmq_completion_queue_free(queue);
}

int main(void)
{
    struct pair pair;
    rmq_producer *producer;
    long threads = count_entries("/proc/self/task");
    long descriptors = count_entries("/proc/self/fd");
    start_pair(&pair);
    producer = start_producer(&pair);
    arguments_are_checked(producer);
    outcomes_come_once(producer);
    a_freed_queue_ends_polls(producer);
    forks_are_told(producer);
    CHECK_STATUS(rmq_producer_close(producer, WAIT_MS, NULL), RMQ_OK);
    rmq_producer_free(producer);
    end_pair(&pair);
    closed_producers_tell_too();
    CHECK(threads_become(threads));
    CHECK(count_entries("/proc/self/fd") == descriptors);
    return 0;
}
