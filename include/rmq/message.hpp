/* Part of rmq.hpp: messages, sent and received. */
#ifndef RMQ_MESSAGE_HPP
#define RMQ_MESSAGE_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base.hpp"

namespace rmq {

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

} // namespace rmq

#endif
