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
 * A running nameserver. Any thread may use it at any time; it is freed by `rmq_namesrv_free`.
 */
typedef struct rmq_namesrv rmq_namesrv;

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
