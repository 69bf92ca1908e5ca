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
 * - A pointer that is handed in is NULL where its comment allows that, or points to what its
 *   comment says until the function returns; nobody else writes there meanwhile. Texts end with a
 *   NUL unless a length is given. Handles need not be checked: the library does.
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
 * The messages are done with.
 */
#define RMQ_CONSUME_OK 0

/**
 * The messages are to come again later.
 */
#define RMQ_CONSUME_LATER 1

/**
 * The messages are the program's from now on: it answers for each and frees it.
 */
#define RMQ_CONSUME_ASYNC 2

/**
 * Messages of all queues are given out at the same time, in any order.
 */
#define RMQ_CONSUME_CONCURRENTLY 0

/**
 * Messages of a queue are given out one after the other, in their order.
 */
#define RMQ_CONSUME_ORDERLY 1

/**
 * An expression of tags: `A || B`, or `*`.
 */
#define RMQ_EXPRESSION_TAG 0

/**
 * A condition in SQL92 on the properties of a message.
 */
#define RMQ_EXPRESSION_SQL92 1

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
 * Not known yet: the broker asks again later.
 */
#define RMQ_TRANSACTION_UNKNOWN 0

/**
 * The message is delivered.
 */
#define RMQ_TRANSACTION_COMMIT 1

/**
 * The message is forgotten.
 */
#define RMQ_TRANSACTION_ROLLBACK 2

/**
 * Looks at a cluster and changes it. Any thread may use it at any time; it is freed by
 * `rmq_admin_free`.
 */
typedef struct rmq_admin rmq_admin;

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
 * Collects the outcomes of asynchronous sends until the program asks for them. Any thread may use
 * it at any time, with any number of producers; it is freed by `rmq_completion_queue_free`.
 */
typedef struct rmq_completion_queue rmq_completion_queue;

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
 * Hands out messages when it is asked to; they are fetched ahead. Its queues are either divided
 * among its group (`rmq_pull_consumer_subscribe`) or given by the program
 * (`rmq_pull_consumer_assign`). Any thread may use it at any time; it is freed by
 * `rmq_pull_consumer_free`.
 */
typedef struct rmq_pull_consumer rmq_pull_consumer;

/**
 * Takes the messages of its subscriptions, as a member of a group. Any thread may use it at any
 * time; it is freed by `rmq_push_consumer_free`.
 */
typedef struct rmq_push_consumer rmq_push_consumer;

/**
 * A list of queues. It does not change, so every thread may read it; who got it frees it.
 */
typedef struct rmq_queues rmq_queues;

/**
 * A message that came from a broker. It does not change, so every thread may read it.
 */
typedef struct rmq_received rmq_received;

/**
 * What became of a message. It does not change, so every thread may read it.
 */
typedef struct rmq_send_result rmq_send_result;

/**
 * A text that a function gave. It does not change, so every thread may read it; who got it frees
 * it.
 */
typedef struct rmq_text rmq_text;

/**
 * How a call went: `RMQ_OK` or one of the `RMQ_E_` numbers. Later libraries may add numbers.
 */
typedef int32_t rmq_status;

/**
 * The outcome of one asynchronous send. Exactly one of `result` and `error` is not NULL, and the
 * caller frees it.
 */
typedef struct rmq_completion {
  /**
   * What was given with the send.
   */
  void *user_data;
  /**
   * What became of the message, or NULL.
   */
  struct rmq_send_result *result;
  /**
   * What went wrong, or NULL.
   */
  struct rmq_error *error;
} rmq_completion;

/**
 * Takes messages of one queue. It is called on threads of the consumer, several at a time unless
 * there is one queue in order. Functions that may wait answer `RMQ_E_WOULD_DEADLOCK` to it.
 *
 * @param user_data What was given with the callback.
 * @param messages `count` messages in their order; the array is valid during the call. It may
 * answer for some of them by `rmq_received_ack` and `rmq_received_later`.
 * @param count From 1 to "consumeMessageBatchMaxSize".
 * @return `RMQ_CONSUME_OK` or `RMQ_CONSUME_LATER` answers for those that were not answered for,
 * and the messages are freed. With `RMQ_CONSUME_ASYNC` they are the program's, which answers for
 * them on any thread, at any time, and frees each with `rmq_received_free`. Any other number is
 * `RMQ_CONSUME_LATER`.
 */
typedef int32_t (*rmq_consume_cb)(void *user_data,
                                  struct rmq_received *const *messages,
                                  size_t count);

/**
 * Releases the user data of a callback: called once, after the last call of that callback has
 * ended, on the thread that ended it.
 */
typedef void (*rmq_destroy_cb)(void *user_data);

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
 * One queue of a topic.
 */
typedef struct rmq_queue {
  /**
   * NUL-terminated.
   */
  const char *topic;
  /**
   * The broker's name, NUL-terminated.
   */
  const char *broker_name;
  /**
   * Its number there, from 0.
   */
  int32_t queue_id;
} rmq_queue;

/**
 * Takes the outcome of an asynchronous request. It is called exactly once for each request that
 * was accepted, on a thread of the library; functions that may wait answer `RMQ_E_WOULD_DEADLOCK`
 * to it.
 *
 * @param user_data What was given with the callback.
 * @param reply The answer, or NULL; valid during the call, not to be freed.
 * @param error What went wrong, or NULL; valid during the call, not to be freed. Exactly one of
 * the two is NULL.
 */
typedef void (*rmq_reply_cb)(void *user_data,
                             const struct rmq_received *reply,
                             const struct rmq_error *error);

/**
 * Says how the transaction of a half message ended, when a broker asks. It is called on a thread
 * of the library, and must not wait: functions that may wait answer `RMQ_E_WOULD_DEADLOCK` to it.
 *
 * A program that has to look first answers `RMQ_TRANSACTION_UNKNOWN`, finds out on a thread of its
 * own, and has the answer ready when it is asked again: after the broker's
 * "transactionCheckInterval" (30 s unless set), up to "transactionCheckMax" times (15), after
 * which the message is given up. Who kept the result of `rmq_producer_send_half` need not wait for
 * that: `rmq_producer_end_transaction` tells the broker at any time.
 *
 * @param user_data What was given with the callback.
 * @param message The half message, with the same id and keys each time; valid during the call, not
 * to be freed.
 * @return One of the `RMQ_TRANSACTION_` numbers; any other counts as unknown.
 */
