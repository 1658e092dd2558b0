package train

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
)

// Muon is of the weights of layers between: not of the classifier's, of biases, of what
// normalisation scales with, nor of a single row.
func TestMuonUpdatesMatrices(t *testing.T) {
	network, err := builder.New("layers", builder.Shape{2, 8, 8},
		builder.Conv2D{Filters: 6, Kernel: builder.Square(3)}, builder.BatchNorm{}, builder.PReLU{},
		builder.Conv2D{Filters: 6, Kernel: builder.Square(3), Groups: 6},
		builder.Conv2D{Filters: 1, Kernel: builder.Square(1)},
		builder.Flatten{}, builder.Dense{Units: 5}, builder.ReLU{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	config := smallConfig(builder.DefaultEngine)
	config.Optimizer = OptimizerConfig{Name: "muon"}
	of := func(config Config) string {
		var names []string
		for _, parameter := range config.updated(network) {
			if parameter.rows > 0 {
				names = append(names, parameter.spec.Name)
			}
		}
		return strings.Join(names, " ")
	}
	if got, want := of(config), "conv1.weight conv2.weight fc1.weight"; got != want {
		t.Errorf("Muon updates %s, want %s", got, want)
	}
	config.Freeze = []string{"conv1"}
	if got, want := of(config), "conv2.weight fc1.weight"; got != want {
		t.Errorf("with a frozen layer Muon updates %s, want %s", got, want)
	}
	config.Optimizer.Name = "adamw"
	if got := of(config); got != "" {
		t.Errorf("AdamW updates %s as matrices", got)
	}
}

// The reference's nearly orthogonal matrix has the singular vectors of what it is made of: its
// product with it is symmetric, and positive.
func TestTheReferenceIsNearlyOrthogonal(t *testing.T) {
	for _, size := range [][2]int{{3, 8}, {8, 3}} {
		rows, columns := size[0], size[1]
		x := make([]float32, rows*columns)
		for i := range x {
			x[i] = float32(math.Sin(float64(3 * i * i)))
		}
		z := orthogonal(slices.Clone(x), rows, columns)
		if rows > columns {
			x, z, rows, columns = transposed(x, rows, columns), transposed(z, rows, columns), columns, rows
		}
		gram := product(z, transposed(z, rows, columns), rows, columns, rows)
		common := product(z, transposed(x, rows, columns), rows, columns, rows)
		for i := range rows {
			if square := gram[i*rows+i]; !(square > 0.36 && square < 1.44) {
				t.Errorf("%v: row %d has the squared length %g", size, i, square)
			}
			if common[i*rows+i] <= 0 {
				t.Errorf("%v: row %d points away from its own", size, i)
			}
			for j := range i {
				a, b := common[i*rows+j], common[j*rows+i]
				if math.Abs(float64(a-b)) > 1e-4 {
					t.Errorf("%v: the products of rows %d and %d are %g and %g", size, i, j, a, b)
				}
			}
		}
	}
}

// Training with Lion and Muon comes to the same on each engine, up to rounding, and to the same
// bits on any number of threads.
func TestEnginesAgreeWithLionAndMuon(t *testing.T) {
	small := smallNetwork(t)
	// The native engine has the filters of the second convolution last, and those of the third apart.
	grouped, err := builder.New("grouped", small.Input(),
		builder.Conv2D{Filters: 6, Kernel: builder.Square(3)}, builder.ReLU{},
		builder.Conv2D{Filters: 6, Kernel: builder.Size{Height: 3, Width: 2}, Groups: 6}, builder.ReLU{},
		builder.Conv2D{Filters: 4, Kernel: builder.Square(1), Groups: 2}, builder.ReLU{},
		builder.Flatten{}, builder.Dense{Units: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, optimizer := range []OptimizerConfig{
		{Name: "lion", LearningRate: 5e-3, WeightDecay: 0.1},
		{Name: "muon", LearningRate: 2e-2, WeightDecay: 0.1},
	} {
		for _, network := range []*builder.Network{small, grouped} {
			t.Run(optimizer.Name+" "+network.Name(), func(t *testing.T) {
				losses := func(engine string, threads int) []float64 {
					config := smallConfig(engine)
					config.Optimizer, config.Threads, config.Epochs = optimizer, threads, 12
					trainer, err := New(network, datasettest.Bars(t, 60), config, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer trainer.Close()
					if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
						t.Fatal(err)
					}
					var all []float64
					for _, epoch := range trainer.Progress().History {
						all = append(all, epoch.MeanLoss)
					}
					return all
				}
				native := losses(builder.EngineNative, 1)
				if again := losses(builder.EngineNative, 3); !slices.Equal(native, again) {
					t.Errorf("losses on 3 threads %v, on one %v", again, native)
				}
				if native[11] >= 0.75*native[0] {
					t.Errorf("the loss does not fall by a quarter: %v", native)
				}
				for i, loss := range losses(builder.EngineGorgonia, 1) {
					if math.Abs(loss-native[i]) > 1e-4 {
						t.Errorf("epoch %d: loss %v on gorgonia, %v on native", i+1, loss, native[i])
					}
				}
			})
		}
	}
}

// What Muon keeps of a parameter is in the checkpoint once: the momentum of a matrix, or AdamW's
// two means.
func TestMuonKeepsWhatItNeeds(t *testing.T) {
	config := smallConfig(builder.DefaultEngine)
	config.Optimizer = OptimizerConfig{Name: "muon"}
	config.Freeze, config.FineTune.FreezeUntil, config.Epochs = []string{"conv1"}, 3, 4
	trainer := newSmallTrainer(t, config)
	defer trainer.Close()
	if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	checkpoint, resumed := savedAndResumed(t, trainer, datasettest.Bars(t, 60))
	defer resumed.Close()
	kept := make(map[string][]string)
	for slot, tensors := range checkpoint.OptimizerState {
		for _, tensor := range tensors {
			kept[tensor.Name] = append(kept[tensor.Name], slot)
		}
	}
	for _, parameter := range config.inEpoch(3).updated(trainer.Network()) {
		want := []string{"exp_avg", "exp_avg_sq"}
		if parameter.rows > 0 {
			want = []string{"momentum_buffer"}
		}
		name := parameter.spec.Name
		if slices.Sort(kept[name]); !slices.Equal(kept[name], want) {
			t.Errorf("the checkpoint has %v of %s, want %v", kept[name], name, want)
		}
		delete(kept, name)
	}
	if len(kept) > 0 {
		t.Errorf("the checkpoint has state of %v", kept)
	}
}

// A device has Lion, and Muon not; the configuration says so before anything is sent to it.
func TestMuonIsTheCPUs(t *testing.T) {
	for name, want := range map[string]string{"lion": "", "muon": "optimizer muon is"} {
		config := Config{Optimizer: OptimizerConfig{Name: name}}
		if what := config.CPUOnly(); what != want {
			t.Errorf("%s: %q", name, what)
		}
	}
}

func TestOptimizersRefuseWhatTheyLack(t *testing.T) {
	for _, test := range []struct {
		config OptimizerConfig
		says   string
	}{
		{OptimizerConfig{Name: "lion", Momentum: 0.9}, "optimizer lion has no momentum"},
		{OptimizerConfig{Name: "lion", Epsilon: 1e-8}, "optimizer lion has no epsilon"},
		{OptimizerConfig{Name: "muon", Alpha: 0.9}, "optimizer muon has no alpha"},
		{OptimizerConfig{Name: "muon", Momentum: 1}, "momentum 1 is out of range"},
		{OptimizerConfig{Name: "muon", Nesterov: true}, "Nesterov needs sgd with momentum"},
	} {
		if _, err := test.config.withDefaults(); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: error %v, want %q", test.config, err, test.says)
		}
	}
	muon, err := OptimizerConfig{Name: "muon"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if want := (OptimizerConfig{Name: "muon", LearningRate: 1e-3, Momentum: 0.95, Beta1: 0.9,
		Beta2: 0.999, Epsilon: 1e-8}); muon != want {
		t.Errorf("Muon's defaults are %+v, want %+v", muon, want)
	}
	lion, err := OptimizerConfig{Name: "lion"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if want := (OptimizerConfig{Name: "lion", LearningRate: 1e-4, Beta1: 0.9,
		Beta2: 0.99}); lion != want {
		t.Errorf("Lion's defaults are %+v, want %+v", lion, want)
	}
}
