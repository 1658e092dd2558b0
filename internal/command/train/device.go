package train

import (
	"errors"
	"fmt"
	"os"

	"slipway/builder"
	"slipway/internal/cuda"
	"slipway/internal/device"
	"slipway/internal/mpi"
	"slipway/train"
)

// Devices that -device names.
const (
	deviceAuto = "auto"
	deviceCPU  = "cpu"
	deviceCUDA = "cuda"
)

// chosenDevice is where the run computes.
type chosenDevice struct {
	device device.Device // nil for this CPU
	close  func()
	// why says why it is not CUDA, empty where nobody would ask.
	why string
}

// chooseDevice opens the device that -device asks for, and reports a run that comes to this CPU,
// which does not compute it.
func (o *options) chooseDevice(config train.Config, network *builder.Network) (chosenDevice,
	error) {
	chosen, err := o.openDevice(config, network)
	if err != nil || chosen.device != nil {
		return chosen, err
	}
	return chosen, o.withRemedy(config.CheckCPU(), chosen)
}

// withRemedy adds to a train.PrecisionError what a run can do whose precision this CPU does not have,
// and why it is not on a GPU. Other errors stay as they are.
func (o *options) withRemedy(err error, chosen chosenDevice) error {
	var lacks *train.PrecisionError
	if !errors.As(err, &lacks) {
		return err
	}
	why := chosen.why
	if why == "" && o.device != deviceCPU { // which never touches the driver
		if missing := cuda.Inspect().Missing; missing != nil {
			why = fmt.Sprintf("no CUDA: %s: %s; see doctor", missing.Piece, missing.Reason)
		}
	}
	if why != "" {
		why = " (" + why + ")"
	}
	remedy := fmt.Sprintf("a run of its own with -precision %s trains here", train.PrecisionFloat32)
	if o.resume {
		remedy += ", and -init gives it the weights of this one"
	}
	return fmt.Errorf("-%w%s; %s", lacks, why, remedy)
}

// openDevice opens the device that -device asks for. auto takes the GPU where one
// can be used and does all that the run's configuration and its network ask for.
func (o *options) openDevice(config train.Config, network *builder.Network) (chosenDevice,
	error) {
	cpu := chosenDevice{close: func() {}}
	what := config.CPUOnly()
	if o.device == deviceCPU || o.device == deviceAuto && o.ranks.on {
		return cpu, nil // all ranks compute on the same: on GPUs where that is said
	}
	missing := cuda.Inspect().Missing
	if o.device == deviceAuto && missing != nil && missing.Piece == cuda.PieceBuild {
		return cpu, nil // nothing is asked of the network, which takes time where it is large
	}
	layers := network.CheckDevice()
	if layers == nil {
		layers = config.CheckDevice(network)
	}
	switch {
	case o.device == deviceCUDA && config.Engine != builder.EngineNative:
		return cpu, fmt.Errorf(
			"-device cuda does not go with engine %s, which runs on the CPU; resume with -device cpu",
			config.Engine)
	case o.device == deviceCUDA && what != "":
		return cpu, fmt.Errorf("-device cuda: %s computed on the CPU alone; resume with -device cpu",
			what)
	case o.device == deviceCUDA && layers != nil:
		return cpu, fmt.Errorf("-device cuda: %w", layers)
	case config.Engine != builder.EngineNative:
		return cpu, nil
	case layers != nil:
		if missing == nil {
			cpu.why = layers.Error()
		}
		return cpu, nil
	case what != "":
		if missing == nil {
			cpu.why = what + " computed on the CPU alone"
		}
		return cpu, nil
	}
	local, _ := mpi.LocalRank(os.Getenv)
	if !o.ranks.on {
		local = 0
	}
	device, err := cuda.OpenLocal(local)
	if err == nil {
		// All that was learned is on the host before the device is closed.
		return chosenDevice{device: device, close: func() { _ = device.Close() }}, nil
	}
	if o.device == deviceCUDA {
		return cpu, fmt.Errorf("-device cuda: %w", err)
	}
	var lacks *cuda.MissingError
	switch {
	case !errors.As(err, &lacks):
		cpu.why = err.Error()
	case lacks.Piece != cuda.PieceBuild:
		cpu.why = fmt.Sprintf("no CUDA: %s: %s; see doctor", lacks.Piece, lacks.Reason)
	}
	return cpu, nil
}

// describe says what the run computes with, on what, and in what unless that is float32.
func (c chosenDevice) describe(engine *builder.Engine, precision string) string {
	switch {
	case c.device != nil && precision != "":
		return fmt.Sprintf("engine cuda, device %s, products in %s", c.device, precision)
	case c.device != nil:
		return fmt.Sprintf("engine cuda, device %s", c.device)
	case c.why != "":
		return fmt.Sprintf("engine %s, device cpu (%s)", engine, c.why)
	}
	return fmt.Sprintf("engine %s, device cpu", engine)
}
