/*
 * rmq: a RocketMQ nameserver, broker and client in one library.
 *
 * Rules that hold for every function:
 *
 * - Any thread may call it, also at the same time as others on the same handle.
 * - It writes to no standard stream, installs no signal handler and leaves the environment of its
 *   host alone.
 * - Results are stored on RMQ_OK only. An error object is stored where the last parameter says:
 *   NULL after success, else an object that the caller frees. That parameter may be NULL.
 * - A handle that is NULL, was freed, or is of another type answers RMQ_E_HANDLE, a closed one
 *   RMQ_E_CLOSED, and one that a forked child inherited RMQ_E_FORKED. Freeing NULL, or the same
 *   handle twice, does nothing. What a child starts itself is its own.
 * - Texts are UTF-8. What is handed in is copied before the function returns; what is handed out
 *   belongs to the library and lives as long as its comment says.
 * - A timeout is in milliseconds: 0 does not wait, -1 waits for as long as it takes.
 * - Functions that may wait answer RMQ_E_WOULD_DEADLOCK when a callback of the library calls them.
 * - Once loaded the library stays loaded; after the last handle was freed it has no thread and no
 *   descriptor.
 */

#ifndef RMQ_H
#define RMQ_H

/* Generated from rmq-ffi/src by cbindgen; `make bless` rewrites it. Do not edit. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Nothing is told.
 */
#define RMQ_LOG_OFF 0

/**
 * Something failed and a person should look.
 */
#define RMQ_LOG_ERROR 1

/**
 * Something is not as it should be; the library goes on.
 */
#define RMQ_LOG_WARN 2

/**
 * Starts, ends, elections: what an operator wants to find later.
 */
#define RMQ_LOG_INFO 3

/**
 * What a developer of a client wants to know.
 */
#define RMQ_LOG_DEBUG 4

/**
 * Everything.
 */
#define RMQ_LOG_TRACE 5

/**
 * Stored as safely as the broker promises.
 */
#define RMQ_SEND_OK 0

/**
 * Stored, but not flushed in time.
 */
#define RMQ_SEND_FLUSH_DISK_TIMEOUT 1

/**
 * Stored, but not replicated in time.
 */
#define RMQ_SEND_FLUSH_SLAVE_TIMEOUT 2

/**
 * Stored, but there is no slave to replicate to.
 */
#define RMQ_SEND_SLAVE_NOT_AVAILABLE 3

/**
 * A running broker. Any thread may use it at any time; it is freed by `rmq_broker_free`.
 */
typedef struct rmq_broker rmq_broker;

/**
 * A running cluster: nameservers and brokers, each at a loopback address of its own, that can be
 * killed, paused, wiped, cut off and started again. Any thread may use it at any time; it is freed
 * by `rmq_cluster_free`.
 *
 * Members are named "namesrv-0", "broker-a" (a master), "broker-a-s" (its slave), "broker-a-s2"
 * (its second). In partitions "clients" stands for whoever connects from 127.0.0.1.
 */
typedef struct rmq_cluster rmq_cluster;

/**
 * Keys and values, as in Apache's properties files. Any thread may use it at any time.
 */
typedef struct rmq_config rmq_config;

/**
 * What went wrong. It does not change, so every thread may read it; who got it frees it.
 */
typedef struct rmq_error rmq_error;

/**
 * A message that can be sent, once or many times. Any thread may use it at any time; who made it
 * frees it, also while it is being sent.
 */
typedef struct rmq_message rmq_message;

/**
 * A running nameserver. Any thread may use it at any time; it is freed by `rmq_namesrv_free`.
 */
typedef struct rmq_namesrv rmq_namesrv;

/**
 * Sends messages to a cluster. Any thread may use it at any time; it is freed by
 * `rmq_producer_free`. All producers of a process share one event loop and a few threads, which
 * end with the last of them.
 */
typedef struct rmq_producer rmq_producer;

/**
 * What became of a message. It does not change, so every thread may read it.
 */
typedef struct rmq_send_result rmq_send_result;

/**
 * How a call went: `RMQ_OK` or one of the `RMQ_E_` numbers. Later libraries may add numbers.
 */
typedef int32_t rmq_status;

/**
 * Takes one line of the log. It is called on any thread, also on several at once, and must not
 * wait: functions that may wait answer `RMQ_E_WOULD_DEADLOCK` to it. What the library would log
 * meanwhile on the same thread is dropped.
 *
 * @param user_data What was given with the callback.
 * @param level `RMQ_LOG_ERROR` to `RMQ_LOG_TRACE`.
 * @param target The part of the library, UTF-8 of `target_len` bytes, not NUL-terminated; valid
 * during the call.
 * @param message The line without an end of line, UTF-8 of `message_len` bytes, not
 * NUL-terminated; valid during the call.
 */
