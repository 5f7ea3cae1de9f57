//! Lengths of time as Envoy and Kubernetes write them: `60s`, `5m`.

/// The seconds of `60s`, `5m` or `2h`; `None` where the text is none of these.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let (number, factor) = [("s", 1), ("m", 60), ("h", 3_600)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<i64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn lengths_of_time() {
        assert_eq!(
            [seconds("60s"), seconds("5m"), seconds("1h"), seconds("0s")],
            [Some(60), Some(300), Some(3_600), Some(0)]
        );
        for text in ["", "s", "60", "-1s", "+1s", "1 s", "1d", "1.5s", "99999999999999999999s", "9223372036854775807h"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
