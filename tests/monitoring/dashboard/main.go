// Whether Grafana's own types take the dashboard: every member known, every one that is required there,
// panels and queries by the types of their plugins.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func check(file string) error {
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var read dashboard.Dashboard
	if err := faults(read.UnmarshalJSONStrict(text)); err != nil {
		return err
	}
	// Read strictly, panels are only looked at.
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	if err := faults(read.Validate()); err != nil {
		return err
	}
	for _, panel := range read.Panels {
		if panel.Panel == nil {
			return errors.New("a row where a panel should be")
		}
		if _, known := cog.ConfigForPanelcfgVariant(panel.Panel.Type); !known {
			return fmt.Errorf("Grafana has no panels of type %q", panel.Panel.Type)
		}
	}
	fmt.Println(file, "is a dashboard of", len(read.Panels), "panels")
	return nil
}

// The SDK also returns a list of faults that is empty.
func faults(err error) error {
	var all cog.BuildErrors
	if errors.As(err, &all) && len(all) == 0 {
		return nil
	}
	return err
}

func main() {
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
