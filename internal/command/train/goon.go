package train

import (
	"slipway/builder"
	"slipway/internal/cli"
)

// goOnLine is the command that goes on with the run: what its checkpoint does not say is
// repeated from this command line.
func (o *options) goOnLine(network *builder.Network) string {
	words := append(cli.Called("train"), "-resume", "-name", o.runName(network), "-runs", o.runs)
	for _, flag := range []string{"data", "data-dir", "test", "memory", "picture-cache", "device",
		"threads", "tensorboard", "mlflow", "mlflow-experiment", "mpi-timeout"} {
		if value, given := o.values[flag]; given {
			words = append(words, "-"+flag, value)
		}
	}
	if o.ranks.on {
		return "Go on with, under the launcher: " + cli.ShellLine(append(words, "-mpi")...)
	}
	return "Go on with: " + cli.ShellLine(words...)
}
