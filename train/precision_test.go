package train

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/internal/datasettest"
	"slipway/internal/device"
	"slipway/internal/kernel"
)

func TestPrecisionsThatThereAreNot(t *testing.T) {
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Precision, c.Engine = PrecisionBF16, builder.EngineGorgonia },
			"bf16 does not go with engine gorgonia, which computes in float32"},
		{func(c *Config) { c.Precision = "TF32" },
			`unknown precision "TF32"; there are float32, tf32, bf16`},
		{func(c *Config) { c.Precision, c.Engine = PrecisionTF32, builder.EngineGorgonia },
			"tf32 does not go with engine gorgonia, which computes in float32"},
		{func(c *Config) { c.Precision, c.Shards = PrecisionTF32, 2 },
			"tf32 does not go with batches that are dealt to shards, which are computed in float32"},
		{func(c *Config) { c.Precision, c.Shards = PrecisionBF16, 2 },
			"bf16 does not go with batches that are dealt to shards"},
		{func(c *Config) { c.Precision, c.Optimizer = PrecisionTF32, OptimizerConfig{Name: "muon"} },
			"tf32 is for a GPU, and optimizer muon is computed on the CPU alone; leave out one of them"},
	} {
		config := smallConfig(builder.EngineNative)
		test.change(&config)
		err := config.CheckValues()
		var wrong *SettingError
		if !errors.As(err, &wrong) || wrong.Setting != "precision" ||
			!strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q of the setting precision", err, test.want)
		}
	}
	config := smallConfig(builder.EngineNative)
	for precision, why := range map[string]string{
		PrecisionTF32: "no tensor cores", PrecisionBF16: "no bfloat16"} {
		config.Precision, config.Device = precision, noDevice{}
		want := "device none: " + why + "; it trains with precision float32"
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("a device without %s: %v", precision, err)
		}
	}
}

// A run in float32 records what it did before there was a choice.
func TestTheDefaultPrecisionIsNotRecorded(t *testing.T) {
	for precision, recorded := range map[string]bool{
		"": false, PrecisionFloat32: false, PrecisionTF32: true, PrecisionBF16: true} {
		config := smallConfig(builder.EngineNative)
		config.Precision = precision
		config, err := config.WithDefaults(smallNetwork(t))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(config)
		if err != nil || strings.Contains(string(text), `"precision":"`+precision+`"`) != recorded ||
			strings.Contains(string(text), `"precision"`) != recorded {
			t.Errorf("precision %q: %s, %v", precision, text, err)
		}
	}
}

// asked is a borrowed device that keeps what it is asked for.
type asked struct {
	borrowed
	job *device.Job
}

func (a asked) NewSession(job device.Job) (device.Session, error) {
	*a.job = job
	return a.borrowed.NewSession(job)
}

// A run in less than float32 is a device's, where the CPU has no bfloat16: the steps say so to it,
// and without one there are none. What was trained so is evaluated on the CPU all the same, and
// does not go on in float32.
func TestARunInLessThanFloat32(t *testing.T) {
	for _, precision := range []string{PrecisionTF32, PrecisionBF16} {
		t.Run(precision, func(t *testing.T) { testARunIn(t, precision) })
	}
}

func testARunIn(t *testing.T, precision string) {
	t.Setenv(kernel.EnvironmentVariable, "portable") // which multiplies float32 alone
	here, there := onBorrowed()
	var job device.Job
	there.Precision, there.Device = precision, asked{borrowed{config: here}, &job}
	trainer := newSmallTrainer(t, there)
	defer trainer.Close()
	if err := trainer.Fit(t.Context(), Callbacks{}); err != nil {
		t.Fatal(err)
	}
	if job.TF32 != (precision == PrecisionTF32) || job.BF16 != (precision == PrecisionBF16) {
		t.Errorf("the device is asked for TF32: %t, for bf16: %t", job.TF32, job.BF16)
	}
	there.Precision = ""
	plain := newSmallTrainer(t, there)
	defer plain.Close()
	if err := plain.Fit(t.Context(), Callbacks{}); err != nil || job.TF32 || job.BF16 {
		t.Errorf("a run in float32 asks for TF32: %t, for bf16: %t, %v", job.TF32, job.BF16, err)
	}

	here.Precision = precision
	want := map[string]string{
		PrecisionTF32: "precision tf32: only a GPU has it, and the steps would be computed on this CPU",
		PrecisionBF16: "precision bf16: engine native: kernel: bf16 takes AMX",
	}[precision]
	if err := here.CheckCPU(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("the CPU: %v, want %s", err, want)
	}
	alone := newSmallTrainer(t, here)
	defer alone.Close()
	if err := alone.Fit(t.Context(), Callbacks{}); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Fit without a device: %v, want %s", err, want)
	}
	if _, err := alone.Evaluate(t.Context(), datasettest.Bars(t, 20)); err != nil {
		t.Errorf("an evaluation without a device: %v", err)
	}
	if _, err := FindRate(t.Context(), smallNetwork(t), datasettest.Bars(t, 60), here, nil,
		RateSweep{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("FindRate: %v, want %s", err, want)
	}
	here.Precision = ""
	_, err := Resume(trainer.Checkpoint(), datasettest.Bars(t, 60), here)
	if err == nil || !strings.Contains(err.Error(), "precision was \""+precision+"\" and is now none") {
		t.Errorf("Resume in float32: %v", err)
	}
}