typedef void (*rmq_log_cb)(void *user_data,
                           int32_t level,
                           const char *target,
                           size_t target_len,
                           const char *message,
                           size_t message_len);

/**
 * Releases the user data of a callback: called once, after the last call of that callback has
 * ended, on the thread that ended it.
 */
typedef void (*rmq_destroy_cb)(void *user_data);

/**
 * Takes the outcome of an asynchronous send. It is called exactly once for each send that was
 * accepted, on a thread of the library. It may send more with the asynchronous functions;
 * functions that may wait answer `RMQ_E_WOULD_DEADLOCK` to it. A slow one delays those of other
 * sends.
 *
 * @param user_data What was given with the callback.
 * @param result What became of the message, or NULL; valid during the call, not to be freed.
 * @param error What went wrong, or NULL; valid during the call, not to be freed. Exactly one of
 * the two is NULL.
 */
typedef void (*rmq_send_cb)(void *user_data,
                            const struct rmq_send_result *result,
                            const struct rmq_error *error);

/**
 * The call did what it says.
 */
#define RMQ_OK 0

/**
 * An argument or a configuration value is not usable.
 */
#define RMQ_E_INVALID 1

/**
 * A handle is NULL, was freed, or is one of another type.
 */
#define RMQ_E_HANDLE 2

/**
 * The handle was closed.
 */
#define RMQ_E_CLOSED 3

/**
 * The handle belongs to the parent of this forked process.
 */
#define RMQ_E_FORKED 4

/**
 * No answer, or no end, within the time allowed.
 */
#define RMQ_E_TIMEOUT 5

/**
 * A queue or window is full, or descriptors have run out; try later.
 */
#define RMQ_E_BUSY 6

/**
 * A limit of the configuration, of the protocol or of this interface was exceeded.
 */
#define RMQ_E_LIMIT 7

/**
 * The thing asked for does not exist.
 */
#define RMQ_E_NOT_FOUND 8

/**
 * The operating system refused a read, write, sync or map.
 */
#define RMQ_E_IO 9

/**
 * No space is left on the device.
 */
#define RMQ_E_DISK_FULL 10

/**
 * The store stopped taking writes after an earlier failure; start the broker again.
 */
#define RMQ_E_READ_ONLY 11

/**
 * Stored or received bytes do not decode.
 */
#define RMQ_E_CORRUPT 12

/**
 * The address is already bound by another socket.
 */
#define RMQ_E_ADDRESS_IN_USE 13

/**
 * The file or address is not accessible to this user.
 */
#define RMQ_E_PERMISSION 14

/**
 * Another process or handle holds the store.
 */
#define RMQ_E_LOCKED 15

/**
 * The peer could not be reached, or the connection broke.
 */
#define RMQ_E_UNREACHABLE 16

/**
 * The peer refused; `rmq_error_broker_code` has RocketMQ's response code.
 */
#define RMQ_E_BROKER 17

/**
 * A defect in rmq itself, for example a panic that was caught.
 */
#define RMQ_E_INTERNAL 18

/**
 * A callback called a function that may wait for that callback.
 */
#define RMQ_E_WOULD_DEADLOCK 19

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Starts a broker on threads of its own: it recovers its store, listens, and registers with the
 * nameservers that it is told of. It accepts requests when this returns.
 *
 * Without keys it listens on free ports of 127.0.0.1, knows no nameserver and stores in a
 * temporary folder that is removed when the handle is freed. Files are small; none is deleted
 * before its time because the disk is full.
 *
 * @param config Keys of Apache's broker.conf, above all "namesrvAddr" and "storePathRootDir"; NULL
 * for the defaults. Only read.
 * @param out Where to store the broker; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value), `RMQ_E_ADDRESS_IN_USE`,
 * `RMQ_E_LOCKED` (another broker has the store), `RMQ_E_CORRUPT`, `RMQ_E_PERMISSION`,
 * `RMQ_E_DISK_FULL`, `RMQ_E_IO` and what else the host's system refuses.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_broker_start(const struct rmq_config *config,
                            struct rmq_broker **out,
                            struct rmq_error **error);

/**
 * The name of a broker, which its master and its slaves share.
 *
 * @param broker A broker, closed or not.
 * @return A NUL-terminated text that lives until the broker is freed, not to be freed; NULL if
 * `broker` is NULL, was freed, or belongs to the parent of this process.
 */
const char *rmq_broker_name(const struct rmq_broker *broker);

/**
 * Where a broker listens, as nameservers and clients are told, for example "127.0.0.1:10911".
 *
 * @param broker A broker, closed or not.
 * @return A NUL-terminated text that lives until the broker is freed, not to be freed; NULL if
 * `broker` is NULL, was freed, or belongs to the parent of this process.
 */
