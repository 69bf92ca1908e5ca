/* Loads the library (argv[1]), runs a nameserver in it and unloads it, again and again. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>

#include "rmq.h"

#include "check.h"

typedef rmq_status (*start_fn)(const rmq_config *, rmq_namesrv **, rmq_error **);
typedef rmq_status (*close_fn)(rmq_namesrv *, int64_t, rmq_error **);
typedef void (*free_fn)(rmq_namesrv *);

/* ISO C has no cast from an object to a function. */
static void find(void *library, const char *name, void *function, size_t size)
{
    void *symbol = dlsym(library, name);
    CHECK(symbol != NULL && size == sizeof symbol);
    memcpy(function, &symbol, size);
}

int main(int argc, char **argv)
{
    int number;
    long threads = count_entries("/proc/self/task");
    CHECK(argc == 2);
    CHECK(dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) == NULL);
    for (number = 0; number < 30; number++) {
        rmq_namesrv *namesrv = NULL;
        start_fn start;
        close_fn close_it;
        free_fn free_it;
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL);
        find(library, "rmq_namesrv_start", &start, sizeof start);
        find(library, "rmq_namesrv_close", &close_it, sizeof close_it);
        find(library, "rmq_namesrv_free", &free_it, sizeof free_it);
        CHECK(start(NULL, &namesrv, NULL) == 0);
        /* Also with a server that still runs: its threads must not lose their code. */
        if (number != 17) {
            CHECK(close_it(namesrv, 20000, NULL) == 0);
            free_it(namesrv);
        }
        CHECK(dlclose(library) == 0);
    }
    CHECK(count_entries("/proc/self/task") > threads);
    return 0;
}
