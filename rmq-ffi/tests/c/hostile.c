/*
 * Everything that a caller can do wrong: each answer is a status, and nothing crashes, is printed
 * or is left behind.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rmq.h"

#include "check.h"

enum { SIGNALS = 32, NAME_MAX_BYTES = 4096, VALUE_MAX_BYTES = 65536, WAIT_MS = 20000 };

static void read_handlers(struct sigaction *handlers)
{
    int number;
    memset(handlers, 0, SIGNALS * sizeof *handlers);
    for (number = 1; number < SIGNALS; number++)
        CHECK(sigaction(number, NULL, &handlers[number]) == 0);
}

static char *text_of(size_t length)
{
    char *text = (char *)malloc(length + 1);
    CHECK(text != NULL);
    memset(text, 'k', length);
    text[length] = '\0';
    return text;
}

static void errors_tell(void)
{
    rmq_error *error = NULL;
    CHECK_STATUS(rmq_config_set(NULL, "a", "b", &error), RMQ_E_HANDLE);
    CHECK(error != NULL);
    CHECK(rmq_error_status(error) == RMQ_E_HANDLE);
    CHECK(rmq_error_broker_code(error) == -1);
    CHECK(!rmq_error_is_retriable(error) && rmq_error_is_fatal(error));
    CHECK(strstr(rmq_error_message(error), "rmq_config") != NULL);
    rmq_error_free(error);
    /* Freed, and then NULL: every question has an answer. */
    CHECK(rmq_error_status(error) == RMQ_E_HANDLE);
    CHECK(strcmp(rmq_error_message(error), "no error") == 0);
    rmq_error_free(error);
    rmq_error_free(NULL);
    CHECK(rmq_error_status(NULL) == RMQ_E_HANDLE && rmq_error_broker_code(NULL) == -1);
    CHECK(strcmp(rmq_error_message(NULL), "no error") == 0);
    CHECK(!rmq_error_is_retriable(NULL) && !rmq_error_is_fatal(NULL));
    CHECK(strcmp(rmq_status_name(RMQ_E_TIMEOUT), "RMQ_E_TIMEOUT") == 0);
    CHECK(strcmp(rmq_status_name(-7), "unknown") == 0);
    CHECK(strcmp(rmq_status_name(INT32_MAX), "unknown") == 0);
}

