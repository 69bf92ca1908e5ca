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

/* A message to be sent, once or many times. */
class Message {
public:
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

    void send_oneway(const Message &message)
    {
        detail::check([&](rmq_error **error) {
            return rmq_producer_send_oneway(handle_.get(), message.get(), error);
        });
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