const char *rmq_broker_address(const struct rmq_broker *broker);

/**
 * The port that a broker listens on.
 *
 * @param broker A broker, closed or not.
 * @return The port; 0 if `broker` is NULL, was freed, or belongs to the parent of this process.
 */
uint16_t rmq_broker_port(const struct rmq_broker *broker);

/**
 * Stops a broker in order: nothing that was received is lost, nameservers are told, its threads
 * end and its ports are free. A second call does nothing
 * and succeeds. The handle stays valid until it is freed.
 *
 * @param broker A broker.
 * @param timeout_ms How long the end may take; -1 for as long as it takes. What has not ended
 * then is stopped hard.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_INVALID` for a timeout below -1, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_broker_close(struct rmq_broker *broker,
                            int64_t timeout_ms,
                            struct rmq_error **error);

/**
 * Stops a broker as a crash would: nothing is flushed, written or unregistered. What it
 * acknowledged under SYNC_FLUSH is found by the next start on the same folder. A broker that does
 * not run is left alone.
 *
 * @param broker A broker.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_broker_kill(struct rmq_broker *broker, struct rmq_error **error);

/**
 * Frees a broker; one that was not closed is stopped as a crash would. Calls of other threads
 * that are under way end as if it was still there.
 *
 * @param broker A broker; NULL, or one that was freed, is left alone. In a forked child
 * nothing is done to what belongs to the parent.
 */
void rmq_broker_free(struct rmq_broker *broker);

/**
 * Starts a cluster. When this returns every broker is registered with every nameserver, and every
 * slave is in sync with its master.
 *
 * Keys of the configuration: "rmq.cluster.deployment" (SINGLE_MASTER, MASTERS, ASYNC_SLAVES,
 * SYNC_DOUBLE_WRITE), "rmq.cluster.masters", "rmq.cluster.slavesEach", "rmq.cluster.nameservers",
 * "rmq.cluster.storage" (TEMPORARY, MEMORY, or the path of a folder), "rmq.cluster.clock" (SYSTEM,
 * MANUAL), "rmq.member.NAME.KEY" for a key of one member; all others are keys of every broker, as
 * in Apache's broker.conf.
 *
 * @param config Keys; NULL for one nameserver and one master in a temporary folder. Only read.
 * @param out Where to store the cluster; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no cluster), `RMQ_E_TIMEOUT`
 * (the members did not find each other; all are gone then), and as `rmq_broker_start`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_start(const struct rmq_config *config,
                             struct rmq_cluster **out,
                             struct rmq_error **error);

/**
 * The nameservers as clients take them, for example "127.70.1.1:9876;127.70.1.2:9876".
 *
 * @param cluster A cluster, closed or not.
 * @return A NUL-terminated text that lives until the cluster is freed, not to be freed; NULL if
 * `cluster` is NULL, was freed, or belongs to the parent of this process.
 */
const char *rmq_cluster_nameservers(const struct rmq_cluster *cluster);

/**
 * How many members a cluster has, running or not.
 *
 * @param cluster A cluster, closed or not.
 * @return The number; 0 if `cluster` is NULL, was freed, or belongs to the parent of this process.
 */
size_t rmq_cluster_member_count(const struct rmq_cluster *cluster);

/**
 * The name of a member.
 *
 * @param cluster A cluster, closed or not.
 * @param index From 0: nameservers first, a master before its slaves.
 * @return A NUL-terminated text that lives until the cluster is freed, not to be freed; NULL if
 * there is no such member, or `cluster` is NULL, was freed, or belongs to the parent of this
 * process.
 */
const char *rmq_cluster_member_name(const struct rmq_cluster *cluster, size_t index);

/**
 * Where clients reach a member; the same for its whole life, whether it runs or not.
 *
 * @param cluster A cluster, closed or not.
 * @param member A NUL-terminated name of at most 4,096 bytes, or NULL.
 * @return A NUL-terminated text that lives until the cluster is freed, not to be freed; NULL if
 * there is no such member, or `cluster` is NULL, was freed, or belongs to the parent of this
 * process.
 *
 * # Safety
 * As the parameters say.
 */
const char *rmq_cluster_member_address(const struct rmq_cluster *cluster, const char *member);

