//! A compact JWS (RFC 7515), checked from the cheap to the dear: shape, algorithm, issuer,
//! audience, times, and the signature last.

use super::header::Headers;
use super::keys::KeySet;
use super::keys::remote::{KeyStore, Standing};
use super::signature::SignatureCheck;
use super::{Identity, Issuer, Issuers, Refused, UnixSeconds};
use crate::json;
use crate::reason::Reason;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

const fn malformed(detail: &'static str) -> Refused {
    Refused::new(Reason::TokenMalformed, detail)
}

/// How long a verified token may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    not_before: Option<UnixSeconds>,
    expires: UnixSeconds,
}

impl Validity {
    #[cfg(test)]
    pub(super) const fn new(not_before: Option<UnixSeconds>, expires: UnixSeconds) -> Self {
        Self { not_before, expires }
    }

    /// Whether the token may be used now. `nbf` and `exp` are widened by the issuer's clock skew,
    /// as Spring Security does.
    ///
    /// # Errors
    /// It has expired, or is not valid yet.
    pub fn check(self, now: UnixSeconds) -> Result<(), Refused> {
        if now >= self.expires {
            return Err(Refused::new(Reason::TokenExpired, "exp has passed"));
        }
        if self.not_before.is_some_and(|from| now < from) {
            return Err(Refused::new(Reason::TokenNotYetValid, "nbf has not come"));
        }
        Ok(())
    }
}

/// A token whose signature is good: what it says of its bearer, and until when.
#[derive(Debug)]
pub struct Verified {
    /// Who it speaks of.
    pub identity: Identity,
    /// When it may be used.
    pub validity: Validity,
    /// Who signed it, by number.
    pub issuer: usize,
}

/// Why a token is not verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unverified {
    /// It is refused.
    Refused(Refused),
    /// The key that it names may still be fetched.
    NeedsKeys {
        /// From which issuer, by number.
        issuer: usize,
        /// The number of that issuer's last fetch when the wait began.
        fetches: u64,
    },
}

impl From<Refused> for Unverified {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Checks a token. `waited` is the number of the issuer's last fetch when the request began to wait
/// for its key: a key that a later fetch lacks is unknown.
///
/// # Errors
/// The first rule it breaks, or that its key must be waited for.
pub fn verify(
    text: &str,
    issuers: &Issuers,
    headers: &mut Headers,
    store: &mut KeyStore,
    waited: Option<u64>,
    now: UnixSeconds,
    check: &dyn SignatureCheck,
) -> Result<Verified, Unverified> {
    let [header, payload, signature] = parts(text)?;
    let header = headers.read(header)?;
    let algorithm = header.algorithm;
    let signature = decode(signature)?;
    let (claims, claims_text) = claims(payload, issuers)?;
    let (number, issuer) = issuer(&claims, issuers)?;
    if !issuer.algorithms.contains(&algorithm) {
        return Err(Refused::new(Reason::AlgorithmRefused, "alg is not one of the issuer's algorithms").into());
    }
    audience(&claims, issuer)?;
    entra_version(&claims, &issuer.issuer)?;
    let validity = validity(&claims, issuer)?;
    validity.check(now)?;
    issue(&claims)?;

    let (message, _) = text.rsplit_once('.').unwrap_or_default();
    let id = header.key_id.as_deref();
    let fits = |keys: &KeySet| -> Option<bool> {
        let mut candidates = keys.candidates(id, algorithm).peekable();
        candidates.peek()?;
        Some(candidates.any(|key| check.verify(algorithm, &key.public, message.as_bytes(), &signature)))
    };
    let names = |keys: &KeySet| id.is_some_and(|id| keys.has(id));
    let (fetched, brought, named) = match store.standing(number, now) {
        Standing::Nothing => (None, None, false),
        Standing::Missing => (None, Some(0), false),
        Standing::Good(keys, brought) => (fits(keys), Some(brought), names(keys)),
    };
    match (fits(&issuer.keys), fetched) {
        (Some(true), _) | (_, Some(true)) => {}
        (Some(false), _) | (_, Some(false)) => {
            return Err(Refused::new(Reason::SignatureInvalid, "the signature does not fit").into());
        }
        (None, None) if named || names(&issuer.keys) => {
            return Err(Refused::new(Reason::AlgorithmRefused, "alg does not fit the key that kid names").into());
        }
        (None, None) => {
            // A fetch that began after the request came, and lacks the key, settles it.
            if brought.is_none_or(|brought| waited.is_some_and(|waited| brought > waited)) {
                return Err(Refused::new(Reason::KeyUnknown, "no key of the issuer has this kid and algorithm").into());
            }
            let last = store.ask(number, now);
            return Err(Unverified::NeedsKeys { issuer: number, fetches: waited.unwrap_or(last) });
        }
    }
    let identity = Identity::of_verified_claims(&Value::Object(claims), claims_text, issuer)?;
    Ok(Verified { identity, validity, issuer: number })
}

fn parts(text: &str) -> Result<[&str; 3], Refused> {
    let mut parts = text.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(payload), Some(signature), None) => Ok([header, payload, signature]),
        _ => Err(malformed("not three parts divided by dots")),
    }
}

