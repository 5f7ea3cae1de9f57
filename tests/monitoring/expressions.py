"""Makes Prometheus rules of the expressions of a Grafana dashboard, for promtool to read."""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    panels = json.load(file)["panels"]
expressions = [target["expr"] for panel in panels for target in panel["targets"]]
rules = [{"record": f"dashboard:{number}", "expr": expr} for number, expr in enumerate(expressions)]
print(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