/**
 * Whether a member runs.
 *
 * @param cluster A cluster.
 * @param member A NUL-terminated name of at most 4,096 bytes.
 * @param out Where to store the answer; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_is_running(const struct rmq_cluster *cluster,
                                  const char *member,
                                  bool *out,
                                  struct rmq_error **error);

/**
 * Ends a member as a crash would: nothing is flushed, answered or unregistered; its connections
 * break. A member that does not run is left alone.
 *
 * @param cluster A cluster.
 * @param member A NUL-terminated name of at most 4,096 bytes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_kill(struct rmq_cluster *cluster,
                            const char *member,
                            struct rmq_error **error);

/**
 * Starts a member on what it stored before, at the address and port that it had. It accepts
 * requests when this returns; `rmq_cluster_await_ready` waits until the others know it.
 * `RMQ_E_INVALID`: it runs.
 *
 * @param cluster A cluster.
 * @param member A NUL-terminated name of at most 4,096 bytes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_start_member(struct rmq_cluster *cluster,
                                    const char *member,
                                    struct rmq_error **error);

/**
 * Ends a member in order. One that does not run is left alone.
 *
 * @param cluster A cluster.
 * @param member A NUL-terminated name of at most 4,096 bytes.
 * @param timeout_ms How long the end may take; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`,
 * `RMQ_E_CLOSED`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_close_member(struct rmq_cluster *cluster,
                                    const char *member,
                                    int64_t timeout_ms,
                                    struct rmq_error **error);

/**
 * Ends a member in order if it runs, and starts it again.
 *
 * @param cluster A cluster.
 * @param member A NUL-terminated name of at most 4,096 bytes.
 * @param timeout_ms How long the end may take; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`,
 * `RMQ_E_CLOSED`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_restart(struct rmq_cluster *cluster,
                               const char *member,
                               int64_t timeout_ms,
                               struct rmq_error **error);

/**
 * Kills a member, if it runs, and removes everything it stored: its disk is gone.
 *
 * @param cluster A cluster.
 * @param member A NUL-terminated name of at most 4,096 bytes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_wipe(struct rmq_cluster *cluster,
                            const char *member,
                            struct rmq_error **error);

/**
 * Stops a member's traffic, both ways: to everybody else it looks like a process that was stopped.
 * Its connections stay, and what is sent to it waits.
 *
 * @param cluster A cluster.
 * @param member A NUL-terminated name of at most 4,096 bytes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_pause(struct rmq_cluster *cluster,
                             const char *member,
                             struct rmq_error **error);

/**
 * Lets a paused member go on where it was.
 *
 * @param cluster A cluster.
 * @param member A NUL-terminated name of at most 4,096 bytes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_resume(struct rmq_cluster *cluster,
                              const char *member,
                              struct rmq_error **error);

/**
 * Divides the network: whoever shares no group does not see each other, in place of all cuts that
 * were there before. Whoever is in no group belongs to one more, with the others that are in none;
 * whoever is in several groups bridges them. Nothing is closed: what is sent across waits.
 *
 * @param cluster A cluster.
 * @param groups A NUL-terminated text of at most 4,096 bytes: names with commas between them,
 * groups with bars between them, for example "broker-a,clients|broker-b".
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`,
 * `RMQ_E_CLOSED`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_partition(struct rmq_cluster *cluster,
                                 const char *groups,
                                 struct rmq_error **error);

/**
 * Keeps what one member sends from another, besides what is cut already; the other direction stays
 * as it is.
 *
 * @param cluster A cluster.
 * @param from The sender's NUL-terminated name, at most 4,096 bytes.
 * @param to The receiver's.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`,
 * `RMQ_E_CLOSED`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_cut(struct rmq_cluster *cluster,
                           const char *from,
                           const char *to,
                           struct rmq_error **error);

/**
 * Ends every partition and cut. Paused members stay paused.
 *
 * @param cluster A cluster.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_heal(struct rmq_cluster *cluster, struct rmq_error **error);

/**
 * Makes the cluster new: every member is killed, all that was stored is removed, the network is
 * healed, and everybody starts again at the address they had. Clients may stay as they are.
 *
 * @param cluster A cluster.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_IO`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_reset(struct rmq_cluster *cluster, struct rmq_error **error);

/**
 * Moves the clock of every member forward: a message whose delay has passed then is delivered.
 * Timeouts and heartbeats are not disturbed. The cluster was started with "rmq.cluster.clock" set
 * to MANUAL, else this is `RMQ_E_INVALID`.
 *
 * @param cluster A cluster.
 * @param by_ms Milliseconds.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_advance(struct rmq_cluster *cluster,
                               uint64_t by_ms,
                               struct rmq_error **error);

/**
 * Waits until every broker is registered with every nameserver, and every slave is in sync with
 * its master. Members that do not run or are paused are not waited for.
 *
 * @param cluster A cluster.
 * @param timeout_ms How long to wait; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT` (its message says who is missing), `RMQ_E_INVALID`,
 * `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_await_ready(struct rmq_cluster *cluster,
                                   int64_t timeout_ms,
                                   struct rmq_error **error);

/**
 * Waits until every slave has what its master's log and its table of topics hold now. Members that
 * do not run or are paused are not waited for.
 *
 * @param cluster A cluster.
 * @param timeout_ms How long to wait; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT` (its message says who lacks what), `RMQ_E_INVALID`,
 * `RMQ_E_HANDLE`, `RMQ_E_CLOSED`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_await_replicated(struct rmq_cluster *cluster,
                                        int64_t timeout_ms,
                                        struct rmq_error **error);

/**
 * Closes every member in order, brokers before nameservers, and removes temporary storage. A
 * second call does nothing and succeeds. The handle stays valid until it is freed.
 *
 * @param cluster A cluster.
 * @param timeout_ms How long the end may take; -1 for as long as it takes. What has not ended then
 * is killed.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_INVALID` for a timeout below -1, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_cluster_close(struct rmq_cluster *cluster,
                             int64_t timeout_ms,
                             struct rmq_error **error);

/**
 * Frees a cluster; members that were not closed are killed. Calls of other threads that are under
 * way end as if it was still there.
 *
 * @param cluster A cluster; NULL, or one that was freed, is left alone. In a forked child nothing
 * is done to what belongs to the parent.
 */
