/*
 * rmq for C++17: the functions of rmq.h as classes that free what they own and throw rmq::Error.
 *
 * Everything here is inline; a program links with librmq alone. Objects can be moved, not copied.
 * What rmq.h says of threads, of callbacks and of forks holds here too.
 */
#ifndef RMQ_HPP
#define RMQ_HPP

#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rmq.h"

namespace rmq {

/* How long a close waits unless it is told otherwise, ms. */
inline constexpr std::int64_t CLOSE_TIMEOUT_MS = 10000;

/* A call that failed. */
class Error : public std::exception {
public:
    explicit Error(const rmq_error *error)
        : status_(rmq_error_status(error)), broker_code_(rmq_error_broker_code(error)),
          retriable_(rmq_error_is_retriable(error)), fatal_(rmq_error_is_fatal(error)),
          message_(std::make_shared<const std::string>(rmq_error_message(error)))
    {
    }

    const char *what() const noexcept override { return message_->c_str(); }
    rmq_status status() const noexcept { return status_; }
    const char *status_name() const noexcept { return rmq_status_name(status_); }
    /* RocketMQ's response code, or -1. */
    std::int32_t broker_code() const noexcept { return broker_code_; }
    bool is_retriable() const noexcept { return retriable_; }
    bool is_fatal() const noexcept { return fatal_; }

private:
    rmq_status status_;
    std::int32_t broker_code_;
    bool retriable_, fatal_;
    std::shared_ptr<const std::string> message_;
};

namespace detail {

/* Calls with a place for the error as the last argument; throws what is put there. */
template <typename Call> void check(Call &&call)
{
    rmq_error *error = nullptr;
    if (call(&error) != RMQ_OK) {
        std::unique_ptr<rmq_error, void (*)(rmq_error *)> held(error, rmq_error_free);
        throw Error(error);
    }
}

template <typename T, void (*Free)(T *)> struct Freed {
    void operator()(T *handle) const noexcept { Free(handle); }
};

template <typename T, void (*Free)(T *)> using Handle = std::unique_ptr<T, Freed<T, Free>>;

inline std::string text(const char *text)
{
    return text == nullptr ? std::string() : std::string(text);
}

/* Takes a text over and copies it. */
inline std::string taken(rmq_text *text)
{
    Handle<rmq_text, rmq_text_free> held(text);
    return std::string(rmq_text_data(text), rmq_text_len(text));
}

inline std::string_view view(const char *text)
{
    return text == nullptr ? std::string_view() : std::string_view(text);
}

} // namespace detail

/* Keys with their values, Apache's names. */
class Config {
public:
    Config() : handle_(rmq_config_new()) {}

    Config(std::initializer_list<std::pair<std::string, std::string>> pairs) : Config()
    {
        for (const auto &pair : pairs)
            set(pair.first, pair.second);
    }

    Config &set(const std::string &key, const std::string &value)
    {
        detail::check([&](rmq_error **error) {
            return rmq_config_set(handle_.get(), key.c_str(), value.c_str(), error);
        });
        return *this;
    }

    Config &load(const std::string &path)
    {
        detail::check([&](rmq_error **error) {
            return rmq_config_load(handle_.get(), path.c_str(), error);
        });
        return *this;
    }

    const rmq_config *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<rmq_config, rmq_config_free> handle_;
};

/* A nameserver; one that goes out of scope is stopped as a crash would. */
class NameServer {
public:
    explicit NameServer(const Config &config = Config())
    {
        rmq_namesrv *started = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_namesrv_start(config.get(), &started, error);
        });
        handle_.reset(started);
    }

    std::string address() const { return detail::text(rmq_namesrv_address(handle_.get())); }
    std::uint16_t port() const noexcept { return rmq_namesrv_port(handle_.get()); }

    void close(std::int64_t timeout_ms = CLOSE_TIMEOUT_MS)
    {
        detail::check([&](rmq_error **error) {
            return rmq_namesrv_close(handle_.get(), timeout_ms, error);
        });
    }

private:
    detail::Handle<rmq_namesrv, rmq_namesrv_free> handle_;
};

/* A broker; one that goes out of scope is stopped as a crash would. */
class Broker {
public:
    explicit Broker(const Config &config = Config())
    {
        rmq_broker *started = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_broker_start(config.get(), &started, error);
        });
        handle_.reset(started);
    }

    std::string name() const { return detail::text(rmq_broker_name(handle_.get())); }
    std::string address() const { return detail::text(rmq_broker_address(handle_.get())); }
    std::uint16_t port() const noexcept { return rmq_broker_port(handle_.get()); }

    void close(std::int64_t timeout_ms = CLOSE_TIMEOUT_MS)
    {
        detail::check([&](rmq_error **error) {
            return rmq_broker_close(handle_.get(), timeout_ms, error);
        });
    }

    void kill()
    {
        detail::check([&](rmq_error **error) { return rmq_broker_kill(handle_.get(), error); });
    }

    /* Its figures, JSON. */
    std::string stats_json() const
    {
        rmq_text *text = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_broker_stats_json(handle_.get(), &text, error);
        });
        return detail::taken(text);
    }

