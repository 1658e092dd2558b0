package train

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset/augment"
	"slipway/internal/cli"
	"slipway/internal/mlflow"
	"slipway/onnx"
	"slipway/pretrained"
	"slipway/train"
)

const usage = `train fits a network to labelled images and writes runs/NAME/.

  train -experiment e1                         # the first experiment, 10 epochs
  train -experiment e2 -until-loss 0.38        # the second, until its loss is below 0.38
  train -experiment e2 -l1 0 -l2 0 -name dropout-alone
  train -resume -name e1 -epochs 20            # go on with a run, bit for bit
  train -data fashion -epochs 2 -name fashion  # another set; dataset fetch fashion brings it
  train -data ~/birds -network birds.json -resize 64   # train/ and test/ with a folder of pictures for each class
  train -data ~/birds -network resnet18 -resize 96     # a known network, for the set's images and classes
  train -pixels 0.1307,0.3081 -schedule one-cycle -augment shift=2 -epochs 2 -name quick
  train -from efficientnet_lite0 -data ~/birds -lr 1e-4 -epochs 5      # a pretrained network, fed as it was trained with
  train -network resnet20 -data ~/birds -find-lr       # which learning rate suits
  train -from graphs/e1.onnx -lr 1e-4 -epochs 1 -name tuned   # train an ONNX model on, ours or another framework's
  train -from m.onnx -data ~/birds -head auto -freeze trunk -freeze-until 6 -lr head=1e-3,1e-4   # its classifier anew, then all

Flags:
`

// options is what the command line asks for.
type options struct {
	ranks       ranks
	experiment  string
	network     string
	classes     int
	name        string
	runs        string
	data        string
	dataDir     string
	test        string
	labels      string
	licence     string
	pictures    cli.Pictures
	dropout     float64
	config      train.Config
	device      string
	threads     int
	init        string
	initNotes   []string // what was done with the file of weights
	from        string
	pretrained  *pretrained.Model // -from's, nil where that is a file
	model       *onnx.Model       // of -from's file
	fromClasses []string          // that the model of -from's file tells apart
	fromBinary  bool              // -from's model was trained with the binary loss
	output      string
	resume      bool
	tensorBoard string
	mlflow      mlflow.Flags
	version     bool
	given       map[string]bool
	values      map[string]string // of the flags given
	activations activationFlags
	fineTuning  fineTuning
	find        finder
}

// activationFlags collects -activation-l1 and -activation-l2, each LAYER=λ.
type activationFlags struct{ l1, l2 map[string]float64 }

func (a activationFlags) penalties() map[string]train.Penalty {
	penalties := make(map[string]train.Penalty)
	for layer, lambda := range a.l1 {
		penalties[layer] = train.Penalty{L1: lambda, L2: a.l2[layer]}
	}
	for layer, lambda := range a.l2 {
		penalties[layer] = train.Penalty{L1: a.l1[layer], L2: lambda}
	}
	if len(penalties) == 0 {
		return nil
	}
	return penalties
}

func layerFactor(into map[string]float64) func(string) error {
	return func(text string) error {
		layer, factor, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%q is not LAYER=λ, such as relu3=0.001", text)
		}
		lambda, err := strconv.ParseFloat(factor, 64)
		if err != nil {
			return fmt.Errorf("%q: λ is not a number", text)
		}
		into[layer] = lambda
		return nil
	}
}

// augmentation reads -augment.
func augmentation(into *augment.Record) func(string) error {
	return func(text string) error {
		list, err := augment.ParseList(text)
		*into = augment.Record(list)
		return err
	}
}

// freeze reads -freeze.
func freeze(into *[]string) func(string) error {
	return func(text string) error {
		*into = nil
		for _, pattern := range strings.Split(text, ",") {
			if pattern = strings.TrimSpace(pattern); pattern == "" {
				return fmt.Errorf("%q has an empty pattern", text)
			}
			*into = append(*into, pattern)
		}
		return nil
	}
}

func experimentNames() []string { return []string{"e1", "e2"} }

