// A topic is made, looked at and deleted; other commands of mqadmin by their names.
#include <cstdio>
#include <string>

#include "rmq.hpp"

int main()
{
    try {
        rmq::Cluster cluster;
        rmq::Admin admin(cluster.nameservers());
        admin.create_topic("Books", 2);
        std::printf("clusters: %s\n", admin.cluster_list().c_str());

        // Arguments and answers are JSON; docs/ADMIN.md lists the commands.
        admin.invoke("updateSubGroup", R"({"group":"readers","retryMaxTimes":3})");
        std::string group = admin.invoke("getConsumerConfig", R"({"group":"readers"})");
        std::printf("group: %s\n", group.c_str());
        if (group.find("\"retryMaxTimes\":3") == std::string::npos)
            return 1;

        admin.delete_group("readers");
        admin.delete_topic("Books");
        try {
            admin.route("Books");
            return 1;
        } catch (const rmq::Error &error) {
            if (error.status() != RMQ_E_NOT_FOUND)
                throw;
        }
        std::printf("deleted\n");
        cluster.close();
        return 0;
    } catch (const rmq::Error &error) {
        std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
        return 1;
    }
}
