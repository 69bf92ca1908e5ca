/* Part of rmq.hpp: errors, configuration and the log. */
#ifndef RMQ_BASE_HPP
#define RMQ_BASE_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../rmq.h"

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
