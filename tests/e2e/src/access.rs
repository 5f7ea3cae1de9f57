//! One line of Envoy's access log, in the JSON format of the shipped configuration.

use serde_json::Value;

/// What Envoy logged about one request.
#[derive(Debug, Clone)]
pub struct AccessLine(Value);

impl AccessLine {
    /// Reads a line; `None` while it is not written to its end.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(Self)
    }

    /// A field of the log format; null where Envoy had no value.
    pub fn field(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// The request's `x-request-id`.
    pub fn request_id(&self) -> &str {
        self.field("request_id").as_str().unwrap_or_default()
    }

    /// The status that Envoy answered; 0 where the caller left before.
    pub fn status(&self) -> u64 {
        self.field("status").as_u64().unwrap_or_default()
    }

    /// The response code details: the reason code where the filter has answered.
    pub fn details(&self) -> &str {
        self.field("details").as_str().unwrap_or_default()
    }

    /// The decision that the filter left in the filter state.
    pub fn decision(&self) -> Option<Value> {
        serde_json::from_str(self.field("decision").as_str()?).ok()
    }

    /// Why the caller got this answer: the decision's reason; Envoy's response code details where
    /// there is no decision, or where someone after the filter stopped what it had allowed.
    pub fn reason(&self) -> String {
        let decision = self.decision().unwrap_or_default();
        let stopped = decision["decision"] == "allow" && self.details() != "via_upstream";
        let reason = decision["reason"].as_str().filter(|_| !stopped);
        reason.unwrap_or(self.details()).to_owned()
    }

    /// Microseconds from the request's first byte to the answer's last one; `None` where the
    /// answer was not sent to its end.
    pub fn micros(&self) -> Option<u64> {
        self.field("duration_us").as_u64()
    }
}
