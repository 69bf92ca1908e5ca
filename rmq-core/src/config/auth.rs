//! Keys of users and permissions.

use crate::config::table::{absent, is, settings};

settings! {
    /// Known and accepted; rmq has no access control yet.
    pub struct AuthKeys {
        parts {}
        used {}
        accepted {
            "configName": Text = absent(), "Name of the configuration; the broker sets it.";
            "clusterName": Text = absent(), "Cluster for the configuration; the broker sets it.";
            "authConfigPath": Text = absent().immutable(),
                "Folder of users and permissions; the broker sets it.";
            "authenticationEnabled": Bool = is("false"), "Checks who sends a request.";
            "authenticationProvider": Text = absent().immutable(), "Class that checks it.";
            "authenticationMetadataProvider": Text = absent().immutable(),
                "Class that keeps users.";
            "authenticationStrategy": Text = absent().immutable(),
                "Class that decides when to check.";
            "authenticationWhitelist": Text = absent(), "Request codes that need no check.";
            "initAuthenticationUser": Text = absent().secret(),
                "First user, as JSON with username and password.";
            "innerClientAuthenticationCredentials": Text = absent().secret(),
                "Access key and secret key of requests between brokers, as JSON.";
            "authorizationEnabled": Bool = is("false"), "Checks what a user may do.";
            "authorizationProvider": Text = absent().immutable(), "Class that checks it.";
            "authorizationMetadataProvider": Text = absent().immutable(),
                "Class that keeps permissions.";
            "authorizationStrategy": Text = absent().immutable(),
                "Class that decides when to check.";
            "authorizationWhitelist": Text = absent(), "Request codes that everybody may use.";
            "migrateAuthFromV1Enabled": Bool = is("false"),
                "Takes over plain_acl.yml of RocketMQ 4.";
            "userCacheMaxNum": Int = is("1000"), "Users kept in memory.";
            "userCacheExpiredSecond": Int = is("600"), "Time a user is kept in memory.";
            "userCacheRefreshSecond": Int = is("60"), "Time after which a user is read again.";
            "aclCacheMaxNum": Int = is("1000"), "Permissions kept in memory.";
            "aclCacheExpiredSecond": Int = is("600"), "Time a permission is kept in memory.";
            "aclCacheRefreshSecond": Int = is("60"), "Time after which a permission is read again.";
            "statefulAuthenticationCacheMaxNum": Int = is("10000"),
                "Checked connections kept in memory.";
            "statefulAuthenticationCacheExpiredSecond": Int = is("60"),
                "Time a checked connection is kept.";
            "statefulAuthorizationCacheMaxNum": Int = is("10000"), "Decisions kept in memory.";
            "statefulAuthorizationCacheExpiredSecond": Int = is("60"), "Time a decision is kept.";
        }
    }
}
