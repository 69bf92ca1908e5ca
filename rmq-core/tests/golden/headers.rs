//! Typed headers: each reads the fields that Apache's header of the same request writes, and
//! writes them back under the same names with the same values.

use std::collections::BTreeMap;

use rmq_core::protocol::request::admin::*;
use rmq_core::protocol::request::auth::*;
use rmq_core::protocol::request::broker::*;
use rmq_core::protocol::request::controller::*;
use rmq_core::protocol::request::group::*;
use rmq_core::protocol::request::ha::*;
use rmq_core::protocol::request::heartbeat::*;
use rmq_core::protocol::request::kv::*;
use rmq_core::protocol::request::namesrv::*;
use rmq_core::protocol::request::offset::*;
use rmq_core::protocol::request::pop::*;
use rmq_core::protocol::request::push::*;
use rmq_core::protocol::request::query::*;
use rmq_core::protocol::request::topic::*;
use rmq_core::protocol::request::transaction::*;
use rmq_core::protocol::request::{EncodeHeader, Header};
use rmq_core::protocol::{Command, ExtFields};

use crate::data::Line;

/// Fields that any request may carry and that no header of rmq names.
const COMMON: [&str; 5] = ["bname", "lo", "ns", "nsd", "oway"];

fn check_header<H: Header + EncodeHeader>(line: &Line, command: &Command) {
    let place = &line.place;
    let name = line.text("name");
    let header = command
        .header::<H>()
        .unwrap_or_else(|e| panic!("{place}: {name}: {e}"));
    let mut ext = ExtFields::new();
    header.encode(&mut ext);
    let theirs: BTreeMap<&str, &str> = command.ext.iter().collect();
    for (key, value) in ext.iter() {
        assert_eq!(theirs.get(key), Some(&value), "{place}: {name}: {key}");
    }
    let left_out: Vec<&str> = theirs
        .keys()
        .copied()
        .filter(|key| ext.get(key).is_none() && !COMMON.contains(key))
        .collect();
    // Newer releases add fields.
    assert!(
        left_out.is_empty() || !place.starts_with("5.3.3"),
        "{place}: {name} leaves out {left_out:?}"
    );
}

macro_rules! headers {
    ($($name:literal: $header:ty,)*) => {
        /// Checks the frame against rmq's header of that request, where there is one.
        pub(crate) fn check(line: &Line, command: &Command) {
            let name = line.text("name");
            $(if name == $name {
                return check_header::<$header>(line, command);
            })*
        }
    };
}

