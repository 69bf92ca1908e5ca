//! A broker's consumer and producer groups.

use super::headers;

headers! {
    /// GET_ALL_SUBSCRIPTIONGROUP_CONFIG (201). Newer tools page; no field means everything.
    GetAllSubscriptionGroupRequest {
        group_seq: Option<i32> => "groupSeq",
        data_version: Option<String> => "dataVersion",
        max_group_num: Option<i32> => "maxGroupNum",
    }

    /// The answer to 201 where pages are asked for.
    GetAllSubscriptionGroupResponse {
        total_group_num: Option<i32> => "totalGroupNum",
    }

    /// GET_SUBSCRIPTIONGROUP_CONFIG (352).
    GetSubscriptionGroupConfigRequest {
        group: String => "group",
    }

    /// DELETE_SUBSCRIPTIONGROUP (207).
    DeleteSubscriptionGroupRequest {
        group: String => "groupName",
        clean_offset: bool => "cleanOffset" = false,
    }

    /// UPDATE_AND_GET_GROUP_FORBIDDEN (353).
    UpdateGroupForbiddenRequest {
        group: String => "group",
        topic: String => "topic",
        readable: Option<bool> => "readable",
    }

    /// GET_CONSUMER_CONNECTION_LIST (203).
    GetConsumerConnectionListRequest {
        consumer_group: String => "consumerGroup",
    }

    /// GET_PRODUCER_CONNECTION_LIST (204).
    GetProducerConnectionListRequest {
        producer_group: String => "producerGroup",
    }

    /// GET_CONSUME_STATS (208); `topic_list` is separated by semicolons.
    GetConsumeStatsRequest {
        consumer_group: String => "consumerGroup",
        topic: Option<String> => "topic",
        topic_list: Option<String> => "topicList",
    }

    /// GET_BROKER_CONSUME_STATS (317).
    GetBrokerConsumeStatsRequest {
        is_order: bool => "isOrder" = false,
    }

    /// QUERY_TOPICS_BY_CONSUMER (343).
    QueryTopicsByConsumerRequest {
        group: String => "group",
    }

    /// QUERY_SUBSCRIPTION_BY_CONSUMER (345).
    QuerySubscriptionByConsumerRequest {
        group: String => "group",
        topic: Option<String> => "topic",
    }

    /// QUERY_CORRECTION_OFFSET (308); `filter_groups` is separated by commas.
    QueryCorrectionOffsetRequest {
        filter_groups: Option<String> => "filterGroups",
        compare_group: String => "compareGroup",
        topic: String => "topic",
    }

    /// CLONE_GROUP_OFFSET (314).
    CloneGroupOffsetRequest {
        source_group: String => "srcGroup",
        target_group: String => "destGroup",
        topic: Option<String> => "topic",
        offline: bool => "offline" = false,
    }
}