// parse reads the command line. Its error is wrong usage.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{activations: activationFlags{map[string]float64{}, map[string]float64{}}}
	c := &o.config
	flags := cli.NewFlagSet("train", usage, stdout)
	cli.Choice(flags, &o.experiment, "experiment", "e1", experimentNames(),
		"the network and its protocol: e1 or e2")
	cli.Suggest(flags, &o.network, "network", "", cli.Words(append(zoo.Names(), cli.FileNames)),
		"a `network` instead of an experiment's: a JSON or YAML file (docs/networks.md), whose name has a dot or a slash, or "+strings.Join(zoo.Names(),
			", "))
	flags.IntVar(&o.classes, "classes", 0,
		"`number` of classes of a known network or an experiment's; the sets' if 0")
	flags.StringVar(&o.name, "name", "", "name of the run; the network's if empty")
	flags.StringVar(&o.runs, "runs", "runs", "`folder` of the runs")
	cli.Suggest(flags, &o.data, "data", "train", cli.DataSets{},
		"training set: train, fashion, cifar10, cifar100, a folder, or a file of numbers; with -resume where the run's set is now")
	flags.StringVar(&o.dataDir, "data-dir", "", "`folder` with MNIST's training files")
	cli.Suggest(flags, &o.test, "test", "", cli.Words{"t10k", noTest, "fashion", cli.FileNames},
		"test `set` evaluated after each epoch, or none; if empty, the test part beside the training set, or the one published with it")
	flags.StringVar(&o.labels, "labels", "", "`file` of the classes' names, one a line")
	o.pictures.Define(flags)
	flags.StringVar(&o.licence, "licence", "",
		"what may be done with the training set, a `text` for the exported graph's card")
	flags.Float64Var(&o.dropout, "dropout", 0.5, "E2's dropout probability, 0 ≤ p < 1")
	flags.IntVar(&c.Epochs, "epochs", 0,
		"passes over the training set; the cap of the other stop rules (10; 100 with -until-loss)")
	flags.IntVar(&c.BatchSize, "batch", 32, "images in a batch, which is a step without -accumulate")
	flags.Float64Var(&c.UntilLoss, "until-loss", 0,
		"stop after the first epoch whose mean loss is below this")
	flags.Float64Var(&c.ValidationFraction, "validation", 0, "fraction of the training set held out")
	flags.IntVar(&c.Patience, "patience", 0,
		"stop after that many epochs without a lower validation loss, or a better -best, and keep the best weights")
	cli.Choice(flags, &c.Optimizer.Name, "optimizer", "adam", train.OptimizerNames(),
		strings.Join(train.OptimizerNames(), ", "))
	o.defineFineTuning(flags)
	flags.Float64Var(&c.Optimizer.Momentum, "momentum", 0,
		"momentum of sgd and rmsprop (0), and of muon (0.95)")
	flags.BoolVar(&c.Optimizer.Nesterov, "nesterov", false, "Nesterov momentum of sgd")
	flags.Float64Var(&c.Optimizer.Beta1, "beta1", 0,
		"decay of the first moment of adam, adamw and lion, and of what muon leaves to adamw (0.9)")
	flags.Float64Var(&c.Optimizer.Beta2, "beta2", 0,
		"decay of the second moment of adam, adamw and muon's adamw (0.999), and of lion's (0.99)")
	flags.Float64Var(&c.Optimizer.Alpha, "alpha", 0, "decay of rmsprop's mean square (0.99)")
	flags.Float64Var(&c.Optimizer.Epsilon, "epsilon", 0, "keeps denominators from zero (1e-8)")
	flags.Float64Var(&c.Optimizer.WeightDecay, "weight-decay", 0,
		"decoupled in adamw, lion and muon, added to the gradient in the others")
	o.recipeFlags(flags)
	o.findFlags(flags)
	o.rankFlags(flags)
	flags.Func("augment",
		"change the training images anew each epoch by this `list`, such as flip,crop=4 or shift=2,rotation=10: "+strings.Join(augment.Names(),
			", "), augmentation(&c.Augmentation))
	cli.Choice(flags, &c.Decay, "decay", train.DecayAll, []string{train.DecayAll, train.DecayWeights},
		"what -weight-decay, -l1 and -l2 are of: all parameters, or weights, without biases and what normalisation scales and shifts with")
	flags.Float64Var(&c.ParameterPenalty.L1, "l1", 0,
		"λ1 of λ1·Σ‖p‖₁ over all parameter tensors (e2: 0.001)")
	flags.Float64Var(&c.ParameterPenalty.L2, "l2", 0, "λ2 of λ2·Σ‖p‖₂, not squared (e2: 0.001)")
	defineLoss(flags, &c.Loss)
	defineSampling(flags, &c.Sampling)
	defineMix(flags, &c.Mix)
	flags.Func("activation-l1",
		"`LAYER=λ`: add the batch's mean of λ·Σ|a| of that layer's output; may be repeated",
		layerFactor(o.activations.l1))
	flags.Func("activation-l2", "`LAYER=λ`: the same with λ·Σa²", layerFactor(o.activations.l2))
	cli.Suggest(flags, &c.Pixels, "pixels", "", cli.Words(train.PixelsNames()),
		fmt.Sprintf("how pixels are fed: %s, %s, %s for (x/255-0.5)/0.5, MEAN,STD for (x/255-MEAN)/STD, "+
			"mean=M,M,M,std=S,S,S for one of each a channel, %s for ImageNet's, %s on the training set "+
			"(%s; with -from what the model records)", train.PixelsRaw, train.PixelsUnit,
			train.PixelsHalf, train.PixelsImageNet, train.PixelsMeasured, train.PixelsRaw))
	flags.Uint64Var(&c.Seed, "seed", 0, "decides weights, shuffles, dropout and the validation split")
	cli.Choice(flags, &c.Engine, "engine", builder.DefaultEngine, builder.EngineNames(),
		strings.Join(builder.EngineNames(), " or "))
	flags.IntVar(&o.threads, "threads", 0, "threads to compute with; 0 for one each core")
	cli.Choice(flags, &o.device, "device", deviceAuto, []string{deviceAuto, deviceCPU, deviceCUDA},
		"auto, cpu or cuda; auto takes the GPU where one can be used (a build of make gpu)")
	cli.Suggest(flags, &c.Precision, "precision", "", cli.Words(train.PrecisionNames()),
		fmt.Sprintf("what the steps multiply: %s; %s, with 10 bits of mantissa, on a GPU; or %s, with 8, "+
			"on a GPU, which keeps activations so as well, or a CPU with AMX (%[1]s; docs/cuda.md, docs/native-engine.md)",
			train.PrecisionFloat32, train.PrecisionTF32, train.PrecisionBF16))
	flags.StringVar(&o.init, "init", "",
		"start from the weights in this `file`, told by its content: safetensors, one of torch.save (.pt, .pth; nothing in it is executed), or ONNX")
	cli.Suggest(flags, &o.from, "from", "", cli.Words(append(pretrained.Names(), cli.FileNames)),
		"start from the network and the weights in this ONNX `file`, or of a pretrained network by its name: "+strings.Join(pretrained.Names(),
			", ")+" (brought once, docs/pretrained.md); the experiment's training settings stay")
	flags.StringVar(&o.output, "output", "",
		"`name` of the output that -from's network ends in, where it has several, or of a value inside")
	flags.BoolVar(&o.resume, "resume", false, "go on with the run of that name")
	flags.IntVar(&c.CheckpointEvery, "checkpoint-every", 1, "epochs between checkpoints")
	flags.IntVar(&c.KeepCheckpoints, "keep", 3, "checkpoints kept")
	flags.StringVar(&o.tensorBoard, "tensorboard", "",
		"also write TensorBoard's event files into this `folder`, one inside for each run name")
	o.mlflow.Define(flags, "slipway", "`name` of MLflow's experiment")
	flags.BoolVar(&o.version, "version", false, "print the version")
	if err := cli.Parse(flags, args); err != nil {
		return nil, err
	}
	o.given, o.values = cli.Given(flags), make(map[string]string)
	flags.Visit(func(f *flag.Flag) { o.values[f.Name] = f.Value.String() })
	if !o.given["loss"] {
		c.Loss.Name = "" // what the set asks for
	}
	if c.Decay == train.DecayAll {
		c.Decay = "" // the default, of which a run's record says nothing
	}
	if err := o.pictures.Take(o.given); err != nil {
		return nil, err
	}
	return o, o.check()
}

