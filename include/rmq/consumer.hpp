/* Part of rmq.hpp: consumers. */
#ifndef RMQ_CONSUMER_HPP
#define RMQ_CONSUMER_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "message.hpp"

namespace rmq {

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

} // namespace rmq

#endif
