/*
 * rmq: a RocketMQ nameserver, broker and client in one library.
 *
 * Every function may be called from any thread. No function writes to standard output, installs a
 * signal handler or changes the environment of its host.
 */

#ifndef RMQ_H
#define RMQ_H

/* Generated from rmq-ffi/src by cbindgen; `make bless` rewrites it. Do not edit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library, for example "0.1.0".
 *
 * @return A NUL-terminated string that lives as long as the library is loaded; never NULL. Do not
 * free it.
 */
const char *rmq_version(void);

/**
 * The version of the binary interface, which is the number in the name `librmq.so.N`.
 *
 * A program compiled against one number may call any later library of that same number.
 */
uint32_t rmq_abi_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* RMQ_H */
