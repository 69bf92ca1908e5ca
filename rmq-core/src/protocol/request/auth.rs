//! Users and access rules: 3001 to 3010; their contents are bodies.

use super::headers;

headers! {
    /// AUTH_CREATE_USER (3001), AUTH_UPDATE_USER (3002), AUTH_DELETE_USER (3003) and
    /// AUTH_GET_USER (3004).
    UserRequest {
        username: Option<String> => "username",
    }

    /// AUTH_LIST_USER (3005).
    ListUsersRequest {
        filter: Option<String> => "filter",
    }

    /// AUTH_CREATE_ACL (3006), AUTH_UPDATE_ACL (3007) and AUTH_GET_ACL (3009).
    AclRequest {
        subject: Option<String> => "subject",
    }

    /// AUTH_DELETE_ACL (3008).
    DeleteAclRequest {
        subject: Option<String> => "subject",
        policy_type: Option<String> => "policyType",
        resource: Option<String> => "resource",
    }

    /// AUTH_LIST_ACL (3010).
    ListAclsRequest {
        subject_filter: Option<String> => "subjectFilter",
        resource_filter: Option<String> => "resourceFilter",
    }
}
