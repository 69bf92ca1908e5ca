/* Prints the version of the library and of its binary interface. */
#include <stdio.h>

#include "rmq.h"

int main(void)
{
    printf("%s %u\n", rmq_version(), (unsigned)rmq_abi_version());
    return 0;
}