private:
    detail::Handle<rmq_broker, rmq_broker_free> handle_;
};

/* A cluster for tests; one that goes out of scope is killed and its temporary storage removed. */
class Cluster {
public:
    explicit Cluster(const Config &config = Config())
    {
        rmq_cluster *started = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_cluster_start(config.get(), &started, error);
        });
        handle_.reset(started);
    }

    std::string nameservers() const
    {
        return detail::text(rmq_cluster_nameservers(handle_.get()));
    }

    std::vector<std::string> members() const
    {
        std::vector<std::string> names;
        for (std::size_t i = 0; i < rmq_cluster_member_count(handle_.get()); i++)
            names.push_back(detail::text(rmq_cluster_member_name(handle_.get(), i)));
        return names;
    }

    /* Empty if there is no such member. */
    std::string address(const std::string &member) const
    {
        return detail::text(rmq_cluster_member_address(handle_.get(), member.c_str()));
    }

    bool is_running(const std::string &member) const
    {
        bool running = false;
        detail::check([&](rmq_error **error) {
            return rmq_cluster_is_running(handle_.get(), member.c_str(), &running, error);
        });
        return running;
    }

    /* How the members do, JSON. */
    std::string status_json() const
    {
        rmq_text *text = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_cluster_status_json(handle_.get(), &text, error);
        });
        return detail::taken(text);
    }

    void kill(const std::string &member) { of_member(rmq_cluster_kill, member); }
    void start(const std::string &member) { of_member(rmq_cluster_start_member, member); }
    void wipe(const std::string &member) { of_member(rmq_cluster_wipe, member); }
    void pause(const std::string &member) { of_member(rmq_cluster_pause, member); }
    void resume(const std::string &member) { of_member(rmq_cluster_resume, member); }

    void close(const std::string &member, std::int64_t timeout_ms)
    {
        detail::check([&](rmq_error **error) {
            return rmq_cluster_close_member(handle_.get(), member.c_str(), timeout_ms, error);
        });
    }

    void restart(const std::string &member, std::int64_t timeout_ms = CLOSE_TIMEOUT_MS)
    {
        detail::check([&](rmq_error **error) {
            return rmq_cluster_restart(handle_.get(), member.c_str(), timeout_ms, error);
        });
    }

    /* Groups with bars between them: "broker-a,clients|broker-b". */
    void partition(const std::string &groups)
    {
        detail::check([&](rmq_error **error) {
            return rmq_cluster_partition(handle_.get(), groups.c_str(), error);
        });
    }

    void cut(const std::string &from, const std::string &to)
    {
        detail::check([&](rmq_error **error) {
            return rmq_cluster_cut(handle_.get(), from.c_str(), to.c_str(), error);
        });
    }

    void heal()
    {
        detail::check([&](rmq_error **error) { return rmq_cluster_heal(handle_.get(), error); });
    }

    void reset()
    {
        detail::check([&](rmq_error **error) { return rmq_cluster_reset(handle_.get(), error); });
    }

    void advance(std::uint64_t by_ms)
    {
        detail::check([&](rmq_error **error) {
            return rmq_cluster_advance(handle_.get(), by_ms, error);
        });
    }

    void await_ready(std::int64_t timeout_ms)
    {
        detail::check([&](rmq_error **error) {
            return rmq_cluster_await_ready(handle_.get(), timeout_ms, error);
        });
    }

    void await_replicated(std::int64_t timeout_ms)
    {
        detail::check([&](rmq_error **error) {
            return rmq_cluster_await_replicated(handle_.get(), timeout_ms, error);
        });
    }

    void close(std::int64_t timeout_ms = CLOSE_TIMEOUT_MS)
    {
        detail::check([&](rmq_error **error) {
            return rmq_cluster_close(handle_.get(), timeout_ms, error);
        });
    }

private:
    template <typename Function> void of_member(Function function, const std::string &member)
    {
        detail::check([&](rmq_error **error) {
            return function(handle_.get(), member.c_str(), error);
        });
    }

    detail::Handle<rmq_cluster, rmq_cluster_free> handle_;
};

/* A look at a message that somebody else owns; valid as long as that is. */
class ReceivedView {
public:
    explicit ReceivedView(const rmq_received *message) : message_(message) {}

