/* What the test programs share. A failed check says where and ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);    \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

#define CHECK_STATUS(call, wanted)                                                          \
    do {                                                                                    \
        rmq_status got_ = (call);                                                           \
        if (got_ != (wanted)) {                                                             \
            fprintf(stderr, "%s:%d: %s is %s, not %s\n", __FILE__, __LINE__, #call,         \
                    rmq_status_name(got_), rmq_status_name(wanted));                        \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

/* Entries of a folder such as /proc/self/fd; the one that reads it counts too. */
static inline long count_entries(const char *folder)
{
    long count = 0;
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* Whether this process has so many threads; one that was joined may be listed a moment longer. */
static inline int threads_become(long expected)
{
    const struct timespec pause = {0, 10 * 1000 * 1000};
    int tries;
    for (tries = 0; tries < 1000; tries++) {
        if (count_entries("/proc/self/task") == expected)
            return 1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

#endif