void rmq_cluster_free(struct rmq_cluster *cluster);

/**
 * Makes a configuration without keys. Everything has a default, so none is needed for a start.
 *
 * @return A configuration to be freed with `rmq_config_free`; NULL only after a defect of rmq.
 */
struct rmq_config *rmq_config_new(void);

/**
 * Sets a key. Whether a server has such a key, and whether the value is allowed, is told when the
 * server is started: an unknown key is an error there that names the one which may be meant.
 *
 * @param config A configuration.
 * @param key A NUL-terminated text of 1 to 4,096 bytes, for example "brokerName"; copied.
 * @param value A NUL-terminated text of at most 65,536 bytes; copied.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_INVALID`, `RMQ_E_LIMIT` or `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_config_set(struct rmq_config *config,
                          const char *key,
                          const char *value,
                          struct rmq_error **error);

/**
 * Reads a file in the format of Java's properties, such as Apache's broker.conf. Its keys are set
 * over those that are there; nothing is set when it cannot be read.
 *
 * @param config A configuration.
 * @param path A NUL-terminated path of 1 to 4,096 bytes, UTF-8.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_PERMISSION`, `RMQ_E_IO`, or as `rmq_config_set`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_config_load(struct rmq_config *config, const char *path, struct rmq_error **error);

/**
 * Whether a key is set, and the length of its value.
 *
 * @param config A configuration.
 * @param key A NUL-terminated text of 1 to 4,096 bytes.
 * @param buffer NULL, or where to write the value with a NUL behind it, cut to `buffer_len`.
 * @param buffer_len Bytes that `buffer` has room for, the NUL included.
 * @param value_len Where to store the length of the whole value in bytes, without a NUL.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_NOT_FOUND` if the key is not set, or as `rmq_config_set`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_config_get(const struct rmq_config *config,
                          const char *key,
                          char *buffer,
                          size_t buffer_len,
                          size_t *value_len,
                          struct rmq_error **error);

/**
 * Frees a configuration. What was started from it keeps its own copy.
 *
 * @param config A configuration; NULL, or one that was freed, is left alone.
 */
void rmq_config_free(struct rmq_config *config);

/**
 * The status that came with an error.
 *
 * @param error An error, or NULL.
 * @return The status; `RMQ_E_HANDLE` if `error` is NULL or was freed.
 */
rmq_status rmq_error_status(const struct rmq_error *error);

/**
 * RocketMQ's response code, if the status is `RMQ_E_BROKER`.
 *
 * @param error An error, or NULL.
 * @return The code, or -1.
 */
int32_t rmq_error_broker_code(const struct rmq_error *error);

/**
 * What went wrong, as a sentence for a person.
 *
 * @param error An error, or NULL.
 * @return NUL-terminated UTF-8 that lives until the error is freed; never NULL. Do not free it.
 */
const char *rmq_error_message(const struct rmq_error *error);

/**
 * Whether the same call may succeed later without anything being changed.
 *
 * @param error An error, or NULL.
 * @return False if `error` is NULL or was freed.
 */
bool rmq_error_is_retriable(const struct rmq_error *error);

/**
 * Whether the handle that the call was made with is of no further use.
 *
 * @param error An error, or NULL.
 * @return False if `error` is NULL or was freed.
 */
bool rmq_error_is_fatal(const struct rmq_error *error);

/**
 * Frees an error and its message.
 *
 * @param error An error; NULL, or one that was freed, is left alone.
 */
void rmq_error_free(struct rmq_error *error);

