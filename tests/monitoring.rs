//! What the monitoring says fits what the filter counts.

use portcullis::reason::Reason;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

const RULES: &str = "envoy/monitoring/prometheus-rules.yaml";
const DASHBOARD: &str = "envoy/monitoring/grafana-dashboard.json";

/// Whether a pattern of the form `a_.*|b` takes a text.
fn takes(pattern: &str, text: &str) -> bool {
    pattern.split('|').any(|part| match part.strip_suffix(".*") {
        Some(head) => text.starts_with(head),
        None => text == part,
    })
}

#[test]
fn denials_are_told_from_allows() {
    let mut patterns = 0;
    for name in [RULES, DASHBOARD] {
        let text = read(name).replace("\\\"", "\"");
        for rest in text.split("component!~\"").skip(1).chain(text.split("component=~\"").skip(1)) {
            let pattern = rest.split('"').next().unwrap();
            for reason in Reason::ALL {
                assert_eq!(takes(pattern, reason.code()), reason.status() == 200, "{name}: {}", reason.code());
            }
            patterns += 1;
        }
    }
    assert!(patterns >= 4);
}

#[test]
fn reasons_and_metrics_that_are_named_exist() {
    let counted = ["vm", "counts"].map(|file| read(&format!("filters/portcullis/src/{file}.rs"))).concat();
    for name in [RULES, DASHBOARD, "docs/alerts.md"] {
        let text = read(name).replace("\\\"", "\"");
        for rest in text.split("component=\"").skip(1) {
            let component = rest.split('"').next().unwrap();
            let known = Reason::ALL.iter().any(|r| r.code() == component)
                || ["good", "failed", "body", "keys"].contains(&component);
            assert!(known, "{name}: {component}");
        }
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
            if word.starts_with("portcullis_") {
                let metric = word.strip_suffix("_bucket").unwrap_or(word);
                assert!(counted.contains(metric), "{name}: {word}");
            }
        }
    }
}

#[test]
fn every_metric_is_explained() {
    let explained = read("docs/alerts.md");
    for file in ["vm", "counts"] {
        let source = read(&format!("filters/portcullis/src/{file}.rs"));
        let names =
            source.split(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|w| w.starts_with("portcullis_"));
        for name in names {
            assert!(explained.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}

#[test]
fn every_alert_is_explained() {
    let explained = read("docs/alerts.md");
    let rules = read(RULES);
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 5);
    for alert in alerts {
        assert!(explained.contains(&format!("| `{alert}` |")), "{alert}");
    }
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{}", panel["title"]);
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
    }
}