typedef int32_t (*rmq_transaction_check_cb)(void *user_data, const struct rmq_received *message);

/**
 * Does the program's own part of a transaction. It is called on the thread that called
 * `rmq_producer_send_in_transaction`, before that returns, and may call anything.
 *
 * @param user_data What was given with the callback.
 * @param sent What became of the half message; valid during the call, not to be freed.
 * @return One of the `RMQ_TRANSACTION_` numbers; any other counts as unknown.
 */
typedef int32_t (*rmq_transaction_execute_cb)(void *user_data, const struct rmq_send_result *sent);

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
 * Starts an admin client. Nothing is asked of the network yet. Its functions wait for at most a
 * few times "mqClientApiTimeout" (3,000 ms unless said) for each server that they ask.
 *
 * @param config Keys named as the fields of Apache's Java client, of which "namesrvAddr" is
 * needed; others are "namespace", "clientIP", "instanceName", "unitName", "mqClientApiTimeout".
 * Only read.
 * @param out Where to store the admin client; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no nameserver),
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the host's system refuses.
 */
rmq_status rmq_admin_start(const struct rmq_config *config,
                           struct rmq_admin **out,
                           struct rmq_error **error);

/**
 * Runs a command of `mqadmin` by its name; docs/ADMIN.md lists the commands.
 *
 * @param admin An admin client.
 * @param command A NUL-terminated name, for example "topicStatus".
 * @param args_json A JSON object of the command's arguments by their long names, for example
 * {"topic":"T"}, NUL-terminated, of at most 1,048,576 bytes; NULL or "" for none.
 * @param out Where to store the answer, JSON, which the caller frees; NULL if it is not wanted.
 * Written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_INVALID` for a command or arguments that do not exist;
 * `RMQ_E_NOT_FOUND` for what is not there; `RMQ_E_BROKER` with the code of a server that refused;
 * `RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`, `RMQ_E_LIMIT`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_admin_invoke(struct rmq_admin *admin,
                            const char *command,
                            const char *args_json,
                            struct rmq_text **out,
                            struct rmq_error **error);

/**
 * Creates or changes a topic on every master.
 *
 * @param admin An admin client.
 * @param topic A NUL-terminated name.
 * @param queue_nums Queues on each broker, read and written.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_create_topic(struct rmq_admin *admin,
                                  const char *topic,
                                  int32_t queue_nums,
                                  struct rmq_error **error);

/**
 * Deletes a topic with its messages, on every master and in every nameserver.
 *
 * @param admin An admin client.
 * @param topic A NUL-terminated name.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_delete_topic(struct rmq_admin *admin,
                                  const char *topic,
                                  struct rmq_error **error);

/**
 * Creates a consumer group with the default settings on every master, or gives it those.
 *
 * @param admin An admin client.
 * @param group A NUL-terminated name.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_create_group(struct rmq_admin *admin,
                                  const char *group,
                                  struct rmq_error **error);

/**
 * Deletes a consumer group with its offsets, on every master.
 *
 * @param admin An admin client.
 * @param group A NUL-terminated name.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_delete_group(struct rmq_admin *admin,
                                  const char *group,
                                  struct rmq_error **error);

/**
 * The first offset that a queue still has.
 *
 * @param admin An admin client.
 * @param topic A NUL-terminated name.
 * @param broker_name The queue's broker, NUL-terminated.
 * @param queue_id The queue's number there.
 * @param offset Where to store the offset; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_min_offset(struct rmq_admin *admin,
                                const char *topic,
                                const char *broker_name,
                                int32_t queue_id,
                                int64_t *offset,
                                struct rmq_error **error);

/**
 * The offset that the next message of a queue will have.
 *
 * @param admin An admin client.
 * @param topic A NUL-terminated name.
 * @param broker_name The queue's broker, NUL-terminated.
 * @param queue_id The queue's number there.
 * @param offset Where to store the offset; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_max_offset(struct rmq_admin *admin,
                                const char *topic,
                                const char *broker_name,
                                int32_t queue_id,
                                int64_t *offset,
                                struct rmq_error **error);

/**
 * The offset of the first message of a queue that was stored at a time or later; of a time after
 * the last message the end of the queue.
 *
 * @param admin An admin client.
 * @param topic A NUL-terminated name.
 * @param broker_name The queue's broker, NUL-terminated.
 * @param queue_id The queue's number there.
 * @param timestamp_ms The time, ms since the epoch.
 * @param offset Where to store the offset; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_offset_at(struct rmq_admin *admin,
                               const char *topic,
                               const char *broker_name,
                               int32_t queue_id,
                               int64_t timestamp_ms,
                               int64_t *offset,
                               struct rmq_error **error);

/**
 * The offset that a consumer group committed in a queue.
 *
 * @param admin An admin client.
 * @param group A NUL-terminated name.
 * @param topic A NUL-terminated name.
 * @param broker_name The queue's broker, NUL-terminated.
 * @param queue_id The queue's number there.
 * @param offset Where to store the offset; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`; `RMQ_E_NOT_FOUND` also when the group has committed none.
 */
rmq_status rmq_admin_committed_offset(struct rmq_admin *admin,
                                      const char *group,
                                      const char *topic,
                                      const char *broker_name,
                                      int32_t queue_id,
                                      int64_t *offset,
                                      struct rmq_error **error);