/**
 * Says where the log goes, for the whole process, in place of what was said before. Before the
 * first call it goes nowhere. Callbacks of log lines may call this function.
 *
 * @param callback Takes the lines; NULL for nobody.
 * @param user_data Handed to the callback as it is.
 * @param destroy NULL, or what is called once when `callback` will not be called any more: at the
 * next `rmq_log_set`, or, if the callback is running then, when it returns. It is called also when
 * this call fails.
 * @param max_level `RMQ_LOG_OFF` to `RMQ_LOG_TRACE`: the least urgent lines that are told.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_INVALID` for another level; `RMQ_E_BUSY` if the host takes events of
 * Rust's `tracing` itself.
 *
 * # Safety
 * As the parameters say; `callback` and `destroy` may be called on any thread.
 */
rmq_status rmq_log_set(rmq_log_cb callback,
                       void *user_data,
                       rmq_destroy_cb destroy,
                       int32_t max_level,
                       struct rmq_error **error);

/**
 * The name of a level, for example "WARN"; "unknown" for a number that is none.
 *
 * @return A NUL-terminated string that lives as long as the library is loaded; never NULL. Do not
 * free it.
 */
const char *rmq_log_level_name(int32_t level);

/**
 * Makes a message.
 *
 * @param topic A NUL-terminated name of 1 to 4,096 bytes, of which the protocol takes 127; copied.
 * @param body The body: any bytes, NUL among them; copied. NULL if `body_len` is 0.
 * @param body_len Bytes of the body.
 * @param out Where to store the message; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_new(const char *topic,
                           const void *body,
                           size_t body_len,
                           struct rmq_message **out,
                           struct rmq_error **error);

/**
 * Sets the tag, which consumers can choose by.
 *
 * @param message A message.
 * @param tag A NUL-terminated text of 1 to 4,096 bytes; copied.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_set_tag(struct rmq_message *message,
                               const char *tag,
                               struct rmq_error **error);

/**
 * Sets the keys that the message can be looked for by.
 *
 * @param message A message.
 * @param keys A NUL-terminated text of 1 to 4,096 bytes, with spaces between keys; copied.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_set_keys(struct rmq_message *message,
                                const char *keys,
                                struct rmq_error **error);

/**
 * Sets a property. Names that RocketMQ uses itself mean what they mean there.
 *
 * @param message A message.
 * @param name A NUL-terminated name of 1 to 4,096 bytes; copied.
 * @param value A NUL-terminated text of at most 65,536 bytes; copied. The protocol takes 32,767
 * bytes of properties in all, which is told when the message is sent.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_set_property(struct rmq_message *message,
                                    const char *name,
                                    const char *value,
                                    struct rmq_error **error);

/**
 * Has the broker deliver the message after the time of one of its delay levels.
 *
 * @param message A message.
 * @param level From 1; the broker takes its highest for one above.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_set_delay_level(struct rmq_message *message,
                                       int32_t level,
                                       struct rmq_error **error);

/**
 * Has the broker deliver the message this long after it was stored.
 *
 * @param message A message.
 * @param delay_ms Milliseconds.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_set_delay_ms(struct rmq_message *message,
                                    uint64_t delay_ms,
                                    struct rmq_error **error);

/**
 * Has the broker deliver the message at a time.
 *
 * @param message A message.
 * @param deliver_at_ms Milliseconds since the epoch.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_set_deliver_at_ms(struct rmq_message *message,
                                         int64_t deliver_at_ms,
                                         struct rmq_error **error);

/**
 * Sends the message to the queue that all messages of this key go to, while the topic keeps its
 * queues: they stay in order.
 *
 * @param message A message.
 * @param key A NUL-terminated text of 1 to 4,096 bytes; copied.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_set_sharding_key(struct rmq_message *message,
                                        const char *key,
                                        struct rmq_error **error);

/**
 * Sends the message to one queue.
 *
 * @param message A message.
 * @param broker_name The NUL-terminated name of the broker, 1 to 4,096 bytes; copied.
 * @param queue_id The queue of the topic there, from 0.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_message_set_queue(struct rmq_message *message,
                                 const char *broker_name,
                                 int32_t queue_id,
                                 struct rmq_error **error);

/**
 * Frees a message. Sends of it that are under way are not disturbed.
 *
 * @param message A message; NULL, or one that was freed, is left alone.
 */
void rmq_message_free(struct rmq_message *message);

