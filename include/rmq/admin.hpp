/* Part of rmq.hpp: administration. */
#ifndef RMQ_ADMIN_HPP
#define RMQ_ADMIN_HPP

#include <cstdint>
#include <string>

#include "message.hpp"

namespace rmq {

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

} // namespace rmq

#endif