    std::string_view topic() const { return detail::view(rmq_received_topic(message_)); }
    /* Any bytes, NUL among them. */
    std::string_view body() const
    {
        auto *bytes = static_cast<const char *>(rmq_received_body(message_));
        std::size_t length = rmq_received_body_len(message_);
        return length == 0 ? std::string_view() : std::string_view(bytes, length);
    }
    std::string_view msg_id() const { return detail::view(rmq_received_msg_id(message_)); }
    std::string_view offset_msg_id() const
    {
        return detail::view(rmq_received_offset_msg_id(message_));
    }
    /* Empty if there is none, like the others. */
    std::string_view tag() const { return detail::view(rmq_received_tag(message_)); }
    std::string_view keys() const { return detail::view(rmq_received_keys(message_)); }
    std::string_view property(const std::string &name) const
    {
        return detail::view(rmq_received_property(message_, name.c_str()));
    }
    std::int32_t queue_id() const noexcept { return rmq_received_queue_id(message_); }
    std::int64_t queue_offset() const noexcept { return rmq_received_queue_offset(message_); }
    std::int32_t reconsume_times() const noexcept
    {
        return rmq_received_reconsume_times(message_);
    }
    std::int64_t born_timestamp_ms() const noexcept
    {
        return rmq_received_born_timestamp_ms(message_);
    }
    std::int64_t store_timestamp_ms() const noexcept
    {
        return rmq_received_store_timestamp_ms(message_);
    }
    const rmq_received *get() const noexcept { return message_; }

private:
    const rmq_received *message_;
};

/* A message that was received, and is owned. */
class Received : public ReceivedView {
public:
    explicit Received(rmq_received *message) : ReceivedView(message), handle_(message) {}

protected:
    rmq_received *mutable_get() const noexcept { return handle_.get(); }

private:
    detail::Handle<rmq_received, rmq_received_free> handle_;
};

/* A message to be sent, once or many times. */
class Message {
public:
    /* The message that answers a request. */
    static Message reply_to(const ReceivedView &request, std::string_view body)
    {
        rmq_message *made = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_message_new_reply(request.get(), body.data(), body.size(), &made, error);
        });
        return Message(made);
    }

    Message(const std::string &topic, std::string_view body)
    {
        rmq_message *made = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_message_new(topic.c_str(), body.data(), body.size(), &made, error);
        });
        handle_.reset(made);
    }

    Message &tag(const std::string &tag) { return with(rmq_message_set_tag, tag.c_str()); }
    /* With spaces between them. */
    Message &keys(const std::string &keys) { return with(rmq_message_set_keys, keys.c_str()); }
    Message &delay_level(std::int32_t level) { return with(rmq_message_set_delay_level, level); }
    Message &delay_ms(std::uint64_t ms) { return with(rmq_message_set_delay_ms, ms); }
    Message &deliver_at_ms(std::int64_t ms) { return with(rmq_message_set_deliver_at_ms, ms); }

    Message &sharding_key(const std::string &key)
    {
        return with(rmq_message_set_sharding_key, key.c_str());
    }

    Message &property(const std::string &name, const std::string &value)
    {
        return with(rmq_message_set_property, name.c_str(), value.c_str());
    }

    Message &queue(const std::string &broker_name, std::int32_t queue_id)
    {
        return with(rmq_message_set_queue, broker_name.c_str(), queue_id);
    }

    const rmq_message *get() const noexcept { return handle_.get(); }

private:
    explicit Message(rmq_message *made) : handle_(made) {}

    template <typename Function, typename... Arguments>
    Message &with(Function function, Arguments... arguments)
    {
        detail::check([&](rmq_error **error) {
            return function(handle_.get(), arguments..., error);
        });
        return *this;
    }

    detail::Handle<rmq_message, rmq_message_free> handle_;
};

/* What became of a message. */
struct SendResult {
    /* One of the RMQ_SEND_ numbers. */
    std::int32_t status = -1;
    std::string msg_id, offset_msg_id, broker_name;
    std::int32_t queue_id = -1;
    std::int64_t queue_offset = -1;
    /* Empty unless the message has a delay and can be recalled. */
    std::string recall_handle;

    explicit SendResult(const rmq_send_result *result)
        : status(rmq_send_result_status(result)),
          msg_id(detail::text(rmq_send_result_msg_id(result))),
          offset_msg_id(detail::text(rmq_send_result_offset_msg_id(result))),
          broker_name(detail::text(rmq_send_result_broker_name(result))),
          queue_id(rmq_send_result_queue_id(result)),
          queue_offset(rmq_send_result_queue_offset(result)),
          recall_handle(detail::text(rmq_send_result_recall_handle(result)))
    {
    }
};

/* How a transaction ended. */
enum class Transaction : std::int32_t {
    Unknown = RMQ_TRANSACTION_UNKNOWN,
    Commit = RMQ_TRANSACTION_COMMIT,
    Rollback = RMQ_TRANSACTION_ROLLBACK,
};

/* Says how a transaction ended, when a broker asks; on any thread of the library, maybe on several
   at once. It must not wait; what it throws counts as unknown. */
using TransactionChecker = std::function<Transaction(const ReceivedView &message)>;

/* A half message that was sent, to be ended with Producer::end. */
class Half {
public:
    explicit Half(rmq_send_result *sent) : handle_(sent), result_(sent) {}
    const SendResult &result() const noexcept { return result_; }
    const rmq_send_result *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<rmq_send_result, rmq_send_result_free> handle_;
    SendResult result_;
};