/**
 * Starts a nameserver on threads of its own. It accepts requests when this returns.
 *
 * Without keys it listens on a free port of 127.0.0.1 and has no files.
 *
 * @param config Keys of Apache's namesrv.conf; NULL for the defaults. Only read.
 * @param out Where to store the nameserver; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value), `RMQ_E_ADDRESS_IN_USE`,
 * `RMQ_E_PERMISSION`, `RMQ_E_IO` and what else the host's system refuses.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_namesrv_start(const struct rmq_config *config,
                             struct rmq_namesrv **out,
                             struct rmq_error **error);

/**
 * Where a nameserver listens, as brokers and clients take it, for example "127.0.0.1:9876".
 *
 * @param namesrv A nameserver, closed or not.
 * @return A NUL-terminated text that lives until the nameserver is freed, not to be freed; NULL if
 * `namesrv` is NULL, was freed, or belongs to the parent of this process.
 */
const char *rmq_namesrv_address(const struct rmq_namesrv *namesrv);

/**
 * The port that a nameserver listens on.
 *
 * @param namesrv A nameserver, closed or not.
 * @return The port; 0 if `namesrv` is NULL, was freed, or belongs to the parent of this process.
 */
uint16_t rmq_namesrv_port(const struct rmq_namesrv *namesrv);

/**
 * Stops a nameserver in order: its threads end and its port is free. A second call does nothing
 * and succeeds. The handle stays valid until it is freed.
 *
 * @param namesrv A nameserver.
 * @param timeout_ms How long the end may take; -1 for as long as it takes. What has not ended
 * then is stopped hard.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_INVALID` for a timeout below -1, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_namesrv_close(struct rmq_namesrv *namesrv,
                             int64_t timeout_ms,
                             struct rmq_error **error);

/**
 * Frees a nameserver; one that was not closed is stopped as a crash would. Calls of other threads
 * that are under way end as if it was still there.
 *
 * @param namesrv A nameserver; NULL, or one that was freed, is left alone. In a forked child
 * nothing is done to what belongs to the parent.
 */
void rmq_namesrv_free(struct rmq_namesrv *namesrv);

/**
 * Starts a producer. Nothing is asked of the network yet.
 *
 * @param config Keys named as the fields of Apache's Java client, of which "namesrvAddr" is
 * needed; others are "producerGroup", "sendMsgTimeout", "retryTimesWhenSendFailed",
 * "retryAnotherBrokerWhenNotStoreOK", "compressMsgBodyOverHowmuch", "compressType",
 * "compressLevel", "maxMessageSize", "defaultTopicQueueNums", "sendLatencyFaultEnable",
 * "clientIP", "instanceName", "unitName", "pollNameServerInterval", "heartbeatBrokerInterval",
 * "mqClientApiTimeout"; "rmq.maxInFlight" bounds the asynchronous sends under way. Only read.
 * @param out Where to store the producer; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no nameserver),
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the host's system refuses.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_producer_start(const struct rmq_config *config,
                              struct rmq_producer **out,
                              struct rmq_error **error);

/**
 * The id that brokers know a producer by.
 *
 * @param producer A producer, closed or not.
 * @return A NUL-terminated text that lives until the producer is freed, not to be freed; NULL if
 * `producer` is NULL, was freed, or belongs to the parent of this process.
 */
const char *rmq_producer_client_id(const struct rmq_producer *producer);

/**
 * Sends a message and waits until it is acknowledged.
 *
 * @param producer A producer.
 * @param message A message, which stays the caller's.
 * @param timeout_ms How long it may take, retries included; -1 for the producer's
 * "sendMsgTimeout".
 * @param out Where to store the result, which the caller frees; NULL if it is not wanted. Written
 * on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_INVALID` and `RMQ_E_LIMIT` for a message that no broker would take;
 * `RMQ_E_NOT_FOUND` when no nameserver knows the topic and it cannot be made; `RMQ_E_UNREACHABLE`
 * and `RMQ_E_TIMEOUT` when no broker acknowledged it in time, though it may be stored;
 * `RMQ_E_BROKER` with the code of a broker that refused it; `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_producer_send(struct rmq_producer *producer,
                             const struct rmq_message *message,
                             int64_t timeout_ms,
                             struct rmq_send_result **out,
                             struct rmq_error **error);

/**
 * Sends several messages of one topic as one request: all are stored, or none.
 *
 * @param producer A producer.
 * @param messages `count` messages, which stay the caller's. Their queues and sharding keys do not
 * count.
 * @param count From 1 to 65,536.
 * @param timeout_ms How long it may take, retries included; -1 for the producer's
 * "sendMsgTimeout".
 * @param out Where to store the result, which the caller frees; NULL if it is not wanted. Written
 * on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_producer_send`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_producer_send_batch(struct rmq_producer *producer,
                                   const struct rmq_message *const *messages,
                                   size_t count,
                                   int64_t timeout_ms,
                                   struct rmq_send_result **out,
                                   struct rmq_error **error);

/**
 * Sends a message without waiting for anything.
 *
 * @param producer A producer.
 * @param message A message, which stays the caller's and may be freed at once.
 * @param timeout_ms How long it may take, retries included; -1 for the producer's
 * "sendMsgTimeout".
 * @param callback After `RMQ_OK` called exactly once, maybe before this returns, also when the
 * producer is closed or freed meanwhile; after anything else never.
 * @param user_data Handed to the callback as it is.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`: the send was accepted; `RMQ_E_BUSY`: "rmq.maxInFlight" sends are under way;
 * `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 *
 * # Safety
 * As the parameters say; `callback` may be called on any thread.
 */
