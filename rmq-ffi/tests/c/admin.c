/*
 * Administration and figures, and everything that a caller can do wrong with them: each answer is a
 * status, and nothing crashes, is printed or is left behind.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

#include "rmq.h"

#include "check.h"

enum { WAIT_MS = 20000, NAME_MAX_BYTES = 4096, ARGS_MAX_BYTES = 1 << 20, MESSAGES = 3 };

static const char TOPIC[] = "Orders", GROUP[] = "readers";

/* Whether an answer has a text in it; frees the answer. */
static int has(rmq_text *answer, const char *part)
{
    int found = strstr(rmq_text_data(answer), part) != NULL;
    CHECK(strlen(rmq_text_data(answer)) == rmq_text_len(answer));
    rmq_text_free(answer);
    return found;
}

static rmq_admin *start_admin(const char *nameservers)
{
    rmq_admin *admin = NULL;
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", nameservers, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "mqClientApiTimeout", "20000", NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_start(config, &admin, NULL), RMQ_OK);
    rmq_config_free(config);
    return admin;
}

static void starts_are_checked(void)
{
    rmq_admin *admin = NULL;
    rmq_error *error = NULL;
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_admin_start(NULL, &admin, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", "127.0.0.1:1", NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_start(config, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "producerGroup", "g", NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_start(config, &admin, &error), RMQ_E_INVALID);
    CHECK(strstr(rmq_error_message(error), "producerGroup") != NULL);
    rmq_error_free(error);
    rmq_config_free(config);
    CHECK_STATUS(rmq_admin_start(config, &admin, NULL), RMQ_E_HANDLE);
    CHECK(admin == NULL);
}

static void await_route(rmq_admin *admin)
{
    rmq_text *route = NULL;
    int tries;
    for (tries = 0; tries < 2000 && route == NULL; tries++) {
        rmq_status status = rmq_admin_route(admin, TOPIC, &route, NULL);
        CHECK(status == RMQ_OK || status == RMQ_E_NOT_FOUND);
        usleep(10 * 1000);
    }
    CHECK(route != NULL && has(route, "\"queueDatas\""));
}

static void send_messages(const char *nameservers)
{
    rmq_producer *producer = NULL;
    rmq_message *message = NULL;
    rmq_config *config = rmq_config_new();
    int i;
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", nameservers, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "sendMsgTimeout", "20000", NULL), RMQ_OK);
    CHECK_STATUS(rmq_producer_start(config, &producer, NULL), RMQ_OK);
    CHECK_STATUS(rmq_message_new(TOPIC, "x", 1, &message, NULL), RMQ_OK);
    for (i = 0; i < MESSAGES; i++)
        CHECK_STATUS(rmq_producer_send(producer, message, -1, NULL, NULL), RMQ_OK);
    rmq_message_free(message);
    rmq_producer_free(producer);
    rmq_config_free(config);
}

static void topics_groups_and_offsets(rmq_admin *admin, const char *nameservers, const char *broker)
{
    rmq_text *answer = NULL;
    int64_t offset = -7;
    CHECK_STATUS(rmq_admin_create_topic(admin, TOPIC, 1, NULL), RMQ_OK);
    await_route(admin);
    CHECK_STATUS(rmq_admin_cluster_list(admin, &answer, NULL), RMQ_OK);
    CHECK(has(answer, broker));
    send_messages(nameservers);
    CHECK_STATUS(rmq_admin_min_offset(admin, TOPIC, broker, 0, &offset, NULL), RMQ_OK);
    CHECK(offset == 0);
    CHECK_STATUS(rmq_admin_max_offset(admin, TOPIC, broker, 0, &offset, NULL), RMQ_OK);
    CHECK(offset == MESSAGES);
    CHECK_STATUS(rmq_admin_offset_at(admin, TOPIC, broker, 0, 0, &offset, NULL), RMQ_OK);
    CHECK(offset == 0);
    CHECK_STATUS(rmq_admin_create_group(admin, GROUP, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_committed_offset(admin, GROUP, TOPIC, broker, 0, &offset, NULL),
                 RMQ_E_NOT_FOUND);
    CHECK_STATUS(rmq_admin_commit_offset(admin, GROUP, TOPIC, broker, 0, 2, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_committed_offset(admin, GROUP, TOPIC, broker, 0, &offset, NULL), RMQ_OK);
    CHECK(offset == 2);
    CHECK_STATUS(rmq_admin_consumer_progress(admin, GROUP, TOPIC, &answer, NULL), RMQ_OK);
    CHECK(has(answer, "\"diffTotal\":1"));
    CHECK_STATUS(rmq_admin_consumer_progress(admin, GROUP, NULL, &answer, NULL), RMQ_OK);
    CHECK(has(answer, "\"diffTotal\":1"));
    CHECK_STATUS(rmq_admin_reset_offsets(admin, GROUP, TOPIC, 0, &answer, NULL), RMQ_OK);
    CHECK(has(answer, "\"offset\":0"));
    CHECK_STATUS(rmq_admin_reset_offsets(admin, GROUP, TOPIC, -1, NULL, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_invoke(admin, "topicStatus", "{\"topic\":\"Orders\"}", &answer, NULL),
                 RMQ_OK);
    CHECK(has(answer, "\"maxOffset\":3"));
    CHECK_STATUS(rmq_admin_invoke(admin, "topicList", NULL, NULL, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_delete_group(admin, GROUP, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_delete_topic(admin, TOPIC, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_max_offset(admin, "None", broker, 0, &offset, NULL), RMQ_E_NOT_FOUND);
}

/* Every function with NULL for each text and place that it needs. */
static void nothing_is_refused_as_such(rmq_admin *admin)
{
    rmq_text *answer = NULL;
    int64_t offset = -7;
    CHECK_STATUS(rmq_admin_invoke(admin, NULL, NULL, &answer, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_create_topic(admin, NULL, 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_create_topic(admin, TOPIC, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_create_topic(admin, TOPIC, INT32_MIN, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_delete_topic(admin, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_create_group(admin, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_delete_group(admin, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_min_offset(admin, NULL, "b", 0, &offset, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_max_offset(admin, TOPIC, NULL, 0, &offset, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_max_offset(admin, TOPIC, "b", 0, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_offset_at(admin, TOPIC, "b", 0, 0, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_committed_offset(admin, NULL, TOPIC, "b", 0, &offset, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_committed_offset(admin, GROUP, TOPIC, "b", 0, NULL, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_commit_offset(admin, NULL, TOPIC, "b", 0, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_reset_offsets(admin, NULL, TOPIC, 0, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_reset_offsets(admin, GROUP, NULL, 0, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_consumer_progress(admin, NULL, NULL, &answer, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_route(admin, NULL, &answer, NULL), RMQ_E_INVALID);
    CHECK(answer == NULL && offset == -7);
}

static void wrong_names_and_arguments(rmq_admin *admin)
{
    rmq_text *answer = NULL;
    rmq_error *error = NULL;
    char *name = (char *)malloc(NAME_MAX_BYTES + 2);
    char *arguments = (char *)malloc(ARGS_MAX_BYTES + 2);
    CHECK(name != NULL && arguments != NULL);
    memset(name, 'k', NAME_MAX_BYTES + 1);
    name[NAME_MAX_BYTES + 1] = '\0';
    memset(arguments, ' ', ARGS_MAX_BYTES + 1);
    arguments[ARGS_MAX_BYTES + 1] = '\0';
    CHECK_STATUS(rmq_admin_create_topic(admin, name, 1, NULL), RMQ_E_LIMIT);
    CHECK_STATUS(rmq_admin_create_topic(admin, name + NAME_MAX_BYTES - 127, 1, NULL),
                 RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_create_topic(admin, "a b", 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_create_topic(admin, "\xff", 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_create_group(admin, "", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_invoke(admin, name, NULL, &answer, NULL), RMQ_E_LIMIT);
    CHECK_STATUS(rmq_admin_invoke(admin, "topicList", arguments, &answer, NULL), RMQ_E_LIMIT);
    arguments[ARGS_MAX_BYTES] = '\0';
    CHECK_STATUS(rmq_admin_invoke(admin, "topicList", arguments, NULL, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_invoke(admin, "topiclist", "", &answer, &error), RMQ_E_INVALID);
    CHECK(strstr(rmq_error_message(error), "did you mean topicList") != NULL);
    rmq_error_free(error);
    CHECK_STATUS(rmq_admin_invoke(admin, "topicRoute", "[", &answer, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_invoke(admin, "topicRoute", "{}", &answer, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_invoke(admin, "topicRoute", "{\"topic\":{}}", &answer, NULL),
                 RMQ_E_INVALID);
    /* A name is a name, whatever JSON would make of it. */
    CHECK_STATUS(rmq_admin_route(admin, "T\",\"x\":\"\n", &answer, NULL), RMQ_E_NOT_FOUND);
    CHECK(answer == NULL);
    free(name);
    free(arguments);
}

static void refused(rmq_admin *admin, rmq_status wanted)
{
    rmq_text *answer = NULL;
    int64_t offset;
    CHECK_STATUS(rmq_admin_invoke(admin, "topicList", NULL, &answer, NULL), wanted);
    CHECK_STATUS(rmq_admin_create_topic(admin, TOPIC, 1, NULL), wanted);
    CHECK_STATUS(rmq_admin_delete_topic(admin, TOPIC, NULL), wanted);
    CHECK_STATUS(rmq_admin_create_group(admin, GROUP, NULL), wanted);
    CHECK_STATUS(rmq_admin_delete_group(admin, GROUP, NULL), wanted);
    CHECK_STATUS(rmq_admin_min_offset(admin, TOPIC, "b", 0, &offset, NULL), wanted);
    CHECK_STATUS(rmq_admin_max_offset(admin, TOPIC, "b", 0, &offset, NULL), wanted);
    CHECK_STATUS(rmq_admin_offset_at(admin, TOPIC, "b", 0, 0, &offset, NULL), wanted);
    CHECK_STATUS(rmq_admin_committed_offset(admin, GROUP, TOPIC, "b", 0, &offset, NULL), wanted);
    CHECK_STATUS(rmq_admin_commit_offset(admin, GROUP, TOPIC, "b", 0, 0, NULL), wanted);
    CHECK_STATUS(rmq_admin_reset_offsets(admin, GROUP, TOPIC, 0, NULL, NULL), wanted);
    CHECK_STATUS(rmq_admin_consumer_progress(admin, GROUP, NULL, &answer, NULL), wanted);
    CHECK_STATUS(rmq_admin_route(admin, TOPIC, &answer, NULL), wanted);
    CHECK_STATUS(rmq_admin_cluster_list(admin, &answer, NULL), wanted);
    CHECK(answer == NULL);
}

static void *blocked_question(void *user_data)
{
    rmq_text *answer = NULL;
    CHECK(rmq_admin_cluster_list((rmq_admin *)user_data, &answer, NULL) != RMQ_OK);
    CHECK(answer == NULL);
    return NULL;
}

static void figures_of_a_cluster(void)
{
    rmq_cluster *cluster = NULL;
    rmq_admin *admin;
    rmq_text *status = NULL;
    pthread_t thread;
    CHECK_STATUS(rmq_cluster_start(NULL, &cluster, NULL), RMQ_OK);
    CHECK_STATUS(rmq_cluster_status_json(cluster, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_status_json(NULL, &status, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_cluster_status_json(cluster, &status, NULL), RMQ_OK);
    CHECK(has(status, "\"role\":\"MASTER\""));
    /* A nameserver that takes connections and says nothing; a close ends the wait. */
    CHECK_STATUS(rmq_cluster_pause(cluster, "namesrv-0", NULL), RMQ_OK);
    admin = start_admin(rmq_cluster_nameservers(cluster));
    CHECK(pthread_create(&thread, NULL, blocked_question, admin) == 0);
    usleep(50 * 1000);
    CHECK_STATUS(rmq_admin_close(admin, NULL), RMQ_OK);
    CHECK(pthread_join(thread, NULL) == 0);
    rmq_admin_free(admin);
    CHECK_STATUS(rmq_cluster_close(cluster, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_cluster_status_json(cluster, &status, NULL), RMQ_E_CLOSED);
    rmq_cluster_free(cluster);
}

int main(void)
{
    rmq_namesrv *namesrv = NULL;
    rmq_broker *broker = NULL;
    rmq_admin *admin;
    rmq_text *figures = NULL;
    rmq_config *config = rmq_config_new();
    long threads = count_entries("/proc/self/task");
    long descriptors = count_entries("/proc/self/fd");
    starts_are_checked();
    CHECK_STATUS(rmq_namesrv_start(NULL, &namesrv, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(namesrv), NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "useServerSideResetOffset", "true", NULL), RMQ_OK);
    CHECK_STATUS(rmq_broker_start(config, &broker, NULL), RMQ_OK);
    rmq_config_free(config);
    admin = start_admin(rmq_namesrv_address(namesrv));
    topics_groups_and_offsets(admin, rmq_namesrv_address(namesrv), rmq_broker_name(broker));
    nothing_is_refused_as_such(admin);
    wrong_names_and_arguments(admin);
    CHECK_STATUS(rmq_broker_stats_json(broker, &figures, NULL), RMQ_OK);
    CHECK(has(figures, "\"putMessageTimesTotal\":\"3\""));
    CHECK_STATUS(rmq_broker_stats_json(broker, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_admin_close(admin, NULL), RMQ_OK);
    CHECK_STATUS(rmq_admin_close(admin, NULL), RMQ_OK);
    refused(admin, RMQ_E_CLOSED);
    rmq_admin_free(admin);
    rmq_admin_free(admin);
    rmq_admin_free(NULL);
    refused(admin, RMQ_E_HANDLE);
    refused(NULL, RMQ_E_HANDLE);
    CHECK_STATUS(rmq_admin_close(admin, NULL), RMQ_E_HANDLE);
    rmq_broker_free(broker);
    CHECK_STATUS(rmq_broker_stats_json(broker, &figures, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_broker_stats_json(NULL, &figures, NULL), RMQ_E_HANDLE);
    rmq_namesrv_free(namesrv);
    figures_of_a_cluster();
    CHECK(threads_become(threads));
    CHECK(count_entries("/proc/self/fd") == descriptors);
    return 0;
}