/* A queue of a topic. */
struct Queue {
    std::string broker_name;
    std::int32_t queue_id = -1;
};

namespace detail {

/* Takes queues over and copies them. */
inline std::vector<Queue> taken(rmq_queues *queues)
{
    Handle<rmq_queues, rmq_queues_free> held(queues);
    std::vector<Queue> found;
    for (std::size_t i = 0; i < rmq_queues_count(queues); i++)
        found.push_back({text(rmq_queues_broker_name(queues, i)), rmq_queues_queue_id(queues, i)});
    return found;
}

} // namespace detail

/* What came of a send into a queue: either a result or an error, and what it was sent with. */
struct Completion {
    void *user_data = nullptr;
    std::optional<SendResult> result;
    std::optional<Error> error;
};

/* Takes the outcomes of asynchronous sends, of any number of producers, for an event loop. */
class CompletionQueue {
public:
    CompletionQueue() : handle_(rmq_completion_queue_new()) {}

    /* At most `max` outcomes, in their order; none if none came in time or wake was called. */
    std::vector<Completion> poll(std::size_t max, std::int64_t timeout_ms)
    {
        std::vector<rmq_completion> places(max);
        std::vector<Completion> outcomes;
        outcomes.reserve(max);
        std::size_t count = 0;
        detail::check([&](rmq_error **error) {
            return rmq_completion_queue_poll(handle_.get(), places.data(), places.size(),
                                             timeout_ms, &count, error);
        });
        for (std::size_t i = 0; i < count; i++) {
            detail::Handle<rmq_send_result, rmq_send_result_free> result(places[i].result);
            detail::Handle<rmq_error, rmq_error_free> error(places[i].error);
            auto &outcome = outcomes.emplace_back();
            outcome.user_data = places[i].user_data;
            if (result)
                outcome.result.emplace(result.get());
            else
                outcome.error.emplace(error.get());
        }
        return outcomes;
    }

    /* Readable while outcomes wait for poll. */
    int fd() const noexcept { return rmq_completion_queue_fd(handle_.get()); }
    void wake() noexcept { rmq_completion_queue_wake(handle_.get()); }
    rmq_completion_queue *get() const noexcept { return handle_.get(); }

private:
    detail::Handle<rmq_completion_queue, rmq_completion_queue_free> handle_;
};

