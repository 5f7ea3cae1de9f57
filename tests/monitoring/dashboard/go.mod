module portcullis/dashboard

go 1.23

// Grafana's types of dashboards (Apache-2.0); Grafana itself need not be there.
require github.com/grafana/grafana-foundation-sdk/go v0.0.22
