//! What a broker may do in its role: which configurations start, and what a slave refuses.

use crate::base::{Error, ErrorKind, Result};
use crate::broker::reply::Refusal;
use crate::config::{BrokerConfig, BrokerRole};
use crate::protocol::code::{RequestCode, ResponseCode};

/// Begins the remark of what is refused before it is looked at.
pub(crate) const REJECTED: &str = "[REJECTREQUEST]system busy, start flow control for a while";

/// Refuses a configuration whose broker would not do what its role promises.
pub(crate) fn check(config: &BrokerConfig) -> Result<()> {
    let refuse = |context: String| Err(Error::new(ErrorKind::Invalid, "start broker", context));
    if let Err((key, why)) = config.check_role() {
        return refuse(format!("{key}: {why}"));
    }
    let store = &config.store;
    if store.broker_role != BrokerRole::Slave {
        return Ok(());
    }
    match (config.namesrv_addr.is_empty(), &store.ha_master_address) {
        (true, None) => refuse(
            "brokerRole=SLAVE needs namesrvAddr (a nameserver tells it its master) or \
             haMasterAddress"
                .to_owned(),
        ),
        (true, Some(address)) => {
            tracing::warn!(
                haMasterAddress = address,
                "without namesrvAddr messages are copied, but topics, groups and offsets are not"
            );
            Ok(())
        }
        (false, _) => Ok(()),
    }
}

/// What a slave answers to a request that only a master may serve; `master` is its address, if it
/// is known.
pub(crate) fn refuse_on_slave(code: i32, master: Option<&str>) -> Option<Refusal> {
    let refuse = |code, remark: String| Some(Refusal::new(code, remark));
    match RequestCode::new(code) {
        RequestCode::SEND_MESSAGE
        | RequestCode::SEND_MESSAGE_V2
        | RequestCode::SEND_BATCH_MESSAGE
        | RequestCode::CONSUMER_SEND_MSG_BACK => refuse(
            ResponseCode::SYSTEM_BUSY,
            format!("{REJECTED}: this broker is a slave; {}", send_to(master)),
        ),
        RequestCode::END_TRANSACTION => refuse(
            ResponseCode::SLAVE_NOT_AVAILABLE,
            format!("a slave ends no transaction; {}", send_to(master)),
        ),
        RequestCode::RECALL_MESSAGE => refuse(
            ResponseCode::SLAVE_NOT_AVAILABLE,
            format!("a slave recalls no message; {}", send_to(master)),
        ),
        RequestCode::INVOKE_BROKER_TO_RESET_OFFSET => refuse(
            ResponseCode::SYSTEM_ERROR,
            format!("Can not reset offset in slave broker; {}", send_to(master)),
        ),
        RequestCode::UPDATE_AND_CREATE_TOPIC
        | RequestCode::UPDATE_AND_CREATE_TOPIC_LIST
        | RequestCode::UPDATE_AND_CREATE_STATIC_TOPIC
        | RequestCode::DELETE_TOPIC_IN_BROKER
        | RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
        | RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST
        | RequestCode::DELETE_SUBSCRIPTIONGROUP
        | RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN
        | RequestCode::SET_MESSAGE_REQUEST_MODE => refuse(
            ResponseCode::SYSTEM_ERROR,
            format!(
                "a slave takes topics and groups from its master; {}",
                send_to(master)
            ),
        ),
        _ => None,
    }
}

fn send_to(master: Option<&str>) -> String {
    match master {
        Some(address) => format!("ask its master {address}"),
        None => "ask its master, which is not known now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slave() -> BrokerConfig {
        let mut config = BrokerConfig::embedded_defaults("/store");
        config.store.broker_role = BrokerRole::Slave;
        config.broker_id = 1;
        config.namesrv_addr = vec!["127.0.0.1:9876".to_owned()];
        config
    }

    #[test]
    fn a_role_that_would_not_keep_its_promise_is_refused() {
        let refused = |edit: fn(&mut BrokerConfig)| {
            let mut config = slave();
            edit(&mut config);
            let error = check(&config).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            error.to_string()
        };
        let error = refused(|config| config.broker_id = 0);
        assert!(error.contains("Slave's brokerId must be > 0"), "{error}");
        for role in [BrokerRole::AsyncMaster, BrokerRole::SyncMaster] {
            let mut config = slave();
            config.store.broker_role = role;
            let error = check(&config).unwrap_err().to_string();
            assert!(error.contains("brokerRole=SLAVE"), "{error}");
            config.broker_id = 0;
            check(&config).unwrap();
        }
        let error = refused(|config| config.namesrv_addr.clear());
        assert!(error.contains("haMasterAddress"), "{error}");
        let error = refused(|config| config.store.ha_master_address = Some("host".to_owned()));
        assert!(error.contains("haMasterAddress: allowed"), "{error}");
    }

    #[test]
    fn either_way_of_finding_the_master_is_enough() {
        check(&slave()).unwrap();
        let mut config = slave();
        config.namesrv_addr.clear();
        config.store.ha_master_address = Some("127.0.0.1:10912".to_owned());
        check(&config).unwrap();
    }

    #[test]
    fn a_slave_refuses_what_changes_the_group_and_names_its_master() {
        for (code, answer) in [
            (10, 2),
            (310, 2),
            (320, 2),
            (36, 2),
            (37, 11),
            (370, 11),
            (222, 1),
        ] {
            let refusal = refuse_on_slave(code, Some("m:1")).unwrap();
            assert_eq!(refusal.code.value(), answer, "{code}");
            assert!(refusal.remark.contains("m:1"), "{}", refusal.remark);
            assert_eq!(refusal.remark.starts_with("[REJECTREQUEST]"), answer == 2);
        }
        for code in [17, 18, 200, 207, 215, 225] {
            assert!(refuse_on_slave(code, None).is_some(), "{code}");
        }
        for code in [11, 14, 15, 21, 25, 28, 29, 30, 31, 34, 35, 38, 43, 361] {
            assert_eq!(refuse_on_slave(code, None), None, "{code}");
        }
    }
}