/* Sends messages; one that goes out of scope does not wait for what is under way. */
class Producer {
public:
    explicit Producer(const Config &config)
    {
        rmq_producer *started = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_producer_start(config.get(), &started, error);
        });
        handle_.reset(started);
    }

    Producer(const std::string &group, const std::string &nameservers)
        : Producer(Config{{"producerGroup", group}, {"namesrvAddr", nameservers}})
    {
    }

    /* One whose group answers for its transactions. */
    Producer(const Config &config, TransactionChecker checker)
    {
        auto check = [](void *user_data, const rmq_received *message) -> std::int32_t {
            try {
                auto &checker = *static_cast<TransactionChecker *>(user_data);
                return static_cast<std::int32_t>(checker(ReceivedView(message)));
            } catch (...) {
                return RMQ_TRANSACTION_UNKNOWN;
            }
        };
        auto destroy = [](void *held) { delete static_cast<TransactionChecker *>(held); };
        auto *held = new TransactionChecker(std::move(checker));
        rmq_producer *started = nullptr;
        // It is destroyed by the library, also when this fails.
        detail::check([&](rmq_error **error) {
            return rmq_producer_start_with_checker(config.get(), check, held, destroy, &started,
                                                   error);
        });
        handle_.reset(started);
    }

    SendResult send(const Message &message, std::int64_t timeout_ms = -1)
    {
        rmq_send_result *result = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_producer_send(handle_.get(), message.get(), timeout_ms, &result, error);
        });
        detail::Handle<rmq_send_result, rmq_send_result_free> held(result);
        return SendResult(result);
    }

    /* The future is ready when the broker has answered, the time is over or the producer closed;
       it throws Error. What is known at once is thrown here. */
    std::future<SendResult> send_async(const Message &message, std::int64_t timeout_ms = -1)
    {
        auto promise = std::make_unique<std::promise<SendResult>>();
        auto future = promise->get_future();
        detail::check([&](rmq_error **error) {
            return rmq_producer_send_async(handle_.get(), message.get(), timeout_ms, fulfil,
                                           promise.get(), error);
        });
        // The callback, which may have run by now, owns it.
        (void)promise.release();
        return future;
    }

    /* The outcome goes to the queue, once, with `user_data` as it is. What is known at once is
       thrown here, and then no outcome comes. */
    void send_queued(const Message &message, const CompletionQueue &queue,
                     void *user_data = nullptr, std::int64_t timeout_ms = -1)
    {
        detail::check([&](rmq_error **error) {
            return rmq_producer_send_queued(handle_.get(), message.get(), timeout_ms, queue.get(),
                                            user_data, error);
        });
    }

    void send_oneway(const Message &message)
    {
        detail::check([&](rmq_error **error) {
            return rmq_producer_send_oneway(handle_.get(), message.get(), error);
        });
    }

    /* Sends a half message, has `execute(const SendResult &)` do the program's part, and ends the
       transaction with the Transaction that it returns. What it throws is thrown on; the broker
       then asks the checker. */
    template <typename Execute>
    Transaction send_in_transaction(const Message &message, Execute &&execute,
                                    std::int64_t timeout_ms = -1)
    {
        struct Part {
            Execute &execute;
            std::exception_ptr thrown;
        } part{execute, nullptr};
        auto run = [](void *user_data, const rmq_send_result *sent) -> std::int32_t {
            auto &part = *static_cast<Part *>(user_data);
            try {
                return static_cast<std::int32_t>(part.execute(SendResult(sent)));
            } catch (...) {
                part.thrown = std::current_exception();
                return RMQ_TRANSACTION_UNKNOWN;
            }
        };
        std::int32_t state = RMQ_TRANSACTION_UNKNOWN;
        detail::check([&](rmq_error **error) {
            return rmq_producer_send_in_transaction(handle_.get(), message.get(), timeout_ms, run,
                                                    &part, &state, nullptr, error);
        });
        if (part.thrown)
            std::rethrow_exception(part.thrown);
        return static_cast<Transaction>(state);
    }

    /* The same in two steps. */
    Half send_half(const Message &message, std::int64_t timeout_ms = -1)
    {
        rmq_send_result *sent = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_producer_send_half(handle_.get(), message.get(), timeout_ms, &sent, error);
        });
        return Half(sent);
    }

    void end(const Half &half, Transaction state)
    {
        detail::check([&](rmq_error **error) {
            return rmq_producer_end_transaction(handle_.get(), half.get(),
                                                static_cast<std::int32_t>(state), error);
        });
    }

    /* Waits for the message that a consumer answers with. */
    Received request(const Message &message, std::int64_t timeout_ms)
    {
        rmq_received *reply = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_producer_request(handle_.get(), message.get(), timeout_ms, &reply, error);
        });
        return Received(reply);
    }

    /* The future is ready when the answer is there, the time is over or the producer closed; it
       throws Error. What is known at once is thrown here. */
    std::future<Received> request_async(const Message &message, std::int64_t timeout_ms)
    {
        auto promise = std::make_unique<std::promise<Received>>();
        auto future = promise->get_future();
        detail::check([&](rmq_error **error) {
            return rmq_producer_request_async(handle_.get(), message.get(), timeout_ms, replied,
                                              promise.get(), error);
        });
        // The callback, which may have run by now, owns it.
        (void)promise.release();
        return future;
    }

    /* Takes back a message that waits for its time; its id. */
    std::string recall(const std::string &topic, const std::string &recall_handle)
    {
        rmq_text *msg_id = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_producer_recall(handle_.get(), topic.c_str(), recall_handle.c_str(),
                                       &msg_id, error);
        });
        return detail::taken(msg_id);
    }

    std::vector<Queue> queues(const std::string &topic)
    {
        rmq_queues *queues = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_producer_queues(handle_.get(), topic.c_str(), &queues, error);
        });
        return detail::taken(queues);
    }

    void flush(std::int64_t timeout_ms = -1)
    {
        detail::check([&](rmq_error **error) {
            return rmq_producer_flush(handle_.get(), timeout_ms, error);
        });
    }

    void close(std::int64_t timeout_ms = CLOSE_TIMEOUT_MS)
    {
        detail::check([&](rmq_error **error) {
            return rmq_producer_close(handle_.get(), timeout_ms, error);
        });
    }

private:
    static void replied(void *user_data, const rmq_received *reply, const rmq_error *error)
    {
        std::unique_ptr<std::promise<Received>> promise(
            static_cast<std::promise<Received> *>(user_data));
        try {
            if (error != nullptr)
                promise->set_exception(std::make_exception_ptr(Error(error)));
            else
                promise->set_value(Received(rmq_received_copy(reply)));
        } catch (...) {
            // Out of memory: the future says that its promise is broken.
        }
    }

    static void fulfil(void *user_data, const rmq_send_result *result, const rmq_error *error)
    {
        std::unique_ptr<std::promise<SendResult>> promise(
            static_cast<std::promise<SendResult> *>(user_data));
        try {
            if (error != nullptr)
                promise->set_exception(std::make_exception_ptr(Error(error)));
            else
                promise->set_value(SendResult(result));
        } catch (...) {
            // Out of memory: the future says that its promise is broken.
        }
    }

    detail::Handle<rmq_producer, rmq_producer_free> handle_;
};

/* A message of a push consumer, to be answered for; one that goes without an answer comes again
   later. An answer is false when it comes too late, after "consumeTimeout": the message comes
   again. */
class Delivery : public Received {
public:
    using Received::Received;

