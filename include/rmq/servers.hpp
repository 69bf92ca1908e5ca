/* Part of rmq.hpp: nameservers, brokers and clusters. */
#ifndef RMQ_SERVERS_HPP
#define RMQ_SERVERS_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base.hpp"

namespace rmq {

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

} // namespace rmq

#endif