// check rejects what is unknown or does not go together.
func (o *options) check() error {
	asked := o.settings()
	switch {
	case o.given["network"] && o.given["experiment"]:
		return errors.New("-network and -experiment each name a network; give one of them")
	case o.from != "" && o.network != "":
		return errors.New("-from and -network each name a network; give one of them")
	case o.from != "" && o.init != "":
		return errors.New("-from and -init each name weights; give one of them")
	case o.from != "" && o.resume:
		return errors.New(
			"-resume goes on from the run's checkpoint, -from starts from a model; give one of them")
	case o.from != "" && o.given["dropout"]:
		return errors.New(
			"-dropout does not apply to -from: the network is the file's; start from weights with -network and -init instead")
	case o.given["classes"] && o.classes < 1:
		return fmt.Errorf(
			"-classes %d; at least 1 is needed, and without the flag it is the sets' number", o.classes)
	case o.given["classes"] && o.from != "":
		return errors.New(
			"-classes does not apply to -from: the network is the file's; -head gives it a classifier of other classes")
	case o.given["classes"] && o.network != "" && !zoo.Has(o.network):
		return errors.New(
			"-classes applies to a known network or an experiment's: a file's network has its own number")
	case strings.ContainsAny(o.licence, "\r\n"):
		return errors.New(
			"-licence is one line, such as its name; put the whole text into the set's file LICENSE")
	case o.output != "" && o.from == "":
		return errors.New("-output applies to -from alone")
	case o.given["dropout"] && (o.experiment != "e2" || o.network != ""):
		return errors.New("-dropout applies to -experiment e2 alone")
	case o.given["dropout"] && !(o.dropout >= 0 && o.dropout < 1):
		return fmt.Errorf("-dropout %v is outside 0 ≤ p < 1", o.dropout)
	case o.device == deviceCUDA && o.config.Engine != builder.EngineNative:
		return fmt.Errorf("-device cuda does not go with -engine %s, which runs on the CPU",
			o.config.Engine)
	case asked.DeviceOnly() != "" && asked.CPUOnly() != "":
		return fmt.Errorf("-%s is for a GPU, and %s computed on the CPU alone; leave out one of them",
			asked.DeviceOnly(), asked.CPUOnly())
	case o.device == deviceCUDA && asked.CPUOnly() != "":
		return fmt.Errorf("-device cuda: %s computed on the CPU alone; train with -device cpu",
			asked.CPUOnly())
	case o.device == deviceCPU && asked.DeviceOnly() != "":
		return fmt.Errorf("-%s is for a GPU; it does not go with -device cpu", asked.DeviceOnly())
	case o.given["epochs"] && o.config.Epochs < 1:
		return fmt.Errorf("-epochs %d; at least 1 is needed", o.config.Epochs)
	case o.given["batch"] && o.config.BatchSize < 1:
		return fmt.Errorf("-batch %d; at least 1 is needed", o.config.BatchSize)
	case o.givenZero() != "":
		return fmt.Errorf("-%s 0; more than 0 is needed, and without the flag it has its default",
			o.givenZero())
	case o.resume && o.init != "":
		return errors.New(
			"-resume goes on from the run's checkpoint, -init starts from other weights; give one of them")
	case o.resume && o.name == "" && !o.given["experiment"]:
		return errors.New("-resume needs the run's -name")
	}
	if err := o.checkFineTuning(); err != nil {
		return err
	}
	if err := cli.CheckThreads(o.threads); err != nil {
		return err
	}
	if err := o.checkFind(); err != nil {
		return err
	}
	if err := o.checkRanks(); err != nil {
		return err
	}
	if err := o.mlflow.Check(o.given); err != nil {
		return err
	}
	if o.name != "" {
		check := train.CheckRunName
		if o.resume {
			check = train.CheckRunPath // a run of before names were checked
		}
		if err := check(o.name); err != nil {
			return fmt.Errorf("-name: %w", err)
		}
	}
	if o.resume {
		// A resumed run keeps its settings; these alone say when to stop and
		// where things are, and lengthen a schedule.
		free := []string{"resume", "name", "runs", "experiment", "epochs", "until-loss", "patience",
			"best", "data", "data-dir", "test", "labels", "licence", "memory", "picture-cache", "threads",
			"device", "checkpoint-every", "keep",
			"schedule-epochs", "tensorboard", "mlflow", "mlflow-experiment", "mpi", "mpi-timeout", "version"}
		for name := range o.given {
			if !slices.Contains(free, name) {
				return fmt.Errorf(
					"-%s does not apply to -resume: a run keeps its settings; start a new one with -init instead",
					name)
			}
		}
	}
	return o.checkSettings()
}

