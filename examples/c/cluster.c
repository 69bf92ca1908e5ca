/* Two masters in this process, one of which is killed and comes back: sends go on without it. */
#include <stdio.h>
#include <stdlib.h>

#include "rmq.h"

static void check(rmq_status status, rmq_error *error)
{
    if (status != RMQ_OK) {
        fprintf(stderr, "%s: %s\n", rmq_status_name(status), rmq_error_message(error));
        rmq_error_free(error);
        exit(1);
    }
}

/* Sends some messages; how many were acknowledged. */
static int send_some(rmq_producer *producer, const rmq_message *message, int count)
{
    int sent, acknowledged = 0;
    for (sent = 0; sent < count; sent++)
        acknowledged += rmq_producer_send(producer, message, 3000, NULL, NULL) == RMQ_OK;
    return acknowledged;
}

int main(void)
{
    rmq_error *error = NULL;
    rmq_cluster *cluster = NULL;
    rmq_producer *producer = NULL;
    rmq_message *message = NULL;
    rmq_config *config = rmq_config_new();
    size_t i;

    check(rmq_config_set(config, "rmq.cluster.deployment", "MASTERS", &error), error);
    check(rmq_config_set(config, "rmq.cluster.masters", "2", &error), error);
    check(rmq_cluster_start(config, &cluster, &error), error);
    rmq_config_free(config);
    for (i = 0; i < rmq_cluster_member_count(cluster); i++) {
        const char *name = rmq_cluster_member_name(cluster, i);
        printf("%-12s %s\n", name, rmq_cluster_member_address(cluster, name));
    }

    config = rmq_config_new();
    check(rmq_config_set(config, "namesrvAddr", rmq_cluster_nameservers(cluster), &error), error);
    check(rmq_producer_start(config, &producer, &error), error);
    rmq_config_free(config);
    check(rmq_message_new("Demo", "some bytes", 10, &message, &error), error);

    printf("%d of 100 acknowledged\n", send_some(producer, message, 100));
    check(rmq_cluster_kill(cluster, "broker-a", &error), error);
    printf("%d of 100 acknowledged without broker-a\n", send_some(producer, message, 100));
    check(rmq_cluster_start_member(cluster, "broker-a", &error), error);
    check(rmq_cluster_await_ready(cluster, 10000, &error), error);
    printf("%d of 100 acknowledged with it\n", send_some(producer, message, 100));

    rmq_message_free(message);
    check(rmq_producer_close(producer, 10000, &error), error);
    check(rmq_cluster_close(cluster, 10000, &error), error);
    rmq_producer_free(producer);
    rmq_cluster_free(cluster);
    return 0;
}
