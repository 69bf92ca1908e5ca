/*
 * Starts and stops a nameserver and a broker again and again (argv[1] times): threads, descriptors
 * and resident memory stay as they are after the first few.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <unistd.h>

#include "rmq.h"

#include "check.h"

enum { WARM_UP = 20, WAIT_MS = 20000, GROWTH_KIB_MAX = 6 * 1024 };

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL);
    CHECK(fscanf(file, "%ld %ld", &pages, &resident) == 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void cycle(int number)
{
    rmq_namesrv *namesrv = NULL;
    rmq_broker *broker = NULL;
    rmq_config *config = rmq_config_new();
    CHECK_STATUS(rmq_namesrv_start(NULL, &namesrv, NULL), RMQ_OK);
    CHECK_STATUS(rmq_config_set(config, "namesrvAddr", rmq_namesrv_address(namesrv), NULL),
                 RMQ_OK);
    CHECK_STATUS(rmq_broker_start(config, &broker, NULL), RMQ_OK);
    rmq_config_free(config);
    /* In order, by a crash, and by a crash of both. */
    if (number % 3 != 2)
        CHECK_STATUS(rmq_broker_close(broker, WAIT_MS, NULL), RMQ_OK);
    if (number % 3 == 0)
        CHECK_STATUS(rmq_namesrv_close(namesrv, WAIT_MS, NULL), RMQ_OK);
    rmq_broker_free(broker);
    rmq_namesrv_free(namesrv);
}

int main(int argc, char **argv)
{
    int cycles = argc > 1 ? atoi(argv[1]) : 100, number;
    long threads = count_entries("/proc/self/task"), descriptors, resident;
    for (number = 0; number < WARM_UP; number++)
        cycle(number);
    CHECK(threads_become(threads));
    descriptors = count_entries("/proc/self/fd");
    resident = resident_kib();
    for (number = 0; number < cycles; number++)
        cycle(number);
    CHECK(threads_become(threads));
    CHECK(count_entries("/proc/self/fd") == descriptors);
    printf("%d cycles, %ld KiB more\n", cycles, resident_kib() - resident);
    CHECK(resident_kib() - resident < GROWTH_KIB_MAX);
    return 0;
}