    bool ack()
    {
        return in_time([&](rmq_error **error) { return rmq_received_ack(mutable_get(), error); });
    }

    /* After the time of this delay level of the broker; at 0 the later the more often it came. */
    bool later(std::int32_t delay_level = 0)
    {
        return in_time([&](rmq_error **error) {
            return rmq_received_later(mutable_get(), delay_level, error);
        });
    }

private:
    template <typename Call> static bool in_time(Call &&call)
    {
        rmq_status status = RMQ_OK;
        detail::check([&](rmq_error **error) -> rmq_status {
            status = call(error);
            if (status != RMQ_E_TIMEOUT)
                return status;
            rmq_error_free(*error);
            *error = nullptr;
            return RMQ_OK;
        });
        return status == RMQ_OK;
    }
};

namespace detail {

/* Calls with room for `max` messages; what is put there. */
template <typename T, typename Call> std::vector<T> polled(std::size_t max, Call &&call)
{
    std::vector<rmq_received *> places(max);
    std::size_t count = 0;
    check([&](rmq_error **error) { return call(places.data(), places.size(), &count, error); });
    std::vector<T> messages;
    messages.reserve(count);
    for (std::size_t i = 0; i < count; i++)
        messages.emplace_back(places[i]);
    return messages;
}

} // namespace detail

/* What a handler says of a message. */
enum class Consume { Ok, Later };

/* How messages of a queue are given out. */
enum class Mode : std::int32_t {
    Concurrently = RMQ_CONSUME_CONCURRENTLY,
    Orderly = RMQ_CONSUME_ORDERLY,
};

/* Takes messages, on threads of the consumer, several at a time. It must not wait for the library;
   what it throws is Later. */
using Handler = std::function<Consume(const ReceivedView &message)>;

/* Is given the messages of what it subscribes to: a handler takes them, or poll. One that goes out
   of scope does not wait for answers. */
class PushConsumer {
public:
    explicit PushConsumer(const Config &config)
    {
        rmq_push_consumer *made = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_push_consumer_new(config.get(), &made, error);
        });
        handle_.reset(made);
    }

    /* Tags with || between them. */
    void subscribe(const std::string &topic, const std::string &tags = "*")
    {
        subscribe(topic, tags, RMQ_EXPRESSION_TAG);
    }

    void subscribe_sql92(const std::string &topic, const std::string &condition)
    {
        subscribe(topic, condition, RMQ_EXPRESSION_SQL92);
    }

    void unsubscribe(const std::string &topic)
    {
        detail::check([&](rmq_error **error) {
            return rmq_push_consumer_unsubscribe(handle_.get(), topic.c_str(), error);
        });
    }

    /* Before the start. */
    void on_message(Handler handler)
    {
        auto destroy = [](void *held) { delete static_cast<Handler *>(held); };
        auto *held = new Handler(std::move(handler));
        // It is destroyed by the library, also when this fails.
        detail::check([&](rmq_error **error) {
            return rmq_push_consumer_on_message(handle_.get(), take, held, destroy, error);
        });
    }

    void start(Mode mode = Mode::Concurrently)
    {
        detail::check([&](rmq_error **error) {
            return rmq_push_consumer_start(handle_.get(), static_cast<std::int32_t>(mode), error);
        });
    }

    /* At most `max` messages; none if none came in time or wake was called. */
    std::vector<Delivery> poll(std::size_t max, std::int64_t timeout_ms)
    {
        auto call = [&](auto *places, auto room, auto *count, auto *error) {
            return rmq_push_consumer_poll(handle_.get(), places, room, timeout_ms, count, error);
        };
        return detail::polled<Delivery>(max, call);
    }

    /* Readable while messages wait for poll. */
    int fd() const noexcept { return rmq_push_consumer_fd(handle_.get()); }
    void wake() noexcept { rmq_push_consumer_wake(handle_.get()); }

    void suspend()
    {
        detail::check([&](rmq_error **error) {
            return rmq_push_consumer_suspend(handle_.get(), error);
        });
    }

    void resume()
    {
        detail::check([&](rmq_error **error) {
            return rmq_push_consumer_resume(handle_.get(), error);
        });
    }

    void close(std::int64_t timeout_ms = CLOSE_TIMEOUT_MS)
    {
        detail::check([&](rmq_error **error) {
            return rmq_push_consumer_close(handle_.get(), timeout_ms, error);
        });
    }

private:
    void subscribe(const std::string &topic, const std::string &expression, std::int32_t kind)
    {
        detail::check([&](rmq_error **error) {
            return rmq_push_consumer_subscribe(handle_.get(), topic.c_str(), expression.c_str(),
                                               kind, error);
        });
    }

    /* Answers for each message by itself, until one is to come later. */
    static std::int32_t take(void *user_data, rmq_received *const *messages, std::size_t count)
    {
        auto &handler = *static_cast<Handler *>(user_data);
        for (std::size_t i = 0; i < count; i++) {
            Consume outcome = Consume::Later;
            try {
                outcome = handler(ReceivedView(messages[i]));
            } catch (...) {
                // As if it had said so.
            }
            if (outcome != Consume::Ok)
                return RMQ_CONSUME_LATER;
            rmq_received_ack(messages[i], nullptr);
        }
        return RMQ_CONSUME_OK;
    }

    detail::Handle<rmq_push_consumer, rmq_push_consumer_free> handle_;
};