headers! {
    "AckMessageRequestHeader": AckMessageRequest,
    "AddWritePermOfBrokerRequestHeader": AddWritePermRequest,
    "AlterSyncStateSetRequestHeader": AlterSyncStateSetRequest,
    "ApplyBrokerIdRequestHeader": ApplyBrokerIdRequest,
    "BrokerHeartbeatRequestHeader": BrokerHeartbeatRequest,
    "ChangeInvisibleTimeRequestHeader": ChangeInvisibleTimeRequest,
    "CheckRocksdbCqWriteProgressRequestHeader": CheckRocksdbProgressRequest,
    "CheckTransactionStateRequestHeader": CheckTransactionStateRequest,
    "CleanControllerBrokerDataRequestHeader": CleanBrokerDataRequest,
    "CloneGroupOffsetRequestHeader": CloneGroupOffsetRequest,
    "ConsumeMessageDirectlyResultRequestHeader": ConsumeMessageDirectlyRequest,
    "ConsumerSendMsgBackRequestHeader": SendMessageBackRequest,
    "CreateAclRequestHeader": AclRequest,
    "CreateTopicRequestHeader": CreateTopicRequest,
    "CreateUserRequestHeader": UserRequest,
    "DeleteAclRequestHeader": DeleteAclRequest,
    "DeleteKVConfigRequestHeader": DeleteKvConfigRequest,
    "DeleteSubscriptionGroupRequestHeader": DeleteSubscriptionGroupRequest,
    "DeleteTopicFromNamesrvRequestHeader": DeleteTopicInNamesrvRequest,
    "DeleteTopicRequestHeader": DeleteTopicRequest,
    "DeleteUserRequestHeader": UserRequest,
    "ElectMasterRequestHeader": ElectMasterRequest,
    "EndTransactionRequestHeader": EndTransactionRequest,
    "ExportRocksDBConfigToJsonRequestHeader": ExportRocksdbConfigRequest,
    "GetAclRequestHeader": AclRequest,
    "GetAllTopicConfigResponseHeader": GetAllTopicConfigResponse,
    "GetBrokerMemberGroupRequestHeader": GetBrokerMemberGroupRequest,
    "GetConsumeStatsInBrokerHeader": GetBrokerConsumeStatsRequest,
    "GetConsumeStatsRequestHeader": GetConsumeStatsRequest,
    "GetConsumerConnectionListRequestHeader": GetConsumerConnectionListRequest,
    "GetConsumerListByGroupRequestHeader": GetConsumerListRequest,
    "GetConsumerRunningInfoRequestHeader": GetConsumerRunningInfoRequest,
    "GetConsumerStatusRequestHeader": GetConsumerStatusRequest,
    "GetEarliestMsgStoretimeRequestHeader": GetEarliestStoreTimeRequest,
    "GetKVConfigRequestHeader": GetKvConfigRequest,
    "GetKVListByNamespaceRequestHeader": GetKvListRequest,
    "GetMaxOffsetRequestHeader": GetMaxOffsetRequest,
    "GetMinOffsetRequestHeader": GetMinOffsetRequest,
    "GetNextBrokerIdRequestHeader": GetNextBrokerIdRequest,
    "GetProducerConnectionListRequestHeader": GetProducerConnectionListRequest,
    "GetReplicaInfoRequestHeader": GetReplicaInfoRequest,
    "GetRouteInfoRequestHeader": GetRouteInfoRequest,
    "GetSubscriptionGroupConfigRequestHeader": GetSubscriptionGroupConfigRequest,
    "GetTopicConfigRequestHeader": GetTopicConfigRequest,
    "GetTopicStatsInfoRequestHeader": GetTopicStatsInfoRequest,
    "GetTopicsByClusterRequestHeader": GetTopicsByClusterRequest,
    "GetUserRequestHeader": UserRequest,
    "ListAclsRequestHeader": ListAclsRequest,
    "ListUsersRequestHeader": ListUsersRequest,
    "NotificationRequestHeader": NotificationRequest,
    "NotifyBrokerRoleChangedRequestHeader": NotifyBrokerRoleChangedRequest,
    "NotifyConsumerIdsChangedRequestHeader": NotifyConsumerIdsChangedRequest,
    "NotifyMinBrokerIdChangeRequestHeader": NotifyMinBrokerIdChangeRequest,
    "PeekMessageRequestHeader": PeekMessageRequest,
    "PollingInfoRequestHeader": PollingInfoRequest,
    "PopMessageRequestHeader": PopMessageRequest,
    "PutKVConfigRequestHeader": PutKvConfigRequest,
    "QueryConsumeQueueRequestHeader": QueryConsumeQueueRequest,
    "QueryConsumeTimeSpanRequestHeader": QueryConsumeTimeSpanRequest,
    "QueryConsumerOffsetRequestHeader": QueryConsumerOffsetRequest,
    "QueryCorrectionOffsetHeader": QueryCorrectionOffsetRequest,
    "QueryDataVersionRequestHeader": QueryDataVersionRequest,
    "QueryMessageRequestHeader": QueryMessageRequest,
    "QuerySubscriptionByConsumerRequestHeader": QuerySubscriptionByConsumerRequest,
    "QueryTopicConsumeByWhoRequestHeader": QueryTopicConsumeByWhoRequest,
    "QueryTopicsByConsumerRequestHeader": QueryTopicsByConsumerRequest,
    "RecallMessageRequestHeader": RecallMessageRequest,
    "RegisterBrokerRequestHeader": RegisterBrokerRequest,
    "RegisterBrokerToControllerRequestHeader": RegisterToControllerRequest,
    "RegisterTopicRequestHeader": RegisterTopicRequest,
    "ReplyMessageRequestHeader": PushReplyMessageRequest,
    "ResetMasterFlushOffsetHeader": ResetMasterFlushOffsetRequest,
    "ResetOffsetRequestHeader": ResetOffsetRequest,
    "ResumeCheckHalfMessageRequestHeader": ResumeCheckHalfMessageRequest,
    "SearchOffsetRequestHeader": SearchOffsetRequest,
    "UnRegisterBrokerRequestHeader": UnregisterBrokerRequest,
    "UnregisterClientRequestHeader": UnregisterClientRequest,
    "UpdateAclRequestHeader": AclRequest,
    "UpdateConsumerOffsetRequestHeader": UpdateConsumerOffsetRequest,
    "UpdateGroupForbiddenRequestHeader": UpdateGroupForbiddenRequest,
    "UpdateUserRequestHeader": UserRequest,
    "ViewBrokerStatsDataRequestHeader": ViewBrokerStatsDataRequest,
    "ViewMessageRequestHeader": ViewMessageRequest,
    "WipeWritePermOfBrokerRequestHeader": WipeWritePermRequest,
}