/**
 * Commits an offset for a consumer group, whose consumers go on from there when they start.
 *
 * @param admin An admin client.
 * @param group A NUL-terminated name.
 * @param topic A NUL-terminated name.
 * @param broker_name The queue's broker, NUL-terminated.
 * @param queue_id The queue's number there.
 * @param offset The offset.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_commit_offset(struct rmq_admin *admin,
                                   const char *group,
                                   const char *topic,
                                   const char *broker_name,
                                   int32_t queue_id,
                                   int64_t offset,
                                   struct rmq_error **error);

/**
 * Has the consumers of a group go on with what was stored at a time or later.
 *
 * @param admin An admin client.
 * @param group A NUL-terminated name.
 * @param topic A NUL-terminated name.
 * @param timestamp_ms The time, ms since the epoch; -1 for the end.
 * @param out Where to store the new offsets by queue, JSON, which the caller frees; NULL if they
 * are not wanted. Written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_reset_offsets(struct rmq_admin *admin,
                                   const char *group,
                                   const char *topic,
                                   int64_t timestamp_ms,
                                   struct rmq_text **out,
                                   struct rmq_error **error);

/**
 * How far a consumer group has come: the command "consumerProgress".
 *
 * @param admin An admin client.
 * @param group A NUL-terminated name.
 * @param topic A NUL-terminated name; NULL for all topics of the group.
 * @param out Where to store the answer, JSON, which the caller frees; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_consumer_progress(struct rmq_admin *admin,
                                       const char *group,
                                       const char *topic,
                                       struct rmq_text **out,
                                       struct rmq_error **error);

/**
 * Where a topic is: the command "topicRoute".
 *
 * @param admin An admin client.
 * @param topic A NUL-terminated name.
 * @param out Where to store the answer, JSON, which the caller frees; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_route(struct rmq_admin *admin,
                           const char *topic,
                           struct rmq_text **out,
                           struct rmq_error **error);

/**
 * The brokers and clusters that are registered: the command "clusterList".
 *
 * @param admin An admin client.
 * @param out Where to store the answer, JSON, which the caller frees; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_admin_invoke`.
 */
rmq_status rmq_admin_cluster_list(struct rmq_admin *admin,
                                  struct rmq_text **out,
                                  struct rmq_error **error);

/**
 * Closes an admin client: its connections end. A second call does nothing and succeeds. The handle
 * stays valid until it is freed.
 *
 * @param admin An admin client.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_admin_close(struct rmq_admin *admin, struct rmq_error **error);

/**
 * Frees an admin client; one that was not closed is closed. Calls of other threads that are under
 * way end as if it was still there.
 *
 * @param admin An admin client; NULL, or one that was freed, is left alone. In a forked child
 * nothing is done to what belongs to the parent.
 */
void rmq_admin_free(struct rmq_admin *admin);

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
 * A broker's figures: how much was stored and read, how fast, how full the disk is.
 *
 * @param broker A broker, closed or not.
 * @param out Where to store a JSON object of texts, with the names of `mqadmin brokerStatus`
 * ("putMessageTimesTotal", "putTps", "commitLogMaxOffset" and so on), which the caller frees;
 * written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_broker_stats_json(const struct rmq_broker *broker,
                                 struct rmq_text **out,
                                 struct rmq_error **error);

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
 */
rmq_status rmq_cluster_is_running(const struct rmq_cluster *cluster,
                                  const char *member,
                                  bool *out,
                                  struct rmq_error **error);

/**
 * How the members do.
 *
 * @param cluster A cluster that is not closed.
 * @param out Where to store a JSON list, which the caller frees; for each member "name", "role"
 * (NAMESERVER, MASTER, SLAVE), "address", "folder", "running", "paused", for brokers that run
 * "logEnd", and for masters "slaves", each with "name", "gapBytes" and "inSync". Written on
 * success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_cluster_status_json(const struct rmq_cluster *cluster,
                                   struct rmq_text **out,
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
 * Makes an empty queue.
 *
 * @return A queue to be freed with `rmq_completion_queue_free`; NULL only after a defect of rmq.
 */
struct rmq_completion_queue *rmq_completion_queue_new(void);

/**
 * Sends a message without waiting; the outcome goes to a queue. The producer's "rmq.maxInFlight"
 * bounds what is under way, but not what waits in the queue.
 *
 * @param producer A producer.
 * @param message A message, which stays the caller's and may be freed at once.
 * @param timeout_ms How long it may take, retries included; -1 for the producer's
 * "sendMsgTimeout".
 * @param queue After `RMQ_OK` it gets exactly one outcome, also when the producer is closed or
 * freed meanwhile; after anything else none.
 * @param user_data Handed back with the outcome as it is.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_producer_send_async`.
 */
rmq_status rmq_producer_send_queued(struct rmq_producer *producer,
                                    const struct rmq_message *message,
                                    int64_t timeout_ms,
                                    struct rmq_completion_queue *queue,
                                    void *user_data,
                                    struct rmq_error **error);

/**
 * Takes outcomes out of a queue, in their order; waits for the first one.
 *
 * @param queue A queue.
 * @param completions Where to store them; has room for `max`.
 * @param max 1 or more.
 * @param timeout_ms How long to wait for the first one: 0 does not wait, -1 waits for as long as
 * it takes.
 * @param count Where to store how many there are: 0 if none came in time, or
 * `rmq_completion_queue_wake` was called. Written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_CLOSED` if the queue is freed meanwhile; `RMQ_E_INVALID`,
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_completion_queue_poll(struct rmq_completion_queue *queue,
                                     struct rmq_completion *completions,
                                     size_t max,
                                     int64_t timeout_ms,
                                     size_t *count,
                                     struct rmq_error **error);

/**
 * A descriptor that is readable while `rmq_completion_queue_poll` would not wait: to be watched
 * only (poll, epoll, a library for events), never to be read, written or closed.
 *
 * @param queue A queue.
 * @return The descriptor, which lives until the queue is freed; -1 if `queue` is NULL, was freed
 * or belongs to the parent of this process, or the process has no descriptor left.
 */
int rmq_completion_queue_fd(const struct rmq_completion_queue *queue);

/**
 * Has one `rmq_completion_queue_poll` return: one that waits, or else the next one.
 *
 * @param queue A queue; NULL, or one that was freed, is left alone.
 */
void rmq_completion_queue_wake(struct rmq_completion_queue *queue);

/**
 * Frees a queue. Outcomes that wait in it, and those that come later, are dropped, with their user
 * data. Who waits in `rmq_completion_queue_poll` is answered `RMQ_E_CLOSED`.
 *
 * @param queue A queue; NULL, or one that was freed, is left alone. In a forked child nothing is
 * done to what belongs to the parent.
 */
void rmq_completion_queue_free(struct rmq_completion_queue *queue);

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
 * Makes a push consumer that has no subscription and does nothing yet.
 *
 * @param config Keys named as the fields of Apache's Java client, of which "namesrvAddr" and
 * "consumerGroup" are needed; others are "messageModel", "consumeFromWhere", "consumeTimestamp",
 * "allocateMessageQueueStrategy", "consumeThreadMax", "consumeMessageBatchMaxSize",
 * "pullBatchSize", "pullThresholdForQueue", "pullThresholdSizeForQueue",
 * "consumeConcurrentlyMaxSpan", "maxReconsumeTimes", "suspendCurrentQueueTimeMillis" and those of
 * every client. docs/C_API.md has all of them. Only read.
 * @param out Where to store the consumer; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value), `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`.
 */
