package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"slipway/builder"
	"slipway/dataset"
	"slipway/internal/datasettest"
)

func newTestAugmenter(t *testing.T, set *dataset.Set, change Augmentation, seed uint64) *augmenter {
	t.Helper()
	a, err := newAugmenter(Config{Augmentation: change, BatchSize: 16, Seed: seed}, set)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// changed returns copies of the images.
func changed(t *testing.T, a *augmenter, epoch int, indices ...int) [][]uint8 {
	t.Helper()
	set, places, err := a.change(epoch, indices)
	if err != nil {
		t.Fatal(err)
	}
	var images [][]uint8
	for i, place := range places {
		images = append(images, slices.Clone(set.Image(place)))
		if set.Label(place) != a.from.Label(indices[i]) {
			t.Errorf("image %d has the label %d, was %d", indices[i], set.Label(place), a.from.Label(indices[i]))
		}
	}
	return images
}

// shiftedPixel is the definition of a shift, pixel by pixel.
func shiftedPixel(image []uint8, height, width, y, x, down, right int) uint8 {
	y, x = y-down, x-right
	if y < 0 || y >= height || x < 0 || x >= width {
		return 0
	}
	return image[y*width+x]
}

func TestShift(t *testing.T) {
	const height, width = 4, 5
	image := make([]uint8, height*width)
	for i := range image {
		image[i] = uint8(i + 1)
	}
	for down := -3; down <= 3; down++ {
		for right := -4; right <= 4; right++ {
			got := bytes.Repeat([]uint8{99}, len(image))
			shift(got, image, height, width, down, right)
			for i, pixel := range got {
				if want := shiftedPixel(image, height, width, i/width, i%width, down, right); pixel != want {
					t.Fatalf("shifted down by %d and right by %d, pixel %d is %d, want %d", down, right, i, pixel, want)
				}
			}
		}
	}
}

func TestRotate(t *testing.T) {
	image := []uint8{
		1, 2, 3,
		4, 5, 6,
		7, 8, 9}
	for _, test := range []struct {
		degrees float64
		want    []uint8
	}{
		{0, image},
		{90, []uint8{3, 6, 9, 2, 5, 8, 1, 4, 7}},
		{-90, []uint8{7, 4, 1, 8, 5, 2, 9, 6, 3}},
		{180, []uint8{9, 8, 7, 6, 5, 4, 3, 2, 1}},
	} {
		got := make([]uint8, 9)
		rotate(got, image, 3, 3, test.degrees)
		if !bytes.Equal(got, test.want) {
			t.Errorf("turned by %v degrees: %v, want %v", test.degrees, got, test.want)
		}
	}
	// By 45 degrees the pixel right of the centre comes from √½ down and to the right of it:
	// between 5, 6, 8 and 9.
	got, u := make([]uint8, 9), math.Sqrt2/2
	rotate(got, image, 3, 3, 45)
	want := (1-u)*((1-u)*5+u*6) + u*((1-u)*8+u*9)
	if math.Abs(float64(got[5])-want) > 0.5 {
		t.Errorf("turned by 45 degrees, the pixel right of the centre is %d, want %v", got[5], want)
	}
}

// Every shift is as likely as any other, in both directions, and independently.
func TestShiftsAreUniform(t *testing.T) {
	a := newTestAugmenter(t, datasettest.Bars(t, 16), Augmentation{Shift: 2}, 3)
	const draws = 25000
	counts := make(map[[2]int]int)
	for i := range draws {
		d := a.draw(i%7, i)
		counts[[2]int{d.down, d.right}]++
	}
	chi := 0.0
	for down := -2; down <= 2; down++ {
		for right := -2; right <= 2; right++ {
			d := float64(counts[[2]int{down, right}]) - draws/25
			chi += d * d / (draws / 25)
		}
	}
	if len(counts) != 25 || chi > 51.2 { // the 99.9 % point of χ² with 24 degrees of freedom
		t.Errorf("%d different shifts, χ² = %.1f, want 25 and at most 51.2", len(counts), chi)
	}
}

func TestAnglesAreUniform(t *testing.T) {
	a := newTestAugmenter(t, datasettest.Bars(t, 16), Augmentation{Rotation: 10}, 3)
	const draws = 20000
	var angles []float64
	for i := range draws {
		d := a.draw(1, i)
		if d.down != 0 || d.right != 0 {
			t.Fatalf("image %d is shifted: %+v", i, d)
		}
		angles = append(angles, d.degrees)
	}
	slices.Sort(angles)
	distance := 0.0 // of Kolmogorov and Smirnov
	for i, angle := range angles {
		distance = max(distance, math.Abs((angle+10)/20-(float64(i)+0.5)/draws))
	}
	if limit := 1.95 / math.Sqrt(draws); distance > limit { // the 99.9 % point
		t.Errorf("angles are %v away from uniform, want at most %v", distance, limit)
	}
}

// What an image becomes depends on the seed, the epoch and the image, and not on the
// batch that it is in.
func TestAugmentationIsAFunctionOfSeedEpochAndImage(t *testing.T) {
	set := datasettest.Bars(t, 60)
	change := Augmentation{Shift: 2, Rotation: 15}
	a := newTestAugmenter(t, set, change, 1)
	together := changed(t, a, 3, 10, 11, 12, 13, 14, 15, 16, 17)
	for i, image := range together {
		if alone := changed(t, newTestAugmenter(t, set, change, 1), 3, 10+i)[0]; !bytes.Equal(alone, image) {
			t.Errorf("image %d differs by the batch that it is in", 10+i)
		}
	}
	same := func(images [][]uint8) bool { return slices.EqualFunc(together, images, bytes.Equal) }
	if same(changed(t, a, 4, 10, 11, 12, 13, 14, 15, 16, 17)) {
		t.Error("two epochs change the images alike")
	}
	if same(changed(t, newTestAugmenter(t, set, change, 2), 3, 10, 11, 12, 13, 14, 15, 16, 17)) {
		t.Error("two seeds change the images alike")
	}
	if d, other := a.draw(3, 10), a.draw(3, 11); d == other {
		t.Error("two images are changed alike")
	}
}

// Each channel is changed alike.
func TestAugmentationOfChannels(t *testing.T) {
	images := make([]uint8, 2*3*5*5)
	for i := range images {
		images[i] = uint8(1 + i%25) // the same in every channel
	}
	set, err := dataset.NewSet("colours", images, []int32{0, 1}, 3, 5, 5, 2)
	if err != nil {
		t.Fatal(err)
	}
	a := newTestAugmenter(t, set, Augmentation{Shift: 1, Rotation: 30}, 1)
	for _, image := range changed(t, a, 0, 0, 1) {
		if !bytes.Equal(image[:25], image[25:50]) || !bytes.Equal(image[:25], image[50:]) {
			t.Errorf("channels are changed differently: %v", image)
		}
	}
}

func TestAugmentationRejects(t *testing.T) {
	for _, test := range []struct {
		change Augmentation
		want   string
	}{
		{Augmentation{Shift: -1}, "a shift by up to -1 pixels is negative"},
		{Augmentation{Rotation: -1}, "a rotation by up to -1 degrees is outside 0…180"},
		{Augmentation{Rotation: math.NaN()}, "a rotation by up to NaN degrees"},
		{Augmentation{Shift: 6}, "leaves nothing of the 6×6 images"},
	} {
		config := smallConfig(builder.DefaultEngine)
		config.Augmentation = test.change
		if _, err := New(smallNetwork(t), datasettest.Bars(t, 60), config, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error %v, want %q", test.change, err, test.want)
		}
	}
}

// varyingConfig has both, a schedule and augmentation.
func varyingConfig(engine string) Config {
	config := smallConfig(engine)
	config.Schedule = Schedule{Name: ScheduleOneCycle}
	config.Augmentation = Augmentation{Shift: 1, Rotation: 10}
	return config
}

func TestResumeWithScheduleAndAugmentationIsBitForBit(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		config := varyingConfig(engine)
		config.ValidationFraction = 0.2
		whole := newSmallTrainer(t, config)
		defer whole.Close()
		if err := whole.Fit(context.Background(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		broken := newSmallTrainer(t, config)
		defer broken.Close()
		err := broken.Fit(ctx, Callbacks{Step: func(report StepReport) error {
			if report.Epoch == 2 && report.Step == 3 {
				cancel()
			}
			return nil
		}})
		if !errors.Is(err, ErrInterrupted) {
			t.Fatalf("Fit returned %v, want ErrInterrupted", err)
		}
		checkpoint, resumed := savedAndResumed(t, broken, datasettest.Bars(t, 60))
		if err := resumed.Fit(context.Background(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded(t, whole.Checkpoint()), encoded(t, resumed.Checkpoint())) {
			t.Error("the resumed run differs from the unbroken one")
		}

		for _, change := range []func(*Config){
			func(c *Config) { c.Schedule.Warmup = 0.5 },
			func(c *Config) { c.Schedule = Schedule{} },
			func(c *Config) { c.Augmentation.Shift = 2 },
		} {
			other := checkpoint.Config
			change(&other)
			if _, err := Resume(checkpoint, datasettest.Bars(t, 60), other); err == nil || !strings.Contains(err.Error(), "cannot resume with other settings") {
				t.Errorf("resumed with %+v: error %v", other, err)
			}
		}
	})
}

func TestEnginesAgreeWithScheduleAndAugmentation(t *testing.T) {
	var losses [][]float64
	for _, engine := range builder.EngineNames() {
		trainer := newSmallTrainer(t, varyingConfig(engine))
		defer trainer.Close()
		if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		var means []float64
		for _, epoch := range trainer.Progress().History {
			means = append(means, epoch.MeanLoss)
		}
		losses = append(losses, means)
	}
	for i := range losses[0] {
		for _, other := range losses[1:] {
			if math.Abs(losses[0][i]-other[i]) > 1e-5 {
				t.Errorf("epoch %d: mean losses %v and %v", i+1, losses[0][i], other[i])
			}
		}
	}
}

func TestThreadsDoNotChangeAugmentation(t *testing.T) {
	var files [][]byte
	for _, threads := range []int{1, 2, 3} {
		config := varyingConfig(builder.EngineNative)
		config.Threads = threads
		trainer := newSmallTrainer(t, config)
		defer trainer.Close()
		if err := trainer.Fit(context.Background(), Callbacks{}); err != nil {
			t.Fatal(err)
		}
		files = append(files, encoded(t, trainer.Checkpoint()))
	}
	if !bytes.Equal(files[0], files[1]) || !bytes.Equal(files[0], files[2]) {
		t.Error("1, 2 and 3 threads give different runs")
	}
}

func TestAugmentationAllocatesNothing(t *testing.T) {
	a := newTestAugmenter(t, datasettest.Bars(t, 60), Augmentation{Shift: 2, Rotation: 10}, 1)
	indices := []int{4, 8, 15, 16, 23, 42}
	if allocations := testing.AllocsPerRun(20, func() {
		if _, _, err := a.change(1, indices); err != nil {
			t.Fatal(err)
		}
	}); allocations != 0 {
		t.Errorf("a batch allocates %v times", allocations)
	}
}

// noDevice is a device that is never asked for anything.
type noDevice struct{}

func (noDevice) String() string                  { return "none" }
func (noDevice) NewSession(Job) (Session, error) { return nil, errors.New("not here") }

func TestDevicesRefuseWhatTheyDoNotDo(t *testing.T) {
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Schedule.Name = ScheduleCosine }, "a learning-rate schedule is computed on the CPU alone, not on device none"},
		{func(c *Config) { c.Augmentation.Shift = 1 }, "augmentation is computed on the CPU alone, not on device none"},
	} {
		config := smallConfig(builder.EngineNative)
		config.Device = noDevice{}
		test.change(&config)
		if _, err := config.WithDefaults(smallNetwork(t)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}
