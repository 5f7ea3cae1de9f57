//! Reason codes: one table of what each means, what it answers and what to do about it.

/// Declares the codes; the README's table is checked against this one.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $http:literal, $grpc:literal, $todo:literal;)+) => {
        /// Why a request was decided as it was. The codes are stable.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Reason { $($(#[doc = $doc])+ $variant,)+ }

        impl Reason {
            /// All reasons, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code in logs and answers.
            #[must_use]
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code),+ } }

            /// The HTTP status of the edge; 200 where it forwards.
            #[must_use]
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $http),+ } }

            /// The gRPC status of the edge; 0 where it forwards.
            #[must_use]
            pub const fn grpc_status(self) -> u8 { match self { $(Self::$variant => $grpc),+ } }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str { match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),+ } }

            /// What to do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str { match self { $(Self::$variant => $todo),+ } }
        }
    };
}

reasons! {
    /// A grant on `*` covers it.
    GrantedWildcard = "granted_wildcard", 200, 0, "Nothing.";
    /// A grant on this very resource id covers it.
    GrantedId = "granted_id", 200, 0, "Nothing.";
    /// Any identity may do it.
    NoPermissionRequired = "no_permission_required", 200, 0, "Nothing.";
    /// The caller is a cluster administrator.
    ClusterAdmin = "cluster_admin", 200, 0, "Take it out of `clusterAdmin` where it should not be.";
    /// It needs no credential, and the configuration opens it.
    Anonymous = "anonymous", 200, 0, "Take it out of `anonymous` to require a credential.";
    /// A preflight request (CORS), which carries no credential and does nothing.
    Preflight = "preflight", 200, 0, "`cors.preflight: deny` stops it here.";
    /// Grants on some ids are held; which id the key means, the cluster knows.
    DeferredKey = "deferred_key", 200, 0, "Nothing, or `unresolved: deny` to stop it here.";
    /// The cluster answers with what the caller may see.
    DeferredFilter = "deferred_filter", 200, 0, "Nothing, or `searches: deny` for callers that hold nothing.";
    /// A grant by property of the task may cover it.
    DeferredProperty = "deferred_property", 200, 0, "Nothing, or `unresolved: deny` to stop it here.";
    /// The id in the body is not known: too long a body, or no plain id in it.
    DeferredBody = "deferred_body", 200, 0, "Raise `body.maxBytes`, or `unresolved: deny` to stop it here.";
    /// A grant covers it under a condition that only the cluster can evaluate.
    DeferredCondition = "deferred_condition", 200, 0, "Nothing, or `unresolved: deny` to stop it here.";
    /// What is asked for, or what it requires, is known to the cluster alone.
    DeferredUnmapped = "deferred_unmapped", 200, 0, "Nothing, or `unresolved: deny` to stop it here.";
    /// The grants cover it; whether the tenant does, the cluster decides.
    DeferredTenant = "deferred_tenant", 200, 0, "Nothing, or `unresolved: deny` to stop it here.";
    /// Readers of the path could take it for different things.
    PathAmbiguous = "path_ambiguous", 400, 3, "Send the path in its plain form.";
    /// Something beside method and path could make readers take it for another request.
    RequestAmbiguous = "request_ambiguous", 400, 3, "Send it without what the log names.";
    /// More than one credential, or a kind the edge does not read beside the token.
    CredentialAmbiguous = "credential_ambiguous", 400, 3, "Send exactly one credential.";
    /// The body decides and is not written so that every reader reads it alike.
    BodyUnreadable = "body_unreadable", 400, 3, "See the detail in the log; `docs/stricter.md` has the rules.";
    /// No token.
    TokenMissing = "token_missing", 401, 16, "Send a token where `credentials` says.";
    /// Not a compact JWS, or a header or claim breaks a rule of form.
    TokenMalformed = "token_malformed", 401, 16, "See the detail in the log; get another token.";
    /// `exp` has passed.
    TokenExpired = "token_expired", 401, 16, "Get a fresh token; compare the clocks.";
    /// `nbf` has not come.
    TokenNotYetValid = "token_not_yet_valid", 401, 16, "Compare the clocks.";
    /// `iss` is none of the configured issuers.
    IssuerUnknown = "issuer_unknown", 401, 16, "Compare `iss` with `issuers[].issuer`, to the last slash.";
    /// `aud` has none of the issuer's audiences.
    AudienceMismatch = "audience_mismatch", 401, 16, "Compare `aud` with `issuers[].audiences`.";
    /// `alg` is not one that the issuer may use.
    AlgorithmRefused = "algorithm_refused", 401, 16, "Sign with an algorithm of `issuers[].algorithms`.";
    /// No key of the issuer has this `kid`.
    KeyUnknown = "key_unknown", 401, 16, "Compare `kid` with the issuer's key set.";
    /// The signature does not fit the key.
    SignatureInvalid = "signature_invalid", 401, 16, "The token was changed, or signed with another key.";
    /// The claims name no username or client id, or not as text.
    IdentityMissing = "identity_missing", 401, 16, "Compare the token's claims with `issuers[].claims`.";
    /// No operation of this API version has the method and path.
    OperationUnknown = "operation_unknown", 403, 7, "`portcullis operations METHOD PATH`; see `api.version`.";
    /// The operation belongs to a surface that is not open.
    OperationBlocked = "operation_blocked", 403, 7, "Reach it inside the cluster's network.";
    /// No grant of the permission on any resource.
    PermissionMissing = "permission_missing", 403, 7, "`portcullis explain`; grant the permission in the cluster.";
    /// The permission is granted, on other resources.
    ResourceNotGranted = "resource_not_granted", 403, 7, "`portcullis explain`; grant it on this resource id.";
    /// The request names a tenant that the caller is not assigned to.
    TenantNotAssigned = "tenant_not_assigned", 403, 7, "Assign the caller to the tenant in the cluster.";
    /// Only the cluster could complete the decision, and `unresolved` says deny.
    Unresolved = "unresolved", 403, 7, "Grant it on `*`, or set `unresolved` to defer.";
    /// The issuer's keys could not be fetched, or not in time.
    KeysUnavailable = "keys_unavailable", 503, 14, "See the proxy's log; check the identity provider and its cluster.";
    /// No body came to the filter while the request was held.
    BodyWithheld = "body_withheld", 503, 14, "Set `allow_on_headers_stop_iteration: true`, or `body.gate: stream`.";
    /// The filter has no plan to judge with, or the proxy refused it a call.
    EdgeUnavailable = "edge_unavailable", 503, 14, "See the proxy's log.";
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn codes_are_lower_snake_and_unique() {
        let mut codes: Vec<&str> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert!(codes.iter().all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