rmq_status rmq_push_consumer_new(const struct rmq_config *config,
                                 struct rmq_push_consumer **out,
                                 struct rmq_error **error);

/**
 * Subscribes to a topic, or changes what is taken of it; before the start or after it. After the
 * start it may wait for nameservers and brokers.
 *
 * @param consumer A consumer.
 * @param topic A NUL-terminated name; copied.
 * @param expression A NUL-terminated text of at most 65,536 bytes: tags with `||` between them or
 * `*`, or a condition in SQL92; copied.
 * @param kind `RMQ_EXPRESSION_TAG` or `RMQ_EXPRESSION_SQL92`, for which brokers must have
 * "enablePropertyFilter".
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_push_consumer_subscribe(struct rmq_push_consumer *consumer,
                                       const char *topic,
                                       const char *expression,
                                       int32_t kind,
                                       struct rmq_error **error);

/**
 * Takes no more of a topic; what was pulled of it is given back to the group.
 *
 * @param consumer A consumer.
 * @param topic A NUL-terminated name; one that is not subscribed to is left alone.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_push_consumer_subscribe`.
 */
rmq_status rmq_push_consumer_unsubscribe(struct rmq_push_consumer *consumer,
                                         const char *topic,
                                         struct rmq_error **error);

/**
 * Has messages given to a callback, on threads of the consumer ("consumeThreadMax" at most).
 * Without one they wait for `rmq_push_consumer_poll`. To be said before the start; of two
 * callbacks the later counts.
 *
 * @param consumer A consumer that was not started.
 * @param callback What takes messages.
 * @param user_data Handed to the callback as it is.
 * @param destroy NULL, or what is called once with `user_data` when `callback` will not be called
 * any more: after the consumer was freed and the last call has ended, at the next
 * `rmq_push_consumer_on_message`, or when this call fails.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (also: it was started), `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`.
 */
rmq_status rmq_push_consumer_on_message(struct rmq_push_consumer *consumer,
                                        rmq_consume_cb callback,
                                        void *user_data,
                                        rmq_destroy_cb destroy,
                                        struct rmq_error **error);

/**
 * Starts a consumer. Returns when the brokers that can be reached know of it; others are looked
 * for as long as it lives.
 *
 * @param consumer A consumer that was not started.
 * @param mode `RMQ_CONSUME_CONCURRENTLY`, or `RMQ_CONSUME_ORDERLY`: of each queue the next
 * messages are given out when those before them are answered for.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_INVALID` (no subscription, no nameserver, no group, or it was started
 * before); `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the
 * host's system refuses.
 */
rmq_status rmq_push_consumer_start(struct rmq_push_consumer *consumer,
                                   int32_t mode,
                                   struct rmq_error **error);

/**
 * Takes messages of a consumer that has no callback; waits for the first one. Each is to be
 * answered for with `rmq_received_ack` or `rmq_received_later`, on any thread, and freed; one
 * that is freed without an answer comes again later. Messages that are not answered for count
 * against the limits of their queues ("pullThresholdForQueue" and others), so a slow program
 * stops the flow.
 *
 * @param consumer A consumer that was started.
 * @param messages Where to store them; has room for `max`.
 * @param max 1 or more.
 * @param timeout_ms How long to wait for the first one: 0 does not wait, -1 waits for as long as
 * it takes.
 * @param count Where to store how many there are: 0 if none came in time, or
 * `rmq_push_consumer_wake` was called. Written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_CLOSED`, also if it is closed or freed meanwhile; `RMQ_E_INVALID`
 * (also: it has a callback, or was not started), `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_push_consumer_poll(struct rmq_push_consumer *consumer,
                                  struct rmq_received **messages,
                                  size_t max,
                                  int64_t timeout_ms,
                                  size_t *count,
                                  struct rmq_error **error);

/**
 * A descriptor that is readable while `rmq_push_consumer_poll` would not wait: to be watched only
 * (poll, epoll, a library for events), never to be read, written or closed.
 *
 * @param consumer A consumer that was started without a callback.
 * @return The descriptor, which lives until the consumer is freed; -1 for any other consumer, or
 * if the process has no descriptor left.
 */
int rmq_push_consumer_fd(const struct rmq_push_consumer *consumer);

/**
 * Has one `rmq_push_consumer_poll` return: one that waits, or else the next one.
 *
 * @param consumer A consumer; NULL, one that was freed or has a callback is left alone.
 */
void rmq_push_consumer_wake(struct rmq_push_consumer *consumer);

/**
 * Gives out no more messages until `rmq_push_consumer_resume`; those that wait for a poll can
 * still be taken.
 *
 * @param consumer A consumer that was started.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (it was not started), `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`.
 */
rmq_status rmq_push_consumer_suspend(struct rmq_push_consumer *consumer, struct rmq_error **error);

/**
 * Goes on after `rmq_push_consumer_suspend`.
 *
 * @param consumer A consumer that was started.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (it was not started), `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
 * `RMQ_E_FORKED`.
 */
rmq_status rmq_push_consumer_resume(struct rmq_push_consumer *consumer, struct rmq_error **error);

/**
 * The id that brokers know a consumer by.
 *
 * @param consumer A consumer that was started, closed or not.
 * @return A NUL-terminated text that lives until the consumer is freed, not to be freed; NULL for
 * any other consumer.
 */
const char *rmq_push_consumer_client_id(const struct rmq_push_consumer *consumer);

/**
 * Closes a consumer: `rmq_push_consumer_poll` ends, the callback is not called again, calls of it
 * that run may end and messages that were given out may be answered for within the timeout,
 * offsets are committed and brokers are told, so that others take the queues over. A second call
 * does nothing and succeeds. The handle stays valid until it is freed. Messages that were given
 * out stay readable, and answers for them are without effect from now on.
 *
 * @param consumer A consumer, started or not.
 * @param timeout_ms How long the end may take; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_TIMEOUT`: the callback did not return, messages were not answered for,
 * or brokers did not take the offsets, so that some messages come again; `RMQ_E_INVALID`,
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_push_consumer_close(struct rmq_push_consumer *consumer,
                                   int64_t timeout_ms,
                                   struct rmq_error **error);

/**
 * Frees a consumer; one that was not closed is closed without waiting for answers. Who waits in
 * `rmq_push_consumer_poll` is answered `RMQ_E_CLOSED`. Messages that it gave out are freed by
 * themselves.
 *
 * @param consumer A consumer; NULL, or one that was freed, is left alone. In a forked child
 * nothing is done to what belongs to the parent.
 */
