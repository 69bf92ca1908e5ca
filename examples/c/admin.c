/* A topic is made, looked at and deleted; other commands of mqadmin by their names. */
#include "example.h"

int main(void)
{
    rmq_error *error = NULL;
    rmq_cluster *cluster = NULL;
    rmq_admin *admin = NULL;
    rmq_text *answer = NULL;
    rmq_config *config = rmq_config_new();

    check(rmq_cluster_start(NULL, &cluster, &error), error);
    check(rmq_config_set(config, "namesrvAddr", rmq_cluster_nameservers(cluster), &error), error);
    check(rmq_admin_start(config, &admin, &error), error);

    check(rmq_admin_create_topic(admin, "Books", 2, &error), error);
    check(rmq_admin_cluster_list(admin, &answer, &error), error);
    printf("clusters: %s\n", rmq_text_data(answer));
    rmq_text_free(answer);

    /* Arguments and answers are JSON; docs/ADMIN.md lists the commands. */
    check(rmq_admin_invoke(admin, "updateSubGroup", "{\"group\":\"readers\",\"retryMaxTimes\":3}",
                           NULL, &error),
          error);
    check(rmq_admin_invoke(admin, "getConsumerConfig", "{\"group\":\"readers\"}", &answer, &error),
          error);
    printf("group: %s\n", rmq_text_data(answer));
    if (strstr(rmq_text_data(answer), "\"retryMaxTimes\":3") == NULL)
        return 1;
    rmq_text_free(answer);

    check(rmq_admin_delete_group(admin, "readers", &error), error);
    check(rmq_admin_delete_topic(admin, "Books", &error), error);
    if (rmq_admin_route(admin, "Books", &answer, NULL) != RMQ_E_NOT_FOUND)
        return 1;
    printf("deleted\n");

    rmq_admin_free(admin);
    check(rmq_cluster_close(cluster, PATIENCE_MS, &error), error);
    rmq_cluster_free(cluster);
    rmq_config_free(config);
    return 0;
}
