/* Part of rmq.hpp: producers. */
#ifndef RMQ_PRODUCER_HPP
#define RMQ_PRODUCER_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "message.hpp"

namespace rmq {

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

} // namespace rmq

#endif