// flagIsZero says whether the value of a flag is 0.
type flagIsZero struct {
	name string
	zero bool
}

// givenZero names a flag that was given as 0 where a configuration's 0 stands for the
// default, empty if none was.
func (o *options) givenZero() string {
	c := &o.config
	zeros := append(append(o.recipeZeros(), o.findZeros()...), []flagIsZero{
		{"lr", c.Optimizer.LearningRate == 0 && len(c.FineTune.Rates) == 0},
		{"beta1", c.Optimizer.Beta1 == 0},
		{"beta2", c.Optimizer.Beta2 == 0},
		{"alpha", c.Optimizer.Alpha == 0},
		{"epsilon", c.Optimizer.Epsilon == 0},
		{"focal-gamma", c.Loss.Gamma == 0},
		{"mix-probability", c.Mix.Probability == 0},
		{"mix-switch", c.Mix.Switch == 0},
		{"checkpoint-every", c.CheckpointEvery == 0},
		{"keep", c.KeepCheckpoints == 0},
	}...)
	for _, flag := range zeros {
		if flag.zero && o.given[flag.name] {
			return flag.name
		}
	}
	return ""
}

// settings fills in what the experiment's protocol says and the flags do not.
func (o *options) settings() train.Config {
	c := o.config
	if o.experiment == "e2" && o.network == "" {
		if !o.given["l1"] {
			c.ParameterPenalty.L1 = 0.001
		}
		if !o.given["l2"] {
			c.ParameterPenalty.L2 = 0.001
		}
	}
	if c.UntilLoss > 0 && c.Epochs == 0 {
		c.Epochs = train.UntilLossEpochs
	}
	c.Data = o.data
	c.Threads = o.threads
	o.ranks.take(&c)
	c.ActivationPenalties = o.activations.penalties()
	return c
}