void rmq_push_consumer_free(struct rmq_push_consumer *consumer);

/**
 * Says that a message of a push consumer is done with. The first answer for a message counts; all
 * are without effect when its consumer was closed, or lost the queue to another member of the
 * group, and the message comes again. So it does when it is not answered for within
 * "consumeTimeout" (minutes, from when the program took it; not in order and not of a broadcast)
 * or, popped, within "popInvisibleTime". Never waits.
 *
 * @param message A message of a push consumer; it stays the caller's.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, also for a second answer; `RMQ_E_TIMEOUT` when it is too late;
 * `RMQ_E_INVALID` for a message that came otherwise; `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 */
rmq_status rmq_received_ack(struct rmq_received *message, struct rmq_error **error);

/**
 * Says that a message of a push consumer is to come again later. Otherwise as `rmq_received_ack`.
 *
 * @param message A message of a push consumer; it stays the caller's.
 * @param delay_level After the time of this delay level of the broker; at 0 the later the more
 * often it came before; below 0 it is given up and becomes a dead letter. In order it is the next
 * one of its queue again after "suspendCurrentQueueTimeMillis", whatever the level.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_received_ack`.
 */
rmq_status rmq_received_later(struct rmq_received *message,
                              int32_t delay_level,
                              struct rmq_error **error);

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
 * "autoBatch", "batchMaxDelayMs", "batchMaxBytes", "totalBatchMaxBytes",
 * "backPressureForAsyncSendNum" (the asynchronous sends under way at a time, also
 * "rmq.maxInFlight"), "backPressureForAsyncSendSize", and those of every client: "clientIP",
 * "instanceName", "unitName", "namespace", "pollNameServerInterval", "heartbeatBrokerInterval",
 * "mqClientApiTimeout", "enableTrace", "traceTopic", "traceMsgBatchNum". Only read.
 * @param out Where to store the producer; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no nameserver),
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the host's system refuses.
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
 * Starts a consumer that has no queue yet.
 *
 * @param config Keys as for `rmq_push_consumer_new`, "autoCommit" and "autoCommitIntervalMillis"
 * among them. Only read.
 * @param out Where to store the consumer; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no nameserver, no group),
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the host's system refuses.
 */
rmq_status rmq_pull_consumer_start(const struct rmq_config *config,
                                   struct rmq_pull_consumer **out,
                                   struct rmq_error **error);

/**
 * The id that brokers know a consumer by.
 *
 * @param consumer A consumer, closed or not.
 * @return A NUL-terminated text that lives until the consumer is freed, not to be freed; NULL if
 * `consumer` is NULL, was freed, or belongs to the parent of this process.
 */
const char *rmq_pull_consumer_client_id(const struct rmq_pull_consumer *consumer);

/**
 * Takes this member's share of a topic, besides what it subscribed to before.
 *
 * @param consumer A consumer that has no assigned queues.
 * @param topic A NUL-terminated name; copied.
 * @param expression A NUL-terminated text of at most 65,536 bytes: tags with `||` between them or
 * `*`, or a condition in SQL92; copied.
 * @param kind `RMQ_EXPRESSION_TAG` or `RMQ_EXPRESSION_SQL92`.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_pull_consumer_subscribe(struct rmq_pull_consumer *consumer,
                                       const char *topic,
                                       const char *expression,
                                       int32_t kind,
                                       struct rmq_error **error);

/**
 * Takes these queues and no others, from where the group stands.
 *
 * @param consumer A consumer without subscriptions.
 * @param queues `count` queues, whose texts are copied; NULL if `count` is 0.
 * @param count How many; 0 gives all back.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
 * `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`). On a failure those queues
 * that could be begun are there.
 */
rmq_status rmq_pull_consumer_assign(struct rmq_pull_consumer *consumer,
                                    const struct rmq_queue *queues,
                                    size_t count,
                                    struct rmq_error **error);

/**
 * The queues of a topic that can be read; nameservers are asked.
 *
 * @param consumer A consumer.
 * @param topic A NUL-terminated name.
 * @param out Where to store the list, which the caller frees; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
 * `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
 */
rmq_status rmq_pull_consumer_queues(const struct rmq_pull_consumer *consumer,
                                    const char *topic,
                                    struct rmq_queues **out,
                                    struct rmq_error **error);

/**
 * The queues that a consumer has now.
 *
 * @param consumer A consumer.
 * @param out Where to store the list, which the caller frees; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 */
rmq_status rmq_pull_consumer_assignment(const struct rmq_pull_consumer *consumer,
                                        struct rmq_queues **out,
                                        struct rmq_error **error);

/**
 * Takes the next messages of any queue; waits for the first one. They count as consumed from now
 * on. Each is freed by the caller; nothing is to be answered for them.
 *
 * @param consumer A consumer.
 * @param messages Where to store them; has room for `max`.
 * @param max 1 or more.
 * @param timeout_ms How long to wait for the first one: 0 does not wait, -1 waits for as long as
 * it takes.
 * @param count Where to store how many there are, 0 if none came in time; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_CLOSED`, also if it is closed or freed meanwhile; `RMQ_E_INVALID`,
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_pull_consumer_poll(struct rmq_pull_consumer *consumer,
                                  struct rmq_received **messages,
                                  size_t max,
                                  int64_t timeout_ms,
                                  size_t *count,
                                  struct rmq_error **error);

/**
 * Goes on at an offset of a queue; what was fetched of it is forgotten.
 *
 * @param consumer A consumer.
 * @param queue A queue that the consumer has; its texts are only read.
 * @param offset From 0.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (also: the consumer does not have the queue), `RMQ_E_CLOSED`,
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 */
rmq_status rmq_pull_consumer_seek(struct rmq_pull_consumer *consumer,
                                  const struct rmq_queue *queue,
                                  int64_t offset,
                                  struct rmq_error **error);

/**
 * Goes on with the first message that a queue has; its broker is asked.
 *
 * @param consumer A consumer.
 * @param queue A queue that the consumer has; its texts are only read.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
 * `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
 */