rmq_status rmq_producer_send_async(struct rmq_producer *producer,
                                   const struct rmq_message *message,
                                   int64_t timeout_ms,
                                   rmq_send_cb callback,
                                   void *user_data,
                                   struct rmq_error **error);

/**
 * Sends a message that nobody acknowledges: it is lost without notice if anything goes wrong after
 * it was accepted. Never waits.
 *
 * @param producer A producer.
 * @param message A message, which stays the caller's and may be freed at once.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_producer_send_async`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_producer_send_oneway(struct rmq_producer *producer,
                                    const struct rmq_message *message,
                                    struct rmq_error **error);

/**
 * Waits until nothing is under way, callbacks included.
 *
 * @param producer A producer.
 * @param timeout_ms How long to wait; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_producer_flush(struct rmq_producer *producer,
                              int64_t timeout_ms,
                              struct rmq_error **error);

/**
 * Closes a producer: new sends fail at once, those under way may end within the timeout and fail
 * with `RMQ_E_CLOSED` after it, and brokers are told. When it returns no callback runs or will
 * run. A second call does nothing and succeeds. The handle stays valid until it is freed.
 *
 * @param producer A producer.
 * @param timeout_ms How long the end may take; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_TIMEOUT` (a callback did not return), `RMQ_E_INVALID`, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 *
 * # Safety
 * As the parameters say.
 */
rmq_status rmq_producer_close(struct rmq_producer *producer,
                              int64_t timeout_ms,
                              struct rmq_error **error);

/**
 * Frees a producer; one that was not closed is closed without waiting for what is under way. Calls
 * of other threads that are under way end as if it was still there.
 *
 * @param producer A producer; NULL, or one that was freed, is left alone. In a forked child
 * nothing is done to what belongs to the parent.
 */
void rmq_producer_free(struct rmq_producer *producer);

/**
 * How safely the message is stored: one of the `RMQ_SEND_` numbers.
 *
 * @param result A result, or NULL.
 * @return The value; -1 if `result` is NULL or was freed.
 */
int32_t rmq_send_result_status(const struct rmq_send_result *result);

/**
 * The unique id of the message; of a batch, all of them with commas between them.
 *
 * @param result A result, or NULL.
 * @return NUL-terminated text that lives until the result is freed, not to be freed; NULL if
 * `result` is NULL or was freed.
 */
const char *rmq_send_result_msg_id(const struct rmq_send_result *result);

/**
 * The id that says where the message is stored; of a batch, all of them.
 *
 * @param result A result, or NULL.
 * @return NUL-terminated text that lives until the result is freed, not to be freed; NULL if
 * `result` is NULL or was freed.
 */
const char *rmq_send_result_offset_msg_id(const struct rmq_send_result *result);

/**
 * The broker that has the message.
 *
 * @param result A result, or NULL.
 * @return NUL-terminated text that lives until the result is freed, not to be freed; NULL if
 * `result` is NULL or was freed.
 */
const char *rmq_send_result_broker_name(const struct rmq_send_result *result);

/**
 * The queue that the message is in.
 *
 * @param result A result, or NULL.
 * @return The value; -1 if `result` is NULL or was freed.
 */
int32_t rmq_send_result_queue_id(const struct rmq_send_result *result);

/**
 * The offset of the message in its queue; of a batch, that of the first.
 *
 * @param result A result, or NULL.
 * @return The value; -1 if `result` is NULL or was freed.
 */
int64_t rmq_send_result_queue_offset(const struct rmq_send_result *result);

/**
 * With it a message with a delay can be recalled.
 *
 * @param result A result, or NULL.
 * @return NUL-terminated text that lives until the result is freed, not to be freed; NULL if
 * there is none, or `result` is NULL or was freed.
 */
const char *rmq_send_result_recall_handle(const struct rmq_send_result *result);

/**
 * Frees a result and its texts.
 *
 * @param result A result that a function stored; NULL, or one that was freed, is left alone.
 */
void rmq_send_result_free(struct rmq_send_result *result);

/**
 * The name of a status, for example "RMQ_E_TIMEOUT"; "unknown" for a number that is none.
 *
 * @return A NUL-terminated string that lives as long as the library is loaded; never NULL. Do not
 * free it.
 */
const char *rmq_status_name(rmq_status status);

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
