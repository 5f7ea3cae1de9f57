//! The JOSE header of a token (RFC 7515 section 4): by which algorithm and key it is signed.

use super::Refused;
use super::keys::Algorithm;
use crate::json;
use crate::reason::Reason;
use jwt_compact::{ParseError, UntrustedToken};
use serde_json::Value;
use std::rc::Rc;

/// Header parameters that are refused: `crit` names extensions that must be understood (RFC 7515
/// section 4.1.11; none is), the others would let a token bring its own key (RFC 8725 section 3.10).
const REFUSED_PARAMETERS: [&str; 5] = ["crit", "jwk", "jku", "x5u", "x5c"];
/// The types that the cluster takes, without regard to case (RFC 7515 section 4.1.9): others are made for something else,
/// as those of logout are (RFC 8725 section 3.11).
const TYPES: [&str; 2] = ["JWT", "at+jwt"];
/// How many headers are kept, and of what length at most, in bytes: an issuer's tokens differ in
/// their claims, and have one header for each of its keys.
const KEPT: usize = 16;
const LONGEST: usize = 512;

/// What a header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub key_id: Option<String>,
}

/// The headers that came last, so that each need not be read with every token.
#[derive(Debug, Default)]
pub struct Headers {
    kept: Vec<(Box<str>, Rc<Header>)>,
    next: usize,
}

impl Headers {
    /// What a header says, given the first part of a token.
    ///
    /// # Errors
    /// It is not one, breaks a rule of form, or names an algorithm that is never accepted.
    pub fn read(&mut self, part: &str) -> Result<Rc<Header>, Refused> {
        if let Some((_, header)) = self.kept.iter().find(|(known, _)| **known == *part) {
            return Ok(Rc::clone(header));
        }
        let header = Rc::new(read(part)?);
        if part.len() <= LONGEST {
            let kept = (part.into(), Rc::clone(&header));
            match self.kept.get_mut(self.next) {
                Some(oldest) => *oldest = kept,
                None => self.kept.push(kept),
            }
            self.next = self.next.saturating_add(1).checked_rem(KEPT).unwrap_or(0);
        }
        Ok(header)
    }
}

fn read(part: &str) -> Result<Header, Refused> {
    let malformed = |detail| Refused::new(Reason::TokenMalformed, detail);
    let bytes = super::token::decode(part)?;
    let header = match json::parse(&bytes) {
        Ok(Value::Object(header)) => header,
        _ => return Err(malformed("the header is not a JSON object without duplicates")),
    };
    if REFUSED_PARAMETERS.iter().any(|name| header.contains_key(*name)) {
        return Err(malformed("the header has crit, jwk, jku, x5u or x5c"));
    }
    let is_taken = |name: &str| TYPES.iter().any(|taken| name.eq_ignore_ascii_case(taken));
    match header.get("typ") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) if is_taken(name) => {}
        Some(_) => return Err(malformed("typ is neither JWT nor at+jwt")),
    }
    let algorithm = match header.get("alg") {
        Some(Value::String(name)) => Algorithm::named(name),
        _ => return Err(malformed("alg is missing or not text")),
    };
    let algorithm = algorithm.ok_or(Refused::new(Reason::AlgorithmRefused, "alg is not an accepted algorithm"))?;
    // The crate reads the header of a whole token: this one has nothing else.
    let token = format!("{part}..");
    let token = UntrustedToken::<'_, jwt_compact::Empty>::try_from(&*token).map_err(|error| match error {
        ParseError::UnsupportedContentType(_) => malformed("cty is not JSON"),
        _ => malformed("the header breaks a rule of form"),
    })?;
    Ok(Header { algorithm, key_id: token.header().key_id.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn part(header: &str) -> String {
        URL_SAFE_NO_PAD.encode(header)
    }

    #[test]
    fn a_known_header_says_the_same_and_a_bad_one_is_refused_each_time() {
        let mut headers = Headers::default();
        let good = part(r#"{"alg":"ES256","kid":"one"}"#);
        let expected = Header { algorithm: Algorithm::Es256, key_id: Some("one".into()) };
        for _ in 0..3 {
            assert_eq!(*headers.read(&good).unwrap(), expected);
            for bad in ["{}", r#"{"alg":"none"}"#, r#"{"alg":"ES256","crit":[]}"#, r#"{"alg":"ES256","cty":"x"}"#] {
                assert!(headers.read(&part(bad)).is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn few_headers_are_kept_and_none_is_taken_for_another() {
        let mut headers = Headers::default();
        let header = |number: usize| part(&format!(r#"{{"alg":"RS256","kid":"{number}"}}"#));
        for number in (0..100).chain(0..3) {
            assert_eq!(headers.read(&header(number)).unwrap().key_id, Some(number.to_string()));
            assert!(headers.kept.len() <= KEPT);
        }
        let long = part(&format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "x".repeat(LONGEST)));
        assert!(headers.read(&long).is_ok());
        assert!(headers.kept.iter().all(|(known, _)| known.len() <= LONGEST));
    }
}