rmq_status rmq_pull_consumer_seek_to_begin(struct rmq_pull_consumer *consumer,
                                           const struct rmq_queue *queue,
                                           struct rmq_error **error);

/**
 * Goes on with what comes to a queue from now on; its broker is asked.
 *
 * @param consumer A consumer.
 * @param queue A queue that the consumer has; its texts are only read.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
 * `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
 */
rmq_status rmq_pull_consumer_seek_to_end(struct rmq_pull_consumer *consumer,
                                         const struct rmq_queue *queue,
                                         struct rmq_error **error);

/**
 * Takes nothing out of queues until they are resumed.
 *
 * @param consumer A consumer.
 * @param queues `count` queues that the consumer has; NULL if `count` is 0.
 * @param count How many.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (also: the consumer does not have one of them),
 * `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 */
rmq_status rmq_pull_consumer_pause(struct rmq_pull_consumer *consumer,
                                   const struct rmq_queue *queues,
                                   size_t count,
                                   struct rmq_error **error);

/**
 * Goes on with queues after `rmq_pull_consumer_pause`.
 *
 * @param consumer A consumer.
 * @param queues `count` queues that the consumer has; NULL if `count` is 0.
 * @param count How many.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (also: the consumer does not have one of them),
 * `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 */
rmq_status rmq_pull_consumer_resume(struct rmq_pull_consumer *consumer,
                                    const struct rmq_queue *queues,
                                    size_t count,
                                    struct rmq_error **error);

/**
 * The offset of the next message that a poll takes out of a queue.
 *
 * @param consumer A consumer.
 * @param queue A queue that the consumer has; its texts are only read.
 * @param out Where to store the offset; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (also: the consumer does not have the queue), `RMQ_E_CLOSED`,
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 */
rmq_status rmq_pull_consumer_position(const struct rmq_pull_consumer *consumer,
                                      const struct rmq_queue *queue,
                                      int64_t *out,
                                      struct rmq_error **error);

/**
 * What the group committed for a queue; its broker is asked.
 *
 * @param consumer A consumer.
 * @param queue Any queue; its texts are only read.
 * @param out Where to store the offset, -1 if there is none; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
 * `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
 */
rmq_status rmq_pull_consumer_committed(const struct rmq_pull_consumer *consumer,
                                       const struct rmq_queue *queue,
                                       int64_t *out,
                                       struct rmq_error **error);

/**
 * The first offset of what was stored at a time or later; the broker is asked.
 *
 * @param consumer A consumer.
 * @param queue Any queue; its texts are only read.
 * @param timestamp_ms Milliseconds since the epoch.
 * @param out Where to store the offset; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
 * `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
 */
rmq_status rmq_pull_consumer_offset_at(const struct rmq_pull_consumer *consumer,
                                       const struct rmq_queue *queue,
                                       int64_t timestamp_ms,
                                       int64_t *out,
                                       struct rmq_error **error);

/**
 * Commits what was polled, and waits until the brokers have it.
 *
 * @param consumer A consumer.
 * @param timeout_ms How long it may take; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
 * `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
 * `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
 */
rmq_status rmq_pull_consumer_commit(struct rmq_pull_consumer *consumer,
                                    int64_t timeout_ms,
                                    struct rmq_error **error);

/**
 * Closes a consumer: who waits in `rmq_pull_consumer_poll` is told, and offsets are committed
 * unless "autoCommit" is false. A second call does nothing and succeeds. The handle stays valid
 * until it is freed.
 *
 * @param consumer A consumer.
 * @param timeout_ms How long the end may take; -1 for as long as it takes.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_TIMEOUT`: brokers did not take the offsets; `RMQ_E_INVALID`,
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
 */
rmq_status rmq_pull_consumer_close(struct rmq_pull_consumer *consumer,
                                   int64_t timeout_ms,
                                   struct rmq_error **error);

/**
 * Frees a consumer; one that was not closed is closed. Who waits in `rmq_pull_consumer_poll` is
 * answered `RMQ_E_CLOSED`. Messages that it gave out are freed by themselves.
 *
 * @param consumer A consumer; NULL, or one that was freed, is left alone. In a forked child
 * nothing is done to what belongs to the parent.
 */
void rmq_pull_consumer_free(struct rmq_pull_consumer *consumer);

/**
 * How many queues there are.
 *
 * @param queues Queues, or NULL.
 * @return The number; 0 if `queues` is NULL or was freed.
 */
size_t rmq_queues_count(const struct rmq_queues *queues);

/**
 * The broker of a queue.
 *
 * @param queues Queues, or NULL.
 * @param index From 0 to less than `rmq_queues_count`.
 * @return NUL-terminated text that lives until the queues are freed, not to be freed; NULL if
 * there is none of that index, or `queues` is NULL or was freed.
 */
const char *rmq_queues_broker_name(const struct rmq_queues *queues, size_t index);

/**
 * The number of a queue at its broker.
 *
 * @param queues Queues, or NULL.
 * @param index From 0 to less than `rmq_queues_count`.
 * @return The number; -1 if there is none of that index, or `queues` is NULL or was freed.
 */
int32_t rmq_queues_queue_id(const struct rmq_queues *queues, size_t index);

/**
 * The queues one after the other, as functions of pull consumers take them.
 *
 * @param queues Queues, or NULL.
 * @return `rmq_queues_count` queues that live until the list is freed, not to be freed; NULL if
 * there is none, or `queues` is NULL or was freed.
 */
const struct rmq_queue *rmq_queues_data(const struct rmq_queues *queues);

/**
 * Frees queues and their texts.
 *
 * @param queues Queues that a function stored; NULL, or some that were freed, are left alone.
 */
void rmq_queues_free(struct rmq_queues *queues);

/**
 * The topic of a message.
 *
 * @param message A message, or NULL.
 * @return NUL-terminated text that lives as long as the message, not to be freed; NULL if
 * `message` is NULL or was freed.
 */
const char *rmq_received_topic(const struct rmq_received *message);

/**
 * The body of a message: any bytes, NUL among them.
 *
 * @param message A message, or NULL.
 * @return The first byte, which lives as long as the message, not to be freed; NULL if `message`
 * is NULL or was freed. A body of no bytes has an address that must not be read.
 */
const void *rmq_received_body(const struct rmq_received *message);

/**
 * How many bytes the body of a message has.
 *
 * @param message A message, or NULL.
 * @return The length; 0 if `message` is NULL or was freed.
 */