/// Base64url without padding (RFC 7515 section 2).
pub(super) fn decode(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed("a part is not base64url"))
}

/// The claims that are read, and the text of all.
fn claims(part: &str, issuers: &Issuers) -> Result<(Map<String, Value>, String), Refused> {
    let text = String::from_utf8(decode(part)?).ok();
    let claims = text.and_then(|text| Some((json::chosen(&text, &|name| issuers.read_claim(name)).ok()?, text)));
    claims.ok_or(malformed("the claims are not a JSON object without duplicates"))
}

fn issuer<'a>(claims: &Map<String, Value>, issuers: &'a Issuers) -> Result<(usize, &'a Issuer), Refused> {
    let named = match claims.get("iss") {
        None => None,
        Some(Value::String(name)) => issuers.named(name),
        Some(_) => return Err(malformed("iss is not text")),
    };
    named.ok_or(Refused::new(Reason::IssuerUnknown, "iss is missing or none of the configured issuers"))
}

/// RFC 7519 section 4.1.3: one text or a list of them; any match will do. A token without `aud` is
/// refused on purpose: it was not made for this API.
fn audience(claims: &Map<String, Value>, issuer: &Issuer) -> Result<(), Refused> {
    let wanted = |name: &str| issuer.audiences.iter().any(|a| a == name);
    let matches = match claims.get("aud") {
        None => false,
        Some(Value::String(name)) => wanted(name),
        Some(Value::Array(names)) => {
            let names: Option<Vec<&str>> = names.iter().filter(|name| !name.is_null()).map(Value::as_str).collect();
            names.ok_or(malformed("aud has something that is not text"))?.into_iter().any(wanted)
        }
        Some(_) => return Err(malformed("aud is neither text nor a list")),
    };
    if matches { Ok(()) } else { Err(Refused::new(Reason::AudienceMismatch, "aud has none of the issuer's audiences")) }
}

/// The cluster takes tokens of Microsoft Entra only in version 2.0.
fn entra_version(claims: &Map<String, Value>, issuer: &str) -> Result<(), Refused> {
    let entra =
        ["https://login.microsoftonline.com/", "https://sts.windows.net/"].iter().any(|p| issuer.starts_with(p));
    if entra && claims.get("ver").and_then(Value::as_str) != Some("2.0") {
        return Err(malformed("a token of Microsoft Entra that is not version 2.0"));
    }
    Ok(())
}

/// RFC 7519 sections 4.1.4 and 4.1.5. `exp` is required on purpose.
fn validity(claims: &Map<String, Value>, issuer: &Issuer) -> Result<Validity, Refused> {
    let not_before = time(claims, "nbf", "nbf is not a number of seconds")?;
    let expires = time(claims, "exp", "exp is not a number of seconds")?.ok_or(malformed("exp is missing"))?;
    if expires > LAST {
        return Err(malformed("exp is past all times that can be told"));
    }
    Ok(Validity {
        not_before: not_before.map(|t| t.saturating_sub(issuer.clock_skew)),
        expires: expires.saturating_add(issuer.clock_skew),
    })
}

/// RFC 7519 sections 4.1.6 and 4.1.7: `iat` and `jti` are held to their form.
fn issue(claims: &Map<String, Value>) -> Result<(), Refused> {
    time(claims, "iat", "iat is not a number of seconds")?;
    if claims.get("jti").is_some_and(|id| !id.is_string() && !id.is_null()) {
        return Err(malformed("jti is not text"));
    }
    Ok(())
}

/// A claim that is a time; null is none.
fn time(claims: &Map<String, Value>, name: &str, detail: &'static str) -> Result<Option<UnixSeconds>, Refused> {
    let given = claims.get(name).filter(|value| !value.is_null());
    given.map(|value| numeric_date(value).ok_or(malformed(detail))).transpose()
}

/// The last second that the cluster can tell, which counts in milliseconds.
const LAST: UnixSeconds = UnixSeconds::MAX / 1_000;

/// A NumericDate (RFC 7519 section 2), which may have a fraction; it is dropped.
fn numeric_date(value: &Value) -> Option<UnixSeconds> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        // Casting saturates; what is out of range stays far in the past or the future.
        #[cfg_attr(not(test), expect(clippy::as_conversions, reason = "seconds are wanted, not their fraction"))]
        number.as_f64().map(|seconds| seconds as UnixSeconds)
    })
}
