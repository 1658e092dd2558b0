package mlflow

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

const (
	// Variable is where MLflow's own client has the server's address from.
	Variable = "MLFLOW_TRACKING_URI"
	// FromEnvironment is what the flag takes instead of an address.
	FromEnvironment = "env"
)

// Flags are -mlflow and -mlflow-experiment, which say where MLflow is told of a run.
type Flags struct{ URI, Experiment string }

// Define defines the flags. The experiment has the initial name, or the one that usage speaks of.
func (f *Flags) Define(flags *flag.FlagSet, initial, usage string) {
	flags.StringVar(&f.URI, "mlflow", "", "also tell MLflow: the `address` of its server, "+
		"a folder in the layout of its file store, or "+FromEnvironment+" for what "+Variable+
		" says (docs/tracking.md)")
	flags.StringVar(&f.Experiment, "mlflow-experiment", initial, usage)
}

// Check takes the address, and reports one that nothing can be told to. given are the flags on the
// command line.
func (f *Flags) Check(given map[string]bool) error {
	switch {
	case given["mlflow-experiment"] && f.URI == "":
		return errors.New("-mlflow-experiment applies to -mlflow alone")
	case f.URI == "" && !given["mlflow"]:
		return nil
	case given["mlflow-experiment"] && f.Experiment == "":
		return errors.New("-mlflow-experiment: an experiment has a name")
	}
	if f.URI == FromEnvironment {
		if f.URI = os.Getenv(Variable); f.URI == "" {
			return fmt.Errorf("-mlflow %s: %s is not set", FromEnvironment, Variable)
		}
	}
	if err := Check(f.URI); err != nil {
		return fmt.Errorf("-mlflow: %w", err)
	}
	return nil
}