size_t rmq_received_body_len(const struct rmq_received *message);

/**
 * The unique id of a message: what `rmq_send_result_msg_id` told its sender.
 *
 * @param message A message, or NULL.
 * @return NUL-terminated text that lives as long as the message, not to be freed; NULL if
 * `message` is NULL or was freed.
 */
const char *rmq_received_msg_id(const struct rmq_received *message);

/**
 * The id that says where a message is stored.
 *
 * @param message A message, or NULL.
 * @return NUL-terminated text that lives as long as the message, not to be freed; NULL if
 * `message` is NULL or was freed.
 */
const char *rmq_received_offset_msg_id(const struct rmq_received *message);

/**
 * The tag of a message.
 *
 * @param message A message, or NULL.
 * @return NUL-terminated text that lives as long as the message, not to be freed; NULL if there is
 * none, or `message` is NULL or was freed.
 */
const char *rmq_received_tag(const struct rmq_received *message);

/**
 * The keys of a message, with spaces between them.
 *
 * @param message A message, or NULL.
 * @return NUL-terminated text that lives as long as the message, not to be freed; NULL if there is
 * none, or `message` is NULL or was freed.
 */
const char *rmq_received_keys(const struct rmq_received *message);

/**
 * A property of a message.
 *
 * @param message A message, or NULL.
 * @param name A NUL-terminated name of 1 to 4,096 bytes.
 * @return NUL-terminated text that lives as long as the message, not to be freed; NULL if there is
 * no such property, or `name` is none, or `message` is NULL or was freed.
 */
const char *rmq_received_property(const struct rmq_received *message, const char *name);

/**
 * How many properties a message has.
 *
 * @param message A message, or NULL.
 * @return The number; 0 if `message` is NULL or was freed.
 */
size_t rmq_received_property_count(const struct rmq_received *message);

/**
 * The name of a property of a message.
 *
 * @param message A message, or NULL.
 * @param index From 0 to less than `rmq_received_property_count`.
 * @return NUL-terminated text that lives as long as the message, not to be freed; NULL if there is
 * no property of that index, or `message` is NULL or was freed.
 */
const char *rmq_received_property_name(const struct rmq_received *message, size_t index);

/**
 * The queue that a message is in.
 *
 * @param message A message, or NULL.
 * @return The value; -1 if `message` is NULL or was freed.
 */
int32_t rmq_received_queue_id(const struct rmq_received *message);

/**
 * The offset of a message in its queue.
 *
 * @param message A message, or NULL.
 * @return The value; -1 if `message` is NULL or was freed.
 */
int64_t rmq_received_queue_offset(const struct rmq_received *message);

/**
 * When a message was made, ms since the epoch.
 *
 * @param message A message, or NULL.
 * @return The value; -1 if `message` is NULL or was freed.
 */
int64_t rmq_received_born_timestamp_ms(const struct rmq_received *message);

/**
 * When a message was stored, ms since the epoch.
 *
 * @param message A message, or NULL.
 * @return The value; -1 if `message` is NULL or was freed.
 */
int64_t rmq_received_store_timestamp_ms(const struct rmq_received *message);

/**
 * How often a message has come before and was not consumed.
 *
 * @param message A message, or NULL.
 * @return The value; -1 if `message` is NULL or was freed.
 */
int32_t rmq_received_reconsume_times(const struct rmq_received *message);

/**
 * The name of the broker that pushed a message to a consumer.
 *
 * @param message A message, or NULL.
 * @return NUL-terminated text that lives as long as the message, not to be freed; NULL if the
 * message came otherwise, or `message` is NULL or was freed.
 */
const char *rmq_received_broker_name(const struct rmq_received *message);

/**
 * The address of the client that made a message.
 *
 * @param message A message, or NULL.
 * @return NUL-terminated "ip:port" that lives as long as the message, not to be freed; NULL if
 * `message` is NULL or was freed.
 */
const char *rmq_received_born_host(const struct rmq_received *message);

/**
 * The address of the broker that stored a message.
 *
 * @param message A message, or NULL.
 * @return NUL-terminated "ip:port" that lives as long as the message, not to be freed; NULL if
 * `message` is NULL or was freed.
 */
const char *rmq_received_store_host(const struct rmq_received *message);

/**
 * Frees a message that a function stored for the caller. What a callback is given is not to be
 * freed by it, unless it says so. A message of a push consumer that was not answered for comes
 * again later.
 *
 * @param message A message; NULL, or one that was freed, is left alone.
 */
void rmq_received_free(struct rmq_received *message);

/**
 * Sends a message and waits for the message that a consumer answers with; see
 * `rmq_message_new_reply`.
 *
 * @param producer A producer.
 * @param message A message, which stays the caller's. Its queue and sharding key do not count.
 * @param timeout_ms How long sending and answer may take together; -1 for as long as it takes.
 * @param out Where to store the reply, which the caller frees; NULL if it is not wanted. Written
 * on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_TIMEOUT` when nobody answered in time; else as `rmq_producer_send`.
 */
rmq_status rmq_producer_request(struct rmq_producer *producer,
                                const struct rmq_message *message,
                                int64_t timeout_ms,
                                struct rmq_received **out,
                                struct rmq_error **error);

/**
 * Sends a message and has a callback called with the message that a consumer answers with. Never
 * waits.
 *
 * @param producer A producer.
 * @param message A message, which stays the caller's and may be freed at once.
 * @param timeout_ms How long sending and answer may take together; -1 for as long as it takes.
 * @param callback After `RMQ_OK` called exactly once, also when the producer is closed or freed
 * meanwhile; after anything else never.
 * @param user_data Handed to the callback as it is.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_producer_send_async`.
 */
rmq_status rmq_producer_request_async(struct rmq_producer *producer,
                                      const struct rmq_message *message,
                                      int64_t timeout_ms,
                                      rmq_reply_cb callback,
                                      void *user_data,
                                      struct rmq_error **error);

/**
 * Keeps a message beyond the call of a callback that was given it. Bytes are shared, not copied.
 * Nobody asks what becomes of the copy.
 *
 * @param message A message, or NULL.
 * @return The same message as one that the caller frees with `rmq_received_free`; NULL if
 * `message` is NULL or was freed.
 */
struct rmq_received *rmq_received_copy(const struct rmq_received *message);

