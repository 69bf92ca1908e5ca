/* What the examples share: they end with what a failed call says. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmq.h"

enum { PATIENCE_MS = 20000 };

static void check(rmq_status status, rmq_error *error)
{
    if (status != RMQ_OK) {
        fprintf(stderr, "%s: %s\n", rmq_status_name(status), rmq_error_message(error));
        rmq_error_free(error);
        exit(1);
    }
}

#endif