static void configurations_check_their_keys(void)
{
    size_t length = 77;
    char small[3];
    char *name = text_of(NAME_MAX_BYTES), *long_name = text_of(NAME_MAX_BYTES + 1);
    char *value = text_of(VALUE_MAX_BYTES), *long_value = text_of(VALUE_MAX_BYTES + 1);
    rmq_config *config = rmq_config_new();
    rmq_error *error = NULL;
    CHECK(config != NULL);
    CHECK_STATUS(rmq_config_set(config, NULL, "b", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "a", NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "", "b", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "\xff\xfe", "b", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, "a", "\xc3(", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_set(config, long_name, "b", NULL), RMQ_E_LIMIT);
    CHECK_STATUS(rmq_config_set(config, "a", long_value, NULL), RMQ_E_LIMIT);
    CHECK_STATUS(rmq_config_set(config, name, value, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_load(config, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_load(config, "", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_load(NULL, "/dev/null", NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_config_load(config, "/dev/null", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_load(config, "/nowhere/broker.conf", &error), RMQ_E_NOT_FOUND);
    CHECK(strstr(rmq_error_message(error), "/nowhere/broker.conf") != NULL);
    rmq_error_free(error);
    CHECK_STATUS(rmq_config_get(NULL, "a", NULL, 0, &length, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_config_get(config, NULL, NULL, 0, &length, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_get(config, "a", NULL, 0, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_config_get(config, "a", NULL, 0, &length, NULL), RMQ_E_NOT_FOUND);
    CHECK(length == 77);
    CHECK_STATUS(rmq_config_set(config, "a", "value", NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_get(config, "a", small, sizeof small, &length, NULL), RMQ_OK);
    CHECK(length == 5 && strcmp(small, "va") == 0);
    CHECK_STATUS(rmq_config_get(config, "a", small, 0, &length, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_get(config, "a", NULL, 9, &length, NULL), RMQ_OK);
    rmq_config_free(config);
    CHECK_STATUS(rmq_config_set(config, "a", "b", NULL), RMQ_E_HANDLE);
    rmq_config_free(config);
    rmq_config_free(NULL);
    free(name);
    free(long_name);
    free(value);
    free(long_value);
}

static void starts_check_their_configuration(void)
{
    rmq_error *error = NULL;
    rmq_namesrv *namesrv = NULL;
    rmq_broker *broker = NULL;
    rmq_cluster *cluster = NULL;
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_config_set(config, "listenPrt", "0", NULL), RMQ_OK);
    CHECK_STATUS(rmq_namesrv_start(config, &namesrv, &error), RMQ_E_INVALID);
    CHECK(strstr(rmq_error_message(error), "listenPrt (did you mean listenPort?)") != NULL);
    rmq_error_free(error);
    CHECK_STATUS(rmq_broker_start(config, &broker, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_start(config, &cluster, NULL), RMQ_E_INVALID);
    rmq_config_free(config);
    CHECK_STATUS(rmq_namesrv_start(config, &namesrv, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_broker_start(config, &broker, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_cluster_start(config, &cluster, NULL), RMQ_E_HANDLE);
    config = rmq_config_new();
    CHECK_STATUS(rmq_config_set(config, "listenPort", "many", NULL), RMQ_OK);
    CHECK_STATUS(rmq_namesrv_start(config, &namesrv, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_broker_start(config, &broker, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_start(config, &cluster, NULL), RMQ_E_INVALID);
    rmq_config_free(config);
    config = rmq_config_new();
    CHECK_STATUS(rmq_config_set(config, "rmq.cluster.deployment", "TRIANGLE", NULL), RMQ_OK);
    CHECK_STATUS(rmq_cluster_start(config, &cluster, &error), RMQ_E_INVALID);
    CHECK(strstr(rmq_error_message(error), "SYNC_DOUBLE_WRITE") != NULL);
    rmq_error_free(error);
    rmq_config_free(config);
    CHECK_STATUS(rmq_namesrv_start(NULL, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_broker_start(NULL, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_start(NULL, NULL, NULL), RMQ_E_INVALID);
    CHECK(namesrv == NULL && broker == NULL && cluster == NULL);
}

/* A nameserver and a broker for the questions that need live ones. */
static void start_pair(rmq_namesrv **namesrv, rmq_broker **broker)
{
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_namesrv_start(NULL, namesrv, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(*namesrv), NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_broker_start(config, broker, NULL), RMQ_OK);
    rmq_config_free(config);
}

static void servers_survive_misuse(void)
{
    rmq_namesrv *namesrv = NULL;
    rmq_broker *broker = NULL;
    rmq_error *error = NULL;
    int again;
    start_pair(&namesrv, &broker);
    CHECK(rmq_namesrv_port(namesrv) != 0 && rmq_broker_port(broker) != 0);
    CHECK(strncmp(rmq_broker_address(broker), "127.0.0.1:", 10) == 0);
    CHECK(rmq_broker_name(broker) != NULL);
    CHECK_STATUS(rmq_namesrv_close(namesrv, -2, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_broker_close(broker, INT64_MIN, NULL), RMQ_E_INVALID);
    /* One of another type. */
    CHECK_STATUS(rmq_namesrv_close((rmq_namesrv *)(void *)broker, 0, NULL), RMQ_E_HANDLE);
    CHECK(rmq_broker_port((rmq_broker *)(void *)namesrv) == 0);
    rmq_cluster_free((rmq_cluster *)(void *)namesrv);
    for (again = 0; again < 2; again++) {
        CHECK_STATUS(rmq_broker_close(broker, WAIT_MS, &error), RMQ_OK);
        CHECK_STATUS(rmq_namesrv_close(namesrv, WAIT_MS, &error), RMQ_OK);
        CHECK(error == NULL);
    }
    CHECK_STATUS(rmq_broker_kill(broker, NULL), RMQ_OK);
    CHECK(rmq_namesrv_port(namesrv) != 0);
    for (again = 0; again < 2; again++) {
        rmq_broker_free(broker);
        rmq_namesrv_free(namesrv);
        CHECK_STATUS(rmq_broker_close(broker, WAIT_MS, NULL), RMQ_E_HANDLE);
        CHECK_STATUS(rmq_broker_kill(broker, NULL), RMQ_E_HANDLE);
        CHECK_STATUS(rmq_namesrv_close(namesrv, WAIT_MS, NULL), RMQ_E_HANDLE);
        CHECK(rmq_namesrv_address(namesrv) == NULL && rmq_namesrv_port(namesrv) == 0);
        CHECK(rmq_broker_address(broker) == NULL && rmq_broker_name(broker) == NULL);
    }
    /* Free without close is a crash of the server, not of the host. */
    start_pair(&namesrv, &broker);
    rmq_namesrv_free(namesrv);
    rmq_broker_free(broker);
    CHECK_STATUS(rmq_namesrv_close(NULL, 0, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_broker_close(NULL, 0, NULL), RMQ_E_HANDLE);
    CHECK_STATUS(rmq_broker_kill(NULL, NULL), RMQ_E_HANDLE);
    CHECK(rmq_namesrv_address(NULL) == NULL && rmq_namesrv_port(NULL) == 0);
    CHECK(rmq_broker_address(NULL) == NULL && rmq_broker_port(NULL) == 0);
    CHECK(rmq_broker_name(NULL) == NULL);
    rmq_namesrv_free(NULL);
    rmq_broker_free(NULL);
}

typedef rmq_status (*member_call)(rmq_cluster *, const char *, rmq_error **);

static const member_call MEMBER_CALLS[] = {
    rmq_cluster_kill, rmq_cluster_start_member, rmq_cluster_wipe, rmq_cluster_pause,
    rmq_cluster_resume,
};
enum { MEMBER_CALL_COUNT = sizeof MEMBER_CALLS / sizeof MEMBER_CALLS[0] };

/* Every function of a cluster with arguments that are right, on one that cannot take them. */
static void cluster_refuses(rmq_cluster *cluster, rmq_status wanted)
{
    bool running = false;
    int i;
    for (i = 0; i < MEMBER_CALL_COUNT; i++)
        CHECK_STATUS(MEMBER_CALLS[i](cluster, "broker-a", NULL), wanted);
    CHECK_STATUS(rmq_cluster_close_member(cluster, "broker-a", 0, NULL), wanted);
    CHECK_STATUS(rmq_cluster_restart(cluster, "broker-a", 0, NULL), wanted);
    CHECK_STATUS(rmq_cluster_is_running(cluster, "broker-a", &running, NULL), wanted);
    CHECK_STATUS(rmq_cluster_partition(cluster, "broker-a|clients", NULL), wanted);
    CHECK_STATUS(rmq_cluster_cut(cluster, "broker-a", "clients", NULL), wanted);
    CHECK_STATUS(rmq_cluster_heal(cluster, NULL), wanted);
    CHECK_STATUS(rmq_cluster_reset(cluster, NULL), wanted);
    CHECK_STATUS(rmq_cluster_advance(cluster, 1, NULL), wanted);
    CHECK_STATUS(rmq_cluster_await_ready(cluster, 0, NULL), wanted);
    CHECK_STATUS(rmq_cluster_await_replicated(cluster, 0, NULL), wanted);
}

static void clusters_survive_misuse(void)
{
    char *long_name = text_of(NAME_MAX_BYTES + 1);
    rmq_cluster *cluster = NULL;
    bool running = false;
    int i;
    CHECK_STATUS(rmq_cluster_start(NULL, &cluster, NULL), RMQ_OK);
    for (i = 0; i < MEMBER_CALL_COUNT; i++) {
        CHECK_STATUS(MEMBER_CALLS[i](cluster, NULL, NULL), RMQ_E_INVALID);
        CHECK_STATUS(MEMBER_CALLS[i](cluster, "", NULL), RMQ_E_INVALID);
        CHECK_STATUS(MEMBER_CALLS[i](cluster, "broker-z", NULL), RMQ_E_NOT_FOUND);
        CHECK_STATUS(MEMBER_CALLS[i](cluster, long_name, NULL), RMQ_E_LIMIT);
    }
    CHECK_STATUS(rmq_cluster_is_running(cluster, NULL, &running, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_is_running(cluster, "broker-a", NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_close_member(cluster, NULL, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_close_member(cluster, "broker-a", -2, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_restart(cluster, NULL, 0, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_restart(cluster, "broker-a", -9, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_partition(cluster, NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_partition(cluster, "nobody|clients", NULL), RMQ_E_NOT_FOUND);
    CHECK_STATUS(rmq_cluster_partition(cluster, "|,|,", NULL), RMQ_OK);
    CHECK_STATUS(rmq_cluster_cut(cluster, NULL, "clients", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_cut(cluster, "clients", NULL, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_cut(cluster, "clients", long_name, NULL), RMQ_E_LIMIT);
    CHECK_STATUS(rmq_cluster_advance(cluster, 1, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_start_member(cluster, "broker-a", NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_await_ready(cluster, -3, NULL), RMQ_E_INVALID);
    CHECK(rmq_cluster_member_name(cluster, (size_t)-1) == NULL);
    CHECK(rmq_cluster_member_address(cluster, NULL) == NULL);
    CHECK(rmq_cluster_member_address(cluster, "nobody") == NULL);
    CHECK_STATUS(rmq_cluster_close(cluster, -2, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_cluster_close(cluster, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_cluster_close(cluster, WAIT_MS, NULL), RMQ_OK);
    cluster_refuses(cluster, RMQ_E_CLOSED);
    CHECK(rmq_cluster_nameservers(cluster) != NULL);
    rmq_cluster_free(cluster);
    rmq_cluster_free(cluster);
    cluster_refuses(cluster, RMQ_E_HANDLE);
    cluster_refuses(NULL, RMQ_E_HANDLE);
    CHECK_STATUS(rmq_cluster_close(NULL, 0, NULL), RMQ_E_HANDLE);
    CHECK(rmq_cluster_nameservers(NULL) == NULL && rmq_cluster_member_count(NULL) == 0);
    CHECK(rmq_cluster_member_name(NULL, 0) == NULL);
    CHECK(rmq_cluster_member_address(NULL, "broker-a") == NULL);
    rmq_cluster_free(NULL);
    free(long_name);
}

struct told {
    rmq_namesrv *namesrv;
    int lines, deadlocks, destroyed;
};

static void on_line(void *user_data, int32_t level, const char *target, size_t target_len,
                    const char *message, size_t message_len)
{
    struct told *told = (struct told *)user_data;
    CHECK(level >= RMQ_LOG_ERROR && level <= RMQ_LOG_TRACE);
    CHECK(target != NULL && target_len > 0 && message != NULL && message_len > 0);
    __atomic_add_fetch(&told->lines, 1, __ATOMIC_SEQ_CST);
    /* A close from a callback could wait for this very thread. */
    if (rmq_namesrv_close(told->namesrv, -1, NULL) == RMQ_E_WOULD_DEADLOCK)
        __atomic_add_fetch(&told->deadlocks, 1, __ATOMIC_SEQ_CST);
}

static void on_destroy(void *user_data)
{
    __atomic_add_fetch(&((struct told *)user_data)->destroyed, 1, __ATOMIC_SEQ_CST);
}

static void logs_go_to_the_callback(void)
{
    static struct told told, other;
    rmq_namesrv *namesrv = NULL;
    rmq_broker *broker = NULL;
    int lines;
    CHECK_STATUS(rmq_log_set(on_line, &other, on_destroy, 6, NULL), RMQ_E_INVALID);
    CHECK_STATUS(rmq_log_set(NULL, &other, on_destroy, -1, NULL), RMQ_E_INVALID);
    CHECK(other.destroyed == 2);
    CHECK_STATUS(rmq_namesrv_start(NULL, &told.namesrv, NULL), RMQ_OK);
    CHECK_STATUS(rmq_log_set(on_line, &told, on_destroy, RMQ_LOG_TRACE, NULL), RMQ_OK);
    start_pair(&namesrv, &broker);
    CHECK_STATUS(rmq_broker_close(broker, WAIT_MS, NULL), RMQ_OK);
    CHECK(told.lines > 0 && told.deadlocks == told.lines && told.destroyed == 0);
    CHECK_STATUS(rmq_log_set(NULL, NULL, NULL, RMQ_LOG_OFF, NULL), RMQ_OK);
    CHECK(told.destroyed == 1);
    lines = told.lines;
    rmq_broker_free(broker);
    rmq_namesrv_free(namesrv);
    rmq_namesrv_free(told.namesrv);
    CHECK(told.lines == lines && told.destroyed == 1);
    CHECK(strcmp(rmq_log_level_name(RMQ_LOG_WARN), "WARN") == 0);
    CHECK(strcmp(rmq_log_level_name(77), "unknown") == 0);
}

/* What a child inherits answers that it is not its own; what it starts itself works. */
static void forks_are_told(void)
{
    rmq_namesrv *namesrv = NULL, *own = NULL;
    rmq_broker *broker = NULL;
    rmq_cluster *cluster = NULL;
    rmq_config *config = rmq_config_new();
    int status = -1;
    pid_t child;
    start_pair(&namesrv, &broker);
    CHECK_STATUS(rmq_cluster_start(NULL, &cluster, NULL), RMQ_OK);
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_STATUS(rmq_namesrv_close(namesrv, 0, NULL), RMQ_E_FORKED);
        CHECK_STATUS(rmq_broker_close(broker, 0, NULL), RMQ_E_FORKED);
        CHECK_STATUS(rmq_broker_kill(broker, NULL), RMQ_E_FORKED);
        CHECK_STATUS(rmq_config_set(config, "a", "b", NULL), RMQ_E_FORKED);
        CHECK_STATUS(rmq_cluster_close(cluster, 0, NULL), RMQ_E_FORKED);
        cluster_refuses(cluster, RMQ_E_FORKED);
        CHECK(rmq_namesrv_address(namesrv) == NULL && rmq_broker_port(broker) == 0);
        rmq_cluster_free(cluster);
        rmq_broker_free(broker);
        rmq_namesrv_free(namesrv);
        rmq_config_free(config);
        CHECK_STATUS(rmq_namesrv_start(NULL, &own, NULL), RMQ_OK);
        CHECK_STATUS(rmq_namesrv_close(own, WAIT_MS, NULL), RMQ_OK);
        rmq_namesrv_free(own);
        /* The end that no checker of memory looks at: the parent's threads are not here to own
           what is theirs. */
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* The child has done no harm. */
    CHECK_STATUS(rmq_cluster_await_ready(cluster, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_cluster_close(cluster, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_broker_close(broker, WAIT_MS, NULL), RMQ_OK);
    CHECK_STATUS(rmq_namesrv_close(namesrv, WAIT_MS, NULL), RMQ_OK);
    rmq_cluster_free(cluster);
    rmq_broker_free(broker);
    rmq_namesrv_free(namesrv);
    rmq_config_free(config);
}

int main(void)
{
    static struct sigaction before[SIGNALS], after[SIGNALS];
    long threads, descriptors;
    int number;
    read_handlers(before);
    errors_tell();
    configurations_check_their_keys();
    threads = count_entries("/proc/self/task");
    descriptors = count_entries("/proc/self/fd");
    starts_check_their_configuration();
    servers_survive_misuse();
    clusters_survive_misuse();
    logs_go_to_the_callback();
    forks_are_told();
    CHECK(threads_become(threads));
    CHECK(count_entries("/proc/self/fd") == descriptors);
    read_handlers(after);
    for (number = 1; number < SIGNALS; number++)
        CHECK(before[number].sa_handler == after[number].sa_handler);
    return 0;
}