/* Takes messages of queues when it asks, and commits offsets. */
class PullConsumer {
public:
    explicit PullConsumer(const Config &config)
    {
        rmq_pull_consumer *started = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_start(config.get(), &started, error);
        });
        handle_.reset(started);
    }

    /* This member's share of a topic. */
    void subscribe(const std::string &topic, const std::string &tags = "*")
    {
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_subscribe(handle_.get(), topic.c_str(), tags.c_str(),
                                               RMQ_EXPRESSION_TAG, error);
        });
    }

    /* These queues, whoever else has them. */
    void assign(const std::string &topic, const std::vector<Queue> &queues)
    {
        auto raw = of(topic, queues);
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_assign(handle_.get(), raw.data(), raw.size(), error);
        });
    }

    std::vector<Queue> queues(const std::string &topic) const
    {
        rmq_queues *queues = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_queues(handle_.get(), topic.c_str(), &queues, error);
        });
        return detail::taken(queues);
    }

    std::vector<Received> poll(std::size_t max, std::int64_t timeout_ms)
    {
        auto call = [&](auto *places, auto room, auto *count, auto *error) {
            return rmq_pull_consumer_poll(handle_.get(), places, room, timeout_ms, count, error);
        };
        return detail::polled<Received>(max, call);
    }

    void seek(const std::string &topic, const Queue &queue, std::int64_t offset)
    {
        auto raw = of(topic, {queue});
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_seek(handle_.get(), raw.data(), offset, error);
        });
    }

    void seek_to_begin(const std::string &topic, const Queue &queue)
    {
        auto raw = of(topic, {queue});
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_seek_to_begin(handle_.get(), raw.data(), error);
        });
    }

    void seek_to_end(const std::string &topic, const Queue &queue)
    {
        auto raw = of(topic, {queue});
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_seek_to_end(handle_.get(), raw.data(), error);
        });
    }

    void pause(const std::string &topic, const std::vector<Queue> &queues)
    {
        auto raw = of(topic, queues);
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_pause(handle_.get(), raw.data(), raw.size(), error);
        });
    }

    void resume(const std::string &topic, const std::vector<Queue> &queues)
    {
        auto raw = of(topic, queues);
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_resume(handle_.get(), raw.data(), raw.size(), error);
        });
    }

    std::int64_t position(const std::string &topic, const Queue &queue) const
    {
        auto raw = of(topic, {queue});
        std::int64_t offset = -1;
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_position(handle_.get(), raw.data(), &offset, error);
        });
        return offset;
    }

    std::int64_t committed(const std::string &topic, const Queue &queue) const
    {
        auto raw = of(topic, {queue});
        std::int64_t offset = -1;
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_committed(handle_.get(), raw.data(), &offset, error);
        });
        return offset;
    }

    void commit(std::int64_t timeout_ms = CLOSE_TIMEOUT_MS)
    {
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_commit(handle_.get(), timeout_ms, error);
        });
    }

    void close(std::int64_t timeout_ms = CLOSE_TIMEOUT_MS)
    {
        detail::check([&](rmq_error **error) {
            return rmq_pull_consumer_close(handle_.get(), timeout_ms, error);
        });
    }

private:
    /* Valid as long as what it is made of. */
    static std::vector<rmq_queue> of(const std::string &topic, const std::vector<Queue> &queues)
    {
        std::vector<rmq_queue> raw;
        for (const auto &queue : queues) {
            rmq_queue one{};
            one.topic = topic.c_str();
            one.broker_name = queue.broker_name.c_str();
            one.queue_id = queue.queue_id;
            raw.push_back(one);
        }
        return raw;
    }

    detail::Handle<rmq_pull_consumer, rmq_pull_consumer_free> handle_;
};

