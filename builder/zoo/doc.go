// Package zoo has known networks for images, ready to be trained: ResNet, MobileNet, SqueezeNet,
// EfficientNet-Lite and ConvNeXt.
//
// Somebody has photographs of three kinds of bird and wants to know how far a ResNet comes. The
// network is one call, for images of any size that it can take and any number of classes:
//
//	network, err := zoo.New("resnet18", builder.Shape{3, 224, 224}, 3)
//
// or, with the command, train -network resnet18 -data birds -resize 224. The network is a
// builder.Network as any other: it is printed, trained, exported and drawn, and written as JSON to
// change a layer by hand.
//
// Its tensors have the names and shapes that torchvision gives them (timm, of EfficientNet-Lite;
// doc comments say where from), and begin as they do there. So a state dict that was saved from
// Python with the same number of classes is what train -init and train.ReadWeights read, and what
// is trained here loads there with load_state_dict, without a table of names between them. (PyTorch
// also counts batches in num_batches_tracked, which nothing reads.)
//
// Each family is a struct whose fields are what its paper varies: ResNet{Blocks: []int{2, 2, 2, 2},
// Width: 64} is resnet18, and with Width: 16 a fourth as wide. The names of New are those settings
// that have a name in the literature.
//
// What is trained from the first step on wants small images and a small network: resnet20 on
// CIFAR's 32×32 pixels. The networks that were made for ImageNet's 224×224 take smaller images,
// too, and say what the least is; but they halve them five times, so that little of 32×32 pixels is
// left: bring images to 64×64 or more.
package zoo