/**
 * Makes the message that answers a request. Any producer of the cluster sends it, with any of the
 * functions that send.
 *
 * @param request A message that was received and waits for an answer.
 * @param body The body: any bytes, NUL among them; copied. NULL if `body_len` is 0.
 * @param body_len Bytes of the body.
 * @param out Where to store the message, which the caller frees; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (the message waits for no answer), `RMQ_E_LIMIT`,
 * `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 */
rmq_status rmq_message_new_reply(const struct rmq_received *request,
                                 const void *body,
                                 size_t body_len,
                                 struct rmq_message **out,
                                 struct rmq_error **error);

/**
 * Takes back a message that was sent with a time and is not delivered yet. A success says that the
 * broker has noted it; what is due meanwhile may still come.
 *
 * @param producer A producer.
 * @param topic The topic of the message: a NUL-terminated name of 1 to 4,096 bytes.
 * @param recall_handle What `rmq_send_result_recall_handle` told: 1 to 4,096 bytes.
 * @param msg_id Where to store the id of the message, which the caller frees; NULL if it is not
 * wanted. Written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_INVALID` for what is no handle of a message of this topic;
 * `RMQ_E_BROKER` when the broker does not recall, or the time is over; else as
 * `rmq_producer_send`.
 */
rmq_status rmq_producer_recall(struct rmq_producer *producer,
                               const char *topic,
                               const char *recall_handle,
                               struct rmq_text **msg_id,
                               struct rmq_error **error);

/**
 * The queues that messages of a topic can be sent to, in the order that sharding keys choose from.
 *
 * @param producer A producer.
 * @param topic A NUL-terminated name of 1 to 4,096 bytes.
 * @param out Where to store the queues, which the caller frees; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`; `RMQ_E_NOT_FOUND` when no nameserver knows the topic; else as
 * `rmq_producer_send`.
 */
rmq_status rmq_producer_queues(struct rmq_producer *producer,
                               const char *topic,
                               struct rmq_queues **out,
                               struct rmq_error **error);

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
 * The bytes of a text.
 *
 * @param text A text, or NULL.
 * @return UTF-8 with a NUL at the end that lives until the text is freed, not to be freed; NULL if
 * `text` is NULL or was freed.
 */
const char *rmq_text_data(const struct rmq_text *text);

/**
 * How many bytes a text has, without the NUL.
 *
 * @param text A text, or NULL.
 * @return The length; 0 if `text` is NULL or was freed.
 */
size_t rmq_text_len(const struct rmq_text *text);

/**
 * Frees a text.
 *
 * @param text A text; NULL, or one that was freed, is left alone.
 */
void rmq_text_free(struct rmq_text *text);

/**
 * Starts a producer whose group answers for its transactions.
 *
 * @param config As for `rmq_producer_start`. Only read.
 * @param check Is asked how a transaction ended when a broker does not know; it may be called on
 * several threads at once.
 * @param user_data Handed to the callback as it is.
 * @param destroy NULL, or what is called once, on any thread, when `check` will not be called any
 * more: after the producer was freed and the last call of `check` has ended. It is called also
 * when this call fails.
 * @param out Where to store the producer; written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_producer_start`; `RMQ_E_INVALID` if `check` is NULL.
 */
rmq_status rmq_producer_start_with_checker(const struct rmq_config *config,
                                           rmq_transaction_check_cb check,
                                           void *user_data,
                                           rmq_destroy_cb destroy,
                                           struct rmq_producer **out,
                                           struct rmq_error **error);

/**
 * Sends a half message, has `execute` do the program's part, and tells the broker what that
 * answered: the message is delivered after a commit. When it is unknown, or the broker does not
 * hear of it, the broker asks the checker of a producer of this group.
 *
 * A half message that was stored, but less safely than asked for, is rolled back without
 * executing. A delay of the message does not count.
 *
 * @param producer A producer, best one with a checker.
 * @param message A message, which stays the caller's.
 * @param timeout_ms How long the sending may take; -1 for the producer's "sendMsgTimeout".
 * @param execute Called once if the half message was stored, else not at all.
 * @param user_data Handed to the callback as it is.
 * @param state Where to store how the transaction ended, a `RMQ_TRANSACTION_` number; NULL if it
 * is not wanted. Written on success only.
 * @param out Where to store the result of the sending, which the caller frees; NULL if it is not
 * wanted. Written on success only.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK` whatever `execute` answered; else as `rmq_producer_send`, and `execute` was not
 * called.
 */
rmq_status rmq_producer_send_in_transaction(struct rmq_producer *producer,
                                            const struct rmq_message *message,
                                            int64_t timeout_ms,
                                            rmq_transaction_execute_cb execute,
                                            void *user_data,
                                            int32_t *state,
                                            struct rmq_send_result **out,
                                            struct rmq_error **error);

/**
 * Sends a half message, for programs that do their part and then call
 * `rmq_producer_end_transaction`. Until then, or a broker's question, nobody receives it.
 *
 * @param producer A producer, best one with a checker.
 * @param message A message, which stays the caller's.
 * @param timeout_ms How long the sending may take; -1 for the producer's "sendMsgTimeout".
 * @param out Where to store the result, which the caller frees; written on success only. Other
 * than `RMQ_SEND_OK` it was stored less safely than asked for and is to be rolled back.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return As `rmq_producer_send`; `RMQ_E_INVALID` if `out` is NULL.
 */
rmq_status rmq_producer_send_half(struct rmq_producer *producer,
                                  const struct rmq_message *message,
                                  int64_t timeout_ms,
                                  struct rmq_send_result **out,
                                  struct rmq_error **error);

/**
 * Tells the broker how the transaction of a half message ended. Never waits: if the broker does
 * not hear of it, it asks the checker.
 *
 * @param producer A producer of the group that sent the half message.
 * @param sent What `rmq_producer_send_half` stored, which stays the caller's.
 * @param state One of the `RMQ_TRANSACTION_` numbers.
 * @param error NULL, or where to store an error (NULL after success) that the caller frees.
 * @return `RMQ_OK`, `RMQ_E_INVALID` (another number), `RMQ_E_NOT_FOUND` (the broker is not known),
 * `RMQ_E_BUSY`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
 */
rmq_status rmq_producer_end_transaction(struct rmq_producer *producer,
                                        const struct rmq_send_result *sent,
                                        int32_t state,
                                        struct rmq_error **error);

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