/* Looks at a cluster and changes it. */
class Admin {
public:
    explicit Admin(const Config &config)
    {
        rmq_admin *started = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_admin_start(config.get(), &started, error);
        });
        handle_.reset(started);
    }

    explicit Admin(const std::string &nameservers) : Admin(Config{{"namesrvAddr", nameservers}}) {}

    /* A command of mqadmin by its name; arguments and answer are JSON. */
    std::string invoke(const std::string &command, const std::string &args_json = "")
    {
        rmq_text *answer = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_admin_invoke(handle_.get(), command.c_str(), args_json.c_str(), &answer,
                                    error);
        });
        return detail::taken(answer);
    }

    void create_topic(const std::string &topic, std::int32_t queue_nums)
    {
        detail::check([&](rmq_error **error) {
            return rmq_admin_create_topic(handle_.get(), topic.c_str(), queue_nums, error);
        });
    }

    void delete_topic(const std::string &topic)
    {
        detail::check([&](rmq_error **error) {
            return rmq_admin_delete_topic(handle_.get(), topic.c_str(), error);
        });
    }

    void create_group(const std::string &group)
    {
        detail::check([&](rmq_error **error) {
            return rmq_admin_create_group(handle_.get(), group.c_str(), error);
        });
    }

    void delete_group(const std::string &group)
    {
        detail::check([&](rmq_error **error) {
            return rmq_admin_delete_group(handle_.get(), group.c_str(), error);
        });
    }

    std::int64_t min_offset(const std::string &topic, const Queue &queue)
    {
        return offset(rmq_admin_min_offset, topic, queue);
    }

    std::int64_t max_offset(const std::string &topic, const Queue &queue)
    {
        return offset(rmq_admin_max_offset, topic, queue);
    }

    std::int64_t offset_at(const std::string &topic, const Queue &queue, std::int64_t timestamp_ms)
    {
        std::int64_t offset = -1;
        detail::check([&](rmq_error **error) {
            return rmq_admin_offset_at(handle_.get(), topic.c_str(), queue.broker_name.c_str(),
                                       queue.queue_id, timestamp_ms, &offset, error);
        });
        return offset;
    }

    std::int64_t committed_offset(const std::string &group, const std::string &topic,
                                  const Queue &queue)
    {
        std::int64_t offset = -1;
        detail::check([&](rmq_error **error) {
            return rmq_admin_committed_offset(handle_.get(), group.c_str(), topic.c_str(),
                                              queue.broker_name.c_str(), queue.queue_id, &offset,
                                              error);
        });
        return offset;
    }

    void commit_offset(const std::string &group, const std::string &topic, const Queue &queue,
                       std::int64_t offset)
    {
        detail::check([&](rmq_error **error) {
            return rmq_admin_commit_offset(handle_.get(), group.c_str(), topic.c_str(),
                                           queue.broker_name.c_str(), queue.queue_id, offset,
                                           error);
        });
    }

    /* The new offsets by queue, JSON. */
    std::string reset_offsets(const std::string &group, const std::string &topic,
                              std::int64_t timestamp_ms)
    {
        rmq_text *answer = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_admin_reset_offsets(handle_.get(), group.c_str(), topic.c_str(),
                                           timestamp_ms, &answer, error);
        });
        return detail::taken(answer);
    }

    /* JSON; of all topics if `topic` is empty. */
    std::string consumer_progress(const std::string &group, const std::string &topic = "")
    {
        rmq_text *answer = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_admin_consumer_progress(handle_.get(), group.c_str(),
                                               topic.empty() ? nullptr : topic.c_str(), &answer,
                                               error);
        });
        return detail::taken(answer);
    }

    /* JSON. */
    std::string route(const std::string &topic)
    {
        rmq_text *answer = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_admin_route(handle_.get(), topic.c_str(), &answer, error);
        });
        return detail::taken(answer);
    }

    /* JSON. */
    std::string cluster_list()
    {
        rmq_text *answer = nullptr;
        detail::check([&](rmq_error **error) {
            return rmq_admin_cluster_list(handle_.get(), &answer, error);
        });
        return detail::taken(answer);
    }

    void close()
    {
        detail::check([&](rmq_error **error) { return rmq_admin_close(handle_.get(), error); });
    }

private:
    template <typename Function>
    std::int64_t offset(Function function, const std::string &topic, const Queue &queue)
    {
        std::int64_t offset = -1;
        detail::check([&](rmq_error **error) {
            return function(handle_.get(), topic.c_str(), queue.broker_name.c_str(),
                            queue.queue_id, &offset, error);
        });
        return offset;
    }

    detail::Handle<rmq_admin, rmq_admin_free> handle_;
};

/* Takes lines of the log; it must not wait and must not throw. */
using LogSink =
    std::function<void(std::int32_t level, std::string_view target, std::string_view message)>;

/* Says where the log goes, for the whole process; an empty sink ends it. */
inline void set_log(LogSink sink, std::int32_t max_level = RMQ_LOG_INFO)
{
    if (!sink) {
        detail::check([&](rmq_error **error) {
            return rmq_log_set(nullptr, nullptr, nullptr, RMQ_LOG_OFF, error);
        });
        return;
    }
    auto callback = [](void *user_data, std::int32_t level, const char *target,
                       std::size_t target_len, const char *message, std::size_t message_len) {
        (*static_cast<LogSink *>(user_data))(level, {target, target_len}, {message, message_len});
    };
    auto destroy = [](void *user_data) { delete static_cast<LogSink *>(user_data); };
    auto *held = new LogSink(std::move(sink));
    // It is destroyed by the library, also when this fails.
    detail::check([&](rmq_error **error) {
        return rmq_log_set(callback, held, destroy, max_level, error);
    });
}

} // namespace rmq

#endif
