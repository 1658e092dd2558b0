// Slipway-bench is Slipway's side of the comparisons in scripts/bench. The
// scripts there build and drive it; it is of little use by itself.
//
//	slipway-bench describe                          engines and kernel sets, as JSON
//	slipway-bench network -network resnet20         a network's JSON
//	slipway-bench distance                          how far two CPUs are from each other, as JSON
//	slipway-bench inputs -network e1 -o FILE        what every side starts from
//	slipway-bench worker -network e1 -batch 32 …    train on command, see worker.go
//	slipway-bench accuracy -seed 0 -o FILE          train E1 in full and test it
//	slipway-bench feed -data FOLDER                 read pictures as training does, and time it
//	slipway-bench welch 1,2,3 2,3,4                 compare two means, as JSON
//	slipway-bench plot -csv FILE -o FILE            draw bench-batch's table
package main
